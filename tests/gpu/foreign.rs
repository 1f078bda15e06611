//! Kernels of another crate, which this one is: whatever they do stays within their operands.
use secateur::Error;
use secateur::gpu::Gpu;
use secateur::kernels::{Add, AddParams};
use secateur::raw::{
    Bound, Encoder, Kernel, Operand, Phase, PlanBuilder, Program, Slot, Trust, Uniform, common,
    grid_1d, read, uniform, wgsl, write,
};

use crate::common::gpu;

uniform! {
    /// Uniform of this file's kernels.
    struct Params {
        len: u32,
        value: u32,
    }
}

/// A kernel over `len` elements that declares one word of each operand more than it may touch none
/// of.
macro_rules! kernels {
    ($($name:ident($($operand:ident: $access:ident),+): $bindings:literal $body:literal;)+) => {$(
        #[derive(Clone, Copy)]
        struct $name {
            $($operand: Slot,)+
            len: u32,
            value: u32,
        }

        impl Kernel for $name {
            const NAME: &'static str = stringify!($name);
            const WGSL: &'static str = wgsl!(
                common::GRID,
                $bindings,
                "struct Params { len: u32, value: u32 }
                @compute @workgroup_size(256)
                fn main(
                    @builtin(global_invocation_id) id: vec3<u32>,
                    @builtin(num_workgroups) groups: vec3<u32>,
                ) {
                    let i = flat_index(id, groups);
                    if i >= params.len { return; }",
                $body,
                "}",
            );
            const OPERANDS: &'static [Operand] = &[$($access(stringify!($operand))),+];
            type Params = Params;

            fn bind(&self) -> Vec<Bound> {
                vec![$(self.$operand.needs(1)),+]
            }

            fn params(&self) -> Params {
                Params { len: self.len, value: self.value }
            }

            fn grid(&self) -> [u32; 3] {
                grid_1d(self.len)
            }
        }
    )+};
}

kernels! {
    Fill(out: write):
        "@group(0) @binding(0) var<storage, read_write> out: array<u32>;
        @group(0) @binding(1) var<uniform> params: Params;"
        "out[i] = params.value;";
    Gather(table: read, index: read, out: write):
        "@group(0) @binding(0) var<storage, read> table: array<u32>;
        @group(0) @binding(1) var<storage, read> index: array<u32>;
        @group(0) @binding(2) var<storage, read_write> out: array<u32>;
        @group(0) @binding(3) var<uniform> params: Params;"
        "out[i] = table[index[i]];";
    Peek(scratch: write, out: write):
        "@group(0) @binding(0) var<storage, read_write> scratch: array<u32>;
        @group(0) @binding(1) var<storage, read_write> out: array<u32>;
        @group(0) @binding(2) var<uniform> params: Params;"
        "out[i] = scratch[i];";
}

/// Reads a small array in workgroup memory, beside which a large one lies, by data.
struct Local {
    index: Slot,
    out: Slot,
}

impl Kernel for Local {
    const NAME: &'static str = "local";
    const WGSL: &'static str = "
        @group(0) @binding(0) var<storage, read> index: array<u32>;
        @group(0) @binding(1) var<storage, read_write> out: array<u32>;
        var<workgroup> small: array<u32, 4>;
        var<workgroup> large: array<u32, 1024>;
        @compute @workgroup_size(256) fn main(@builtin(local_invocation_index) i: u32) {
            for (var at = i; at < 1024u; at += 256u) { large[at] = 0x5ec2e700u; }
            small[i & 3u] = 7u;
            workgroupBarrier();
            for (var at = i; at < 1024u; at += 256u) { out[at] = small[index[at]] + (large[at] & 1u); }
        }";
    const OPERANDS: &'static [Operand] = &[read("index"), write("out")];
    type Params = ();

    fn bind(&self) -> Vec<Bound> {
        vec![self.index.needs(1024), self.out.needs(1024)]
    }

    fn params(&self) {}

    fn grid(&self) -> [u32; 3] {
        [1, 1, 1]
    }
}

/// [`Add`]'s own name, text and operands, under bounds that are a lie.
struct Impostor {
    x: Slot,
    out: Slot,
    len: u32,
}

impl Kernel for Impostor {
    const NAME: &'static str = Add::NAME;
    const WGSL: &'static str = Add::WGSL;
    const OPERANDS: &'static [Operand] = Add::OPERANDS;
    type Params = Params;

    fn bind(&self) -> Vec<Bound> {
        vec![self.x.needs(1), self.x.needs(1), self.out.needs(1)]
    }

    fn params(&self) -> Params {
        Params { len: self.len, value: 1 }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

const LARGE: u32 = 1024;
const SMALL: u32 = 4;
const SECRET: u32 = 0x5ec2_e700;

fn run(gpu: &Gpu, plan: PlanBuilder, phase: Phase, upload: &[(Slot, Vec<u32>)]) -> Program {
    let program = plan.build(gpu).unwrap_or_else(|e| panic!("{e}"));
    upload.iter().for_each(|(slot, words)| program.upload(gpu, *slot, words));
    let mut encoder = Encoder::new(gpu);
    program.encode(phase, &mut encoder);
    encoder.submit().unwrap();
    program
}

/// Whole buffers are shared: behind a small tensor lies what a large one has left.
#[test]
fn reads_end_where_the_operand_ends() {
    let Some(gpu) = gpu() else { return };
    let mut plan = PlanBuilder::new(gpu.target());
    let phase = plan.phase("test");
    let [large, small] = [("large", LARGE), ("small", SMALL)].map(|(n, w)| plan.scratch(n, w));
    let [index, out] = ["index", "out"].map(|name| plan.persistent(name, LARGE));
    plan.push(Fill { out: large, len: LARGE, value: SECRET }).unwrap();
    plan.push(Fill { out: small, len: SMALL, value: 7 }).unwrap();
    plan.push(Gather { table: small, index, out, len: LARGE, value: 0 }).unwrap();
    // Far out too, where no buffer of this test is.
    let far = |i: u32| if i.is_multiple_of(8) { u32::MAX - i } else { i };
    let program = run(gpu, plan, phase, &[(index, (0..LARGE).map(far).collect())]);
    let got: Vec<u32> = program.download(gpu, out).unwrap();
    assert_eq!(got[1..SMALL as usize], [7; SMALL as usize - 1], "what is there is read");
    let strange = got.iter().position(|&word| word != 7 && word != 0);
    assert_eq!(strange, None, "the neighbour's memory was read: {:x?}", &got[..16]);
}

/// What is in a large buffer after `write` has run over a small tensor in it.
fn beneath(gpu: &Gpu, write: impl FnOnce(&mut PlanBuilder, Slot)) -> Vec<u32> {
    let mut plan = PlanBuilder::new(gpu.target());
    let phase = plan.phase("test");
    let [large, small, after] =
        [("large", LARGE), ("small", SMALL), ("after", LARGE)].map(|(n, w)| plan.scratch(n, w));
    let out = plan.persistent("out", LARGE);
    plan.push(Fill { out: large, len: LARGE, value: SECRET }).unwrap();
    write(&mut plan, small);
    // It declares `scratch` as written, and reads what is there.
    plan.push(Peek { scratch: after, out, len: LARGE, value: 0 }).unwrap();
    let text = plan.to_string();
    let home = |slot: &str| {
        let rest = text.split(&format!("={slot}@")).nth(1).expect("it is launched");
        rest.split_whitespace().next().expect("it has a home").to_owned()
    };
    assert!(home("large") == home("small") && home("large") == home("after"), "{text}");
    run(gpu, plan, phase, &[]).download(gpu, out).unwrap()
}

#[test]
fn writes_end_where_the_operand_ends() {
    let Some(gpu) = gpu() else { return };
    let got = beneath(gpu, |plan, small| {
        plan.push(Fill { out: small, len: LARGE, value: 7 }).unwrap();
    });
    let left = got.iter().filter(|&&word| word == SECRET).count();
    assert_eq!(left, (LARGE - SMALL) as usize, "written past the operand: {:x?}", &got[..16]);
}

/// The text of a trusted kernel is no way around, on the device that has that kernel's own module
/// too.
#[test]
fn a_copied_text_is_checked() {
    let Some(gpu) = gpu() else { return };
    assert!(<AddParams as Uniform<Add>>::TRUST.is_own());
    let copied: Trust<Impostor> = <Params as Uniform<Impostor>>::TRUST;
    assert!(!copied.is_own());
    let mut plan = PlanBuilder::default();
    plan.phase("test");
    let [x, out] = ["x", "out"].map(|name| plan.persistent(name, LARGE));
    plan.push(Add { x, y: x, out, len: 1, period: 1 }).unwrap();
    plan.push(Impostor { x, out, len: 1 }).unwrap();
    let text = plan.to_string();
    let checked: Vec<bool> = text.lines().skip(2).map(|l| l.contains("(checked)")).collect();
    assert_eq!(checked, [false, true], "{text}");
    let got = beneath(gpu, |plan, small| {
        let [x, sum] = ["x", "sum"].map(|name| plan.persistent(name, LARGE));
        plan.push(Add { x, y: x, out: sum, len: LARGE, period: LARGE }).unwrap();
        plan.push(Impostor { x, out: small, len: LARGE }).unwrap();
    });
    let left = got.iter().filter(|&&word| word == SECRET).count();
    assert_eq!(left, (LARGE - SMALL) as usize, "written past the operand: {:x?}", &got[..16]);
}

/// An array that is no operand, indexed by data. Drivers that keep accesses within operands by
/// themselves leave this to the checks.
#[test]
fn arrays_of_the_shader_end_too() {
    let Some(gpu) = gpu() else { return };
    let mut plan = PlanBuilder::new(gpu.target());
    let phase = plan.phase("test");
    let [index, out] = ["index", "out"].map(|name| plan.persistent(name, LARGE));
    plan.push(Local { index, out }).unwrap();
    let program = run(gpu, plan, phase, &[(index, (0..LARGE).collect())]);
    let got: Vec<u32> = program.download(gpu, out).unwrap();
    assert_eq!(got, vec![7; LARGE as usize]);
}

/// Kernels that differ in nothing but their declarations do not get each other's pipelines.
#[test]
fn declarations_are_part_of_a_pipeline() {
    let Some(gpu) = gpu() else { return };
    for _ in 0..2 {
        let mut plan = PlanBuilder::new(gpu.target());
        plan.phase("test");
        let [x, out] = ["x", "out"].map(|name| plan.persistent(name, 4));
        plan.push(Twin::<true>(x, out)).unwrap();
        plan.build(gpu).unwrap();
        let mut plan = PlanBuilder::new(gpu.target());
        plan.phase("test");
        let [x, out] = ["x", "out"].map(|name| plan.persistent(name, 4));
        plan.push(Twin::<false>(x, out)).unwrap();
        match plan.build(gpu) {
            Err(Error::Plan { kernel, .. }) => assert_eq!(kernel, "twin"),
            other => panic!("{other:?}"),
        }
    }
}

/// Right only where `out` is declared as written.
struct Twin<const RIGHT: bool>(Slot, Slot);

impl<const RIGHT: bool> Kernel for Twin<RIGHT> {
    const NAME: &'static str = "twin";
    const WGSL: &'static str = "
        @group(0) @binding(0) var<storage, read> x: array<u32>;
        @group(0) @binding(1) var<storage, read_write> out: array<u32>;
        @compute @workgroup_size(1) fn main() { out[0] = x[0]; }";
    const OPERANDS: &'static [Operand] =
        if RIGHT { &[read("x"), write("out")] } else { &[read("x"), read("out")] };
    type Params = ();

    fn bind(&self) -> Vec<Bound> {
        vec![self.0.needs(1), self.1.needs(1)]
    }

    fn params(&self) {}

    fn grid(&self) -> [u32; 3] {
        [1, 1, 1]
    }
}
