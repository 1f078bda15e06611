//! Plans without a GPU: how scratch shares memory, and what is refused.
use secateur::Error;
use secateur::gpu::{Bound, Kernel, Memory, Operand, PlanBuilder, Slot, read, write};
use secateur::kernels::{Add, STEP_WORDS, SgdUpdate, Weights};
use secateur::raw::Uniform;

fn add(x: Slot, y: Slot, out: Slot) -> Add {
    Add { x, y, out, len: out.words, period: out.words }
}

/// Where the plan's text says that `slot` lives.
fn home(plan: &PlanBuilder, slot: &str) -> String {
    let text = plan.to_string();
    let at = text.find(&format!("={slot}@")).unwrap_or_else(|| panic!("no {slot} in\n{text}"));
    let rest = &text[at + slot.len() + 2..];
    rest.split_whitespace().next().unwrap_or_default().to_owned()
}

/// Persistent, scratch, and what that would be unshared.
fn memory(plan: &PlanBuilder) -> [u64; 3] {
    let Memory { persistent, scratch, unshared, .. } = plan.memory();
    [persistent, scratch, unshared]
}

#[test]
fn the_text_names_everything() {
    let mut plan = PlanBuilder::default();
    let [w, g, step] =
        [("w", 300), ("g", 300), ("step", STEP_WORDS)].map(|(n, l)| plan.persistent(n, l));
    let t = plan.scratch("t", 300);
    plan.phase("train");
    plan.push(add(w, g, t)).unwrap();
    plan.phase("update");
    let on = Weights { gradient: g, mask: None, step, weights: w, len: 300 };
    plan.push(SgdUpdate { on, decay: 0.0 }).unwrap();
    let want = "\
2 launches, 4 slots in 4 buffers; 2432 B persistent, 1200 B scratch shared by 1200 B
train:
  add                    x=w@b0 y=g@b1 ->out=t@b3  grid 2x1x1
update:
  sgd                    gradient=g@b1 mask=- step=step@b2 ->weights=w@b0 PRUNED:0  grid 2x1x1
";
    assert_eq!(plan.to_string(), want);
    assert_eq!(memory(&plan), [2432, 1200, 1200]);
}

/// Each begins with a workgroup; no launch may read one and write another, before or after.
#[test]
fn joined_slots_are_ranges_of_one_buffer() {
    let mut plan = PlanBuilder::default();
    plan.phase("test");
    let [x, y, z] = ["x", "y", "z"].map(|name| plan.persistent(name, 300));
    let [s, t, u] = ["s", "t", "u"].map(|name| plan.scratch(name, 300));
    let joined = plan.join(&[x, y]).unwrap();
    assert_eq!((joined.slot.words, &joined.begins[..]), (512 + 300, &[0, 512][..]));
    assert_eq!(plan.join(&[x, y]).unwrap().slot, joined.slot, "as they are");
    plan.push(add(x, y, s)).unwrap();
    plan.push(add(z, s, t)).unwrap();
    plan.push(add(z, z, u)).unwrap();
    let whole = joined.slot;
    for not in [&[x][..], &[z, z], &[x, z], &[y, x], &[z, t], &[s, t], &[whole, z]] {
        assert!(plan.join(not).is_none(), "{not:?}");
    }
    let scratch = plan.join(&[t, u]).unwrap();
    let error = plan.push(add(x, z, y)).unwrap_err().to_string();
    assert!(error.contains("operand `out` (y) is also bound to `x`, and one writes"), "{error}");
    let text = plan.to_string();
    assert!(text.contains("x=x@b1 y=y@b1+512 ->out=s@b3"), "{text}");
    assert_eq!(scratch.slot.words, 812);
    // z and the joined two; the other joined two and s.
    assert_eq!(memory(&plan), [1200 + 4 * 812, 1200 + 4 * 812, 1200 + 4 * 812]);
}

#[test]
fn a_chain_takes_two_buffers() {
    let mut plan = PlanBuilder::default();
    plan.phase("test");
    let x = plan.persistent("x", 100);
    let mut at = x;
    for i in 0..40 {
        let next = plan.scratch(format!("t{i}"), 100);
        plan.push(add(at, x, next)).unwrap();
        assert!(i == 0 || home(&plan, &format!("t{i}")) != home(&plan, &format!("t{}", i - 1)));
        at = next;
    }
    assert_eq!(memory(&plan), [400, 800, 16_000]);
}

/// An input read for the last time may not share with the output of the same launch.
#[test]
fn an_output_never_shares_with_an_input() {
    let mut plan = PlanBuilder::default();
    plan.phase("test");
    let x = plan.persistent("x", 10);
    let [a, b, c] = ["a", "b", "c"].map(|name| plan.scratch(name, 10));
    plan.push(add(x, x, a)).unwrap();
    plan.push(add(x, x, b)).unwrap();
    plan.push(add(a, b, c)).unwrap();
    let bindings = ["x", "a", "b", "c"].map(|slot| home(&plan, slot));
    assert_eq!(bindings, ["b0", "b1", "b2", "b3"]);
    // Nor where the output is placed first, being larger.
    let mut plan = PlanBuilder::default();
    plan.phase("test");
    let x = plan.persistent("x", 10);
    let [small, large] = [("small", 10), ("large", 100)].map(|(n, w)| plan.scratch(n, w));
    plan.push(add(x, x, small)).unwrap();
    plan.push(Add { x: small, y: small, out: large, len: 10, period: 10 }).unwrap();
    assert_ne!(home(&plan, "small"), home(&plan, "large"));
}

#[test]
fn what_does_not_live_at_the_same_time_shares_the_largest() {
    let mut plan = PlanBuilder::default();
    plan.phase("test");
    let sizes = [("small", 10), ("large", 1000), ("later", 30), ("huge", 5000)];
    let [small, large, later, huge] = sizes.map(|(name, words)| plan.scratch(name, words));
    let x = plan.persistent("x", 5000);
    let out = plan.persistent("out", 5000);
    let alone = |plan: &mut PlanBuilder, slot: Slot| {
        plan.push(add(x, x, slot)).unwrap();
        plan.push(Add { x: slot, y: slot, out, len: slot.words, period: slot.words }).unwrap();
    };
    plan.push(add(x, x, small)).unwrap();
    plan.push(add(x, x, large)).unwrap();
    plan.push(Add { x: small, y: large, out, len: 10, period: 10 }).unwrap();
    alone(&mut plan, later);
    assert_eq!(home(&plan, "later"), home(&plan, "large"), "both fit huge");
    alone(&mut plan, huge);
    assert_eq!(home(&plan, "huge"), home(&plan, "large"), "before and after it");
    assert_eq!(memory(&plan), [40_000, 20_040, 24_160]);
}

/// A gradient of a bias lives until the optimizer: not in a buffer that a large activation has
/// left.
#[test]
fn a_small_tensor_that_lives_long_takes_no_large_buffer() {
    let mut plan = PlanBuilder::default();
    plan.phase("test");
    let [x, out] = ["x", "out"].map(|name| plan.persistent(name, 1000));
    let small: Vec<Slot> = (0..8).map(|i| plan.scratch(format!("bias{i}"), 10)).collect();
    let short = |x, out| Add { x, y: x, out, len: 10, period: 10 };
    for (i, &bias) in small.iter().enumerate() {
        let large = plan.scratch(format!("large{i}"), 1000);
        plan.push(add(x, x, large)).unwrap();
        plan.push(add(large, large, out)).unwrap();
        plan.push(short(x, bias)).unwrap();
    }
    small.iter().for_each(|&bias| plan.push(short(bias, out)).unwrap());
    assert!((0..8).all(|i| home(&plan, &format!("large{i}")) == home(&plan, "large0")));
    // The last bias lives after the last large tensor.
    assert_eq!(home(&plan, "bias7"), home(&plan, "large0"));
    assert_eq!(memory(&plan), [8000, 4000 + 7 * 40, 8 * 4040]);
}

/// What the launches take besides the slots counts, and what whoever runs the plan says.
#[test]
fn the_peak_is_everything() {
    let mut plan = PlanBuilder::default();
    plan.phase("test");
    let [x, out] = ["x", "out"].map(|name| plan.persistent(name, 100));
    let t = plan.scratch("t", 50);
    plan.push(Add { x, y: x, out: t, len: 50, period: 50 }).unwrap();
    plan.push(Add { x: t, y: t, out, len: 50, period: 50 }).unwrap();
    plan.stage(1000);
    // 256 B of uniforms a launch, and as many for operands that are left alone.
    let want = Memory { persistent: 800, scratch: 200, unshared: 200, staging: 3 * 256 + 1000 };
    assert_eq!((plan.memory(), plan.memory().peak()), (want, 2768));
}

#[test]
fn a_budget_is_refused_with_the_largest_tensors() {
    let mut plan = PlanBuilder::default();
    plan.phase("test");
    let [x, out] = [("x", 300), ("out", 200)].map(|(name, words)| plan.persistent(name, words));
    let [small, large] = [("small", 40), ("large", 400_000)].map(|(n, w)| plan.scratch(n, w));
    plan.push(Add { x, y: x, out: small, len: 40, period: 40 }).unwrap();
    plan.push(Add { x: small, y: small, out: large, len: 40, period: 40 }).unwrap();
    plan.push(Add { x: large, y: large, out, len: 40, period: 40 }).unwrap();
    let peak = plan.memory().peak();
    assert_eq!(peak, 4 * (300 + 200 + 40 + 400_000) + 4 * 256);
    plan.check_budget(None).unwrap();
    plan.check_budget(Some(peak)).unwrap();
    let want = "the plan needs 1603184 bytes on the device (1.5 MiB), the memory budget is 1603183 (1.5 MiB); \
                the largest tensors: large (1.5 MiB, scratch), x (1.2 KiB, persistent), out (800 B, persistent); \
                use a smaller batch or model, recompute activations (`recompute`), or a larger budget \
                (--memory-budget, SECATEUR_MEMORY)";
    assert_eq!(plan.check_budget(Some(peak - 1)).unwrap_err().to_string(), want);
}

#[test]
fn persistent_slots_never_share() {
    let mut plan = PlanBuilder::default();
    plan.phase("first");
    let x = plan.persistent("x", 10);
    let kept = plan.persistent("kept", 10);
    plan.push(add(x, x, kept)).unwrap();
    plan.phase("second");
    let t = plan.scratch("t", 10);
    let other = plan.persistent("other", 10);
    plan.push(add(x, x, t)).unwrap();
    plan.push(add(t, t, other)).unwrap();
    let bindings = ["x", "kept", "other", "t"].map(|slot| home(&plan, slot));
    assert_eq!(bindings, ["b0", "b1", "b2", "b3"]);
}

/// Scratch of an earlier phase is free in a later one.
#[test]
fn phases_share_scratch() {
    let mut plan = PlanBuilder::default();
    let x = plan.persistent("x", 10);
    for phase in ["first", "second"] {
        plan.phase(phase);
        let t = plan.scratch(phase, 10);
        plan.push(add(x, x, t)).unwrap();
    }
    assert_eq!(home(&plan, "first"), home(&plan, "second"));
}

/// Nine operands, one more than WebGPU allows, and a grid of the test's choice.
struct Odd<const OPERANDS: usize> {
    slot: Slot,
    grid: [u32; 3],
    limit: Result<(), String>,
}

impl<const OPERANDS: usize> Kernel for Odd<OPERANDS> {
    const NAME: &'static str = "odd";
    const WGSL: &'static str = "";
    const OPERANDS: &'static [Operand] = &[read("x"); OPERANDS];
    type Params = u32;

    fn bind(&self) -> Vec<Bound> {
        vec![self.slot.needs(1); OPERANDS]
    }

    fn params(&self) -> u32 {
        0
    }

    fn grid(&self) -> [u32; 3] {
        self.grid
    }

    fn check(&self) -> Result<(), String> {
        self.limit.clone()
    }
}

/// Whose operands, `bind` and uniform are what the test says.
struct Careless<P> {
    bound: Vec<Bound>,
    params: P,
}

impl<P: Uniform<Self>> Kernel for Careless<P> {
    const NAME: &'static str = "careless";
    const WGSL: &'static str = "";
    const OPERANDS: &'static [Operand] = &[read("x"), write("out")];
    type Params = P;

    fn bind(&self) -> Vec<Bound> {
        self.bound.clone()
    }

    fn params(&self) -> P {
        self.params
    }

    fn grid(&self) -> [u32; 3] {
        [1, 1, 1]
    }
}

/// Writes its first operand.
struct Swap(Slot, Slot);

impl Kernel for Swap {
    const NAME: &'static str = "swap";
    const WGSL: &'static str = "";
    const OPERANDS: &'static [Operand] = &[write("first"), read("second")];
    type Params = u32;

    fn bind(&self) -> Vec<Bound> {
        vec![self.0.needs(1), self.1.needs(1)]
    }

    fn params(&self) -> u32 {
        0
    }

    fn grid(&self) -> [u32; 3] {
        [1, 1, 1]
    }
}

/// `kernel` is refused with `message`, and leaves no trace in the plan.
#[track_caller]
fn refused(plan: &mut PlanBuilder, kernel: impl Kernel, message: &str) {
    let before = plan.to_string();
    let error = plan.push(kernel).unwrap_err();
    assert!(matches!(error, Error::Plan { .. }), "{error:?}");
    assert_eq!(error.to_string(), message);
    assert_eq!(plan.to_string(), before);
}

#[test]
fn operands_are_refused() {
    let mut plan = PlanBuilder::default();
    let [x, y, short] = [("x", 10), ("y", 10), ("short", 9)].map(|(n, w)| plan.persistent(n, w));
    let [t, other] = ["t", "other"].map(|name| plan.scratch(name, 10));
    refused(&mut plan, add(x, x, t), "add: pushed before the first phase; call phase() first");
    plan.phase("train");
    let message = "add: operand `y` (short) holds 9 words, the launch needs 10";
    refused(&mut plan, add(x, short, t), message);
    let message = "add: operand `x` (x): a launch over 0 words; sizes start at 1";
    refused(&mut plan, Add { x, y: x, out: t, len: 0, period: 0 }, message);
    let message = "add: operand `y` (t) is scratch that nothing has written yet";
    refused(&mut plan, add(x, t, other), message);
    let message = "add: operand `out` (x) is also bound to `x`, and one writes";
    refused(&mut plan, add(x, y, x), message);
    let message = "swap: operand `second` (x) is also bound to `first`, and one writes";
    refused(&mut plan, Swap(x, x), message);
    plan.push(add(x, x, t)).unwrap();
    plan.phase("evaluate");
    let message = "add: operand `x` (t) is scratch of phase train";
    refused(&mut plan, add(t, x, other), message);
    let message = "add: operand `out` (t) is scratch of phase train";
    refused(&mut plan, add(x, x, t), message);
}

#[test]
fn launches_are_refused() {
    let mut plan = PlanBuilder::default();
    plan.phase("test");
    let slot = plan.persistent("x", 1);
    let (grid, limit) = ([1, 1, 1], Ok(()));
    plan.push(Odd::<8> { slot, grid, limit: limit.clone() }).unwrap();
    let message = "odd: 9 storage operands, WebGPU allows 8";
    refused(&mut plan, Odd::<9> { slot, grid, limit: limit.clone() }, message);
    for grid in [[0, 1, 1], [1, 65_536, 1]] {
        let message = format!("odd: grid {grid:?} is not within 1..=65535 in each dimension");
        refused(&mut plan, Odd::<1> { slot, grid, limit: limit.clone() }, &message);
    }
    plan.push(Odd::<1> { slot, grid: [65_535, 1, 1], limit }).unwrap();
    let limit = Err("4 rows, at most 3".to_owned());
    refused(&mut plan, Odd::<1> { slot, grid, limit }, "odd: 4 rows, at most 3");
}

/// What an outside kernel may get wrong is an error, and no panic.
#[test]
fn careless_kernels_are_refused() {
    let mut plan = PlanBuilder::default();
    plan.phase("test");
    let [x, out] = ["x", "out"].map(|name| plan.persistent(name, 4));
    let stranger = {
        let mut other = PlanBuilder::default();
        (0..3).map(|_| other.persistent("elsewhere", 4)).last().unwrap()
    };
    let careless = |bound: &[Bound]| Careless { bound: bound.to_vec(), params: 0u32 };
    let message = "careless: bind() has 1 operands, OPERANDS names 2";
    refused(&mut plan, careless(&[x.needs(4)]), message);
    let message = "careless: bind() has 3 operands, OPERANDS names 2";
    refused(&mut plan, careless(&[x.needs(4), out.needs(4), out.needs(4)]), message);
    let message = "careless: operand `out` is written: bind a slot to it";
    refused(&mut plan, careless(&[x.needs(4), Bound::NONE]), message);
    let message = "careless: operand `x` is bound to a slot of another plan";
    refused(&mut plan, careless(&[stranger.needs(4), out.needs(4)]), message);
    let bound = vec![x.needs(4), out.needs(4)];
    let message =
        "careless: the uniform has 260 bytes, a launch takes 256; put the rest into an operand";
    refused(&mut plan, Careless { bound: bound.clone(), params: [0u32; 65] }, message);
    plan.push(Careless { bound: bound.clone(), params: [0u32; 64] }).unwrap();
    plan.push(Careless { bound, params: () }).unwrap();
}
