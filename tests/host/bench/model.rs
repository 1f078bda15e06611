//! The model of kernels on cards: what it counts, and the counts that no change may lose.
mod counts;

use secateur::bench::model::{
    Asked, CARDS, Card, Limit, Modelled, SLOTS, model, modelled, subjects, target,
};
use secateur::gpu::PlanBuilder;
use secateur::raw::{Bound, Kernel, Operand, Slot, read, write};

fn h100() -> &'static Card {
    Card::named("h100").unwrap()
}

/// What `push` launches, on an H100, with floats that are made up and zeros.
fn launches(push: impl FnOnce(&mut PlanBuilder)) -> Vec<Modelled> {
    launches_in(false, push)
}

/// The same, `mixed` or in f32.
fn launches_in(mixed: bool, push: impl FnOnce(&mut PlanBuilder)) -> Vec<Modelled> {
    let mut plan = PlanBuilder::new(target(h100(), mixed));
    let phase = plan.phase("test");
    push(&mut plan);
    modelled(&plan, phase, |_| None).unwrap()
}

secateur::raw::uniform! {
    /// Of [`Probe`].
    struct ProbeParams {
        stride: u32,
        turns: u32,
    }
}

/// A kernel of which everything is counted by hand.
struct Probe {
    x: Slot,
    out: Slot,
    stride: u32,
    groups: u32,
}

impl Kernel for Probe {
    const NAME: &'static str = "probe";
    const WGSL: &'static str = "
        @group(0) @binding(0) var<storage, read> x: array<f32>;
        @group(0) @binding(1) var<storage, read_write> out: array<atomic<u32>>;
        @group(0) @binding(2) var<uniform> params: Params;
        struct Params { stride: u32, turns: u32 }
        var<workgroup> kept: array<f32, 2048>;

        fn place(lane: u32) -> u32 {
            return lane * params.stride;
        }

        @compute @workgroup_size(64)
        fn main(@builtin(local_invocation_index) lane: u32) {
            var sum = 0.0;
            for (var n = 0u; n < params.turns; n += 1u) {
                let value = x[place(lane)];
                sum = fma(value, value, sum);
                kept[place(lane) % 2048u] = sum;
            }
            workgroupBarrier();
            if lane < 5u {
                atomicAdd(&out[0], u32(kept[0]) / params.turns);
            }
        }";
    const OPERANDS: &'static [Operand] = &[read("x"), write("out")];
    type Params = ProbeParams;

    fn bind(&self) -> Vec<Bound> {
        vec![self.x.needs(2048), self.out.needs(1)]
    }

    fn params(&self) -> ProbeParams {
        ProbeParams { stride: self.stride, turns: 10 }
    }

    fn grid(&self) -> [u32; 3] {
        [self.groups, 1, 1]
    }
}

fn probe(stride: u32) -> Modelled {
    let [modelled] = &launches(|plan| {
        let [x, out] = [("x", 2048), ("out", 1)].map(|(name, words)| plan.persistent(name, words));
        plan.push(Probe { x, out, stride, groups: 7 }).unwrap();
    })[..] else {
        panic!("one launch");
    };
    modelled.clone()
}

#[test]
fn the_probe_is_counted() {
    let (near, far) = (probe(1), probe(32));
    for modelled in [&near, &far] {
        let of = modelled.of_workgroup;
        assert_eq!((modelled.workgroups, modelled.invocations), (7.0, 64));
        assert_eq!(modelled.workgroup_bytes, 2048 * 4);
        assert_eq!(of.multiply_adds, 640.0);
        assert_eq!((of.loaded_bytes, of.load_requests), (640.0 * 4.0, 20.0));
        assert_eq!((of.divisions, of.loop_divisions), (5.0, 0.0));
        assert_eq!((of.atomics, of.hottest, of.barriers), (5.0, 5.0, 1.0));
        // Ten stores of each warp, and one load of which all lanes want the same.
        assert_eq!((of.shared_requests, of.shared_bytes), (21.0, (640.0 + 5.0) * 4.0));
        // Ten turns that each wait for what they have loaded, and the last atomics.
        assert!((10.0..11.5).contains(&(of.clock / (500 * SLOTS) as f64)), "{of:?}");
        // `sum` and `value`.
        assert_eq!(of.registers, 2.0);
    }
    assert_eq!((near.of_workgroup.load_sectors, near.of_workgroup.unique_sectors), (80.0, 8.0));
    assert_eq!((far.of_workgroup.load_sectors, far.of_workgroup.unique_sectors), (640.0, 64.0));
    // A bank has one word of neighbours, and 32 of every 32nd word.
    assert_eq!((near.of_workgroup.shared_passes, far.of_workgroup.shared_passes), (21.0, 641.0));
    // Memory has each byte once, whoever asks for it: x is read, and a word is added to.
    assert_eq!((near.bytes, far.bytes), (7.0 * 8.0 * 32.0, 2048.0 * 4.0));
}

#[test]
fn the_greatest_of_the_least_times_is_the_limit() {
    let least = probe(1).least(h100());
    assert_eq!((least.limit, least.waves), (Limit::Waiting, 1.0));
    let hertz = h100().hertz();
    assert!((hertz / 1.98e9 - 1.0).abs() < 0.01, "{hertz}");
    assert_eq!(least.seconds[6], 35.0 / hertz);
    assert!(least.seconds.iter().all(|&s| s <= least.most()));
    // 32 banks of words and 4 sectors a cycle, of one workgroup a multiprocessor.
    assert_eq!(least.seconds[5], (21.0 + 80.0 / 4.0) / hertz);
}

#[test]
fn cards_have_names_and_figures() {
    for card in CARDS {
        assert_eq!(Card::named(card.key), Some(card));
        assert_eq!(Card::named(card.name), Some(card));
        // Between a phone and twice the fastest of today.
        assert!((1.2e9..3.0e9).contains(&card.hertz()), "{}: {}", card.name, card.hertz());
        assert_eq!(card.matrix_flops.is_some(), card.matrix_side.is_some());
        assert!(!card.source.is_empty());
    }
    assert_eq!(Card::named("abacus"), None);
}

/// A row is made of its launches, and no kernel is faster than the card.
#[test]
fn rows_add_up() {
    let [add] = &subjects("add 2^24")[..] else { panic!("one workload") };
    for card in CARDS {
        let row = model(add, card).unwrap();
        let [kernel] = &row.kernels[..] else { panic!("one kernel") };
        assert_eq!((row.launches, kernel.modelled.launches), (1, 1));
        assert_eq!((kernel.loaded_bytes, kernel.stored_bytes), (8.0, 4.0), "{}", card.name);
        assert!((0.5..=1.0).contains(&row.share), "{}: {}", card.name, row.share);
        assert_eq!(kernel.least.limit, Limit::Memory);
    }
    assert!(subjects("no such thing").is_empty());
}

/// A text that the model does not know is an error that names it.
#[test]
fn an_unknown_text_is_refused() {
    struct Textures(Slot);
    impl Kernel for Textures {
        const NAME: &'static str = "textures";
        const WGSL: &'static str = "
            @group(0) @binding(0) var<storage, read_write> out: array<u32>;
            @compute @workgroup_size(1) fn main() { out[0] = pack4xU8(vec4(1u)); }";
        const OPERANDS: &'static [Operand] = &[write("out")];
        type Params = [u32; 1];
        fn bind(&self) -> Vec<Bound> {
            vec![self.0.needs(1)]
        }
        fn params(&self) -> [u32; 1] {
            [0]
        }
        fn grid(&self) -> [u32; 3] {
            [1, 1, 1]
        }
    }
    let mut plan = PlanBuilder::default();
    let phase = plan.phase("test");
    let out = plan.persistent("out", 1);
    plan.push(Textures(out)).unwrap();
    let error = modelled(&plan, phase, |_: Asked<'_>| None).unwrap_err().to_string();
    assert!(error.contains("textures") && error.contains("does not know"), "{error}");
}
