//! What the device promises: errors as values, loops that run to their end, threads that may share
//! it.
use std::time::Instant;

use secateur::Error;
use secateur::gpu::{
    Bound, Encoder, Gpu, GpuOptions, Kernel, Limits, MAX_LOOP_ITERATIONS, Operand, PlanBuilder,
    Slot, Timestamps, write,
};
use secateur::kernels::Add;

use crate::common::{Noise, Rig, Tol, gpu};
use crate::needs::{FEATURES, missing};

/// Runs a recurrence that has no short cut, for as long as a kernel may loop.
struct Probe {
    out: Slot,
}

impl Kernel for Probe {
    const NAME: &'static str = "probe";
    const WGSL: &'static str = "
        @group(0) @binding(0) var<storage, read_write> out: array<u32>;
        @group(0) @binding(1) var<uniform> count: u32;
        @compute @workgroup_size(64)
        fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            var x = id.x;
            var n = 0u;
            for (var i = 0u; i < count; i += 1u) {
                x = (x ^ (x >> 15u)) * 0x2c1b3c6du + 1u;
                n += 1u;
            }
            out[2u * id.x] = n;
            out[2u * id.x + 1u] = x;
        }";
    const OPERANDS: &'static [Operand] = &[write("out")];
    type Params = u32;

    fn bind(&self) -> Vec<Bound> {
        vec![self.out.needs(128)]
    }

    fn params(&self) -> u32 {
        MAX_LOOP_ITERATIONS
    }

    fn grid(&self) -> [u32; 3] {
        [1, 1, 1]
    }
}

#[test]
fn a_loop_runs_to_its_end() {
    let Some(gpu) = gpu() else { return };
    let mut rig = Rig::new(gpu);
    let out = rig.output("out", 128);
    rig.push(Probe { out });
    let got: Vec<u32> = rig.run().read(out);
    let hash = |x: u32| (x ^ x >> 15).wrapping_mul(0x2c1b_3c6d).wrapping_add(1);
    let last = |id: u32| (0..MAX_LOOP_ITERATIONS).fold(id, |x, _| hash(x));
    let want: Vec<u32> = (0..64).flat_map(|id| [MAX_LOOP_ITERATIONS, last(id)]).collect();
    Tol::Exact.check(&got, &want).unwrap_or_else(|e| panic!("{e}"));
}

/// A kernel whose shader is wrong in the way that `HOW` says.
struct Broken<const HOW: usize> {
    out: Slot,
}

impl<const HOW: usize> Kernel for Broken<HOW> {
    const NAME: &'static str = "broken";
    const WGSL: &'static str = [
        "this is no shader",
        "@group(0) @binding(0) var<storage, read_write> out: array<u32>;
         @compute @workgroup_size(1) fn other() { out[0] = 1u; }",
        "@group(0) @binding(7) var<storage, read_write> out: array<u32>;
         @compute @workgroup_size(1) fn main() { out[0] = 1u; }",
        "@group(0) @binding(0) var<storage, read_write> out: array<u32>;
         @compute @workgroup_size(1) fn main() { out[0] = 1.0; }",
        "@group(0) @binding(0) var<storage, read_write> out: array<u32>;
         @group(0) @binding(1) var<uniform> params: vec2<u32>;
         @compute @workgroup_size(1) fn main() { out[0] = params.y; }",
        "@group(0) @binding(0) var<storage, read_write> out: array<u32>;
         @compute @workgroup_size(100000) fn main() { out[0] = 1u; }",
    ][HOW];
    const OPERANDS: &'static [Operand] = &[write("out")];
    type Params = u32;

    fn bind(&self) -> Vec<Bound> {
        vec![self.out.needs(1)]
    }

    fn params(&self) -> u32 {
        0
    }

    fn grid(&self) -> [u32; 3] {
        [1, 1, 1]
    }
}

#[test]
fn a_broken_shader_is_an_error_and_the_device_lives_on() {
    let Some(gpu) = gpu() else { return };
    fn build<const HOW: usize>(gpu: &secateur::gpu::Gpu) -> Error {
        let mut plan = PlanBuilder::new(gpu.target());
        plan.phase("test");
        let out = plan.persistent("out", 1);
        plan.push(Broken::<HOW> { out }).unwrap();
        plan.build(gpu).expect_err("the shader is wrong")
    }
    // Each with the compiler's own words.
    let cases = [
        (build::<0>(gpu), "this is no shader"),
        (build::<1>(gpu), "main"),
        (build::<2>(gpu), "binding: 7"),
        (build::<3>(gpu), "out[0] = 1.0"),
        (build::<4>(gpu), "size"),
        (build::<5>(gpu), "Workgroup size"),
    ];
    for (error, says) in cases {
        assert!(matches!(&error, Error::Plan { kernel, .. } if kernel == "broken"), "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
    }
    gpu.wait().unwrap();
    adds(gpu, 1);
}

#[test]
fn a_tensor_over_the_limit_is_named() {
    let Some(gpu) = gpu() else { return };
    let limit = gpu.report().max_binding.min(gpu.report().max_buffer);
    let Ok(words) = u32::try_from(limit / 4 + 1) else {
        return missing(FEATURES, format_args!("a limit below 16 GiB: here it is {limit} bytes"));
    };
    let mut plan = PlanBuilder::new(gpu.target());
    plan.phase("test");
    plan.persistent("giant.weight", words);
    match plan.build(gpu) {
        Err(Error::TensorTooLarge { tensor, bytes, limit: said }) => {
            assert_eq!((tensor.as_str(), bytes), ("giant.weight", u64::from(words) * 4));
            assert_eq!(said, limit);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_device_within_webgpus_limits_computes() {
    let Some(gpu) = gpu() else { return };
    let adapter = Some(gpu.report().name.clone());
    let options = GpuOptions::default().adapter(adapter).limits(Limits::WebGpu);
    let small = Gpu::open(&options).unwrap();
    assert_eq!((small.report().max_binding, small.report().max_buffer), (128 << 20, 256 << 20));
    adds(&small, 2);
}

/// One rounding each: the nearest f32.
fn sum(x: &[f32], y: &[f32]) -> Vec<f32> {
    x.iter().zip(y).map(|(x, y)| x + y).collect()
}

fn adds(gpu: &Gpu, seed: u64) {
    let mut noise = Noise::new(seed);
    let [a, b] = [1.0, 2.0].map(|scale| noise.floats(100, scale));
    let mut rig = Rig::new(gpu);
    let (x, y, out) = (rig.slot("x", &a), rig.slot("y", &b), rig.output("out", 100));
    rig.push(Add { x, y, out, len: 100, period: 100 });
    let got: Vec<f32> = rig.run().read(out);
    Tol::Exact.check(&got, &sum(&a, &b)).unwrap_or_else(|e| panic!("{e}"));
}

/// One thread's wait may run another's callbacks.
#[test]
fn threads_share_the_device() {
    let Some(gpu) = gpu() else { return };
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || (0..40).for_each(|i| adds(gpu, thread * 1000 + i)));
        }
    });
}

/// A set of queries holds 2,048 launches; a step may have more.
#[test]
fn a_step_of_very_many_launches_is_traced() {
    let Some(gpu) = gpu() else { return };
    let launches = 4_200;
    let mut plan = PlanBuilder::new(gpu.target());
    let [x, y, out] = ["x", "y", "out"].map(|name| plan.persistent(name, 1));
    let phase = plan.phase("test");
    for _ in 0..launches {
        plan.push(Add { x, y, out, len: 1, period: 1 }).unwrap();
    }
    let program = plan.build(gpu).unwrap();
    let Some(mut timestamps) = Timestamps::new(gpu, launches, Instant::now()).unwrap() else {
        missing(FEATURES, format_args!("{} has no timestamps", gpu.report().name));
        return;
    };
    let mut encoder = Encoder::new(gpu);
    program.encode_timed(phase, &mut encoder, &mut timestamps);
    timestamps.resolve(&mut encoder);
    encoder.submit().unwrap();
    let spans = timestamps.read(gpu).unwrap();
    assert_eq!(spans.len(), launches);
    assert!(spans.iter().all(|span| span.kernel == "add" && span.start_ns > 0));
    // In order, but for what the adapter's clock may step back.
    let late = spans.windows(2).filter(|w| w[1].start_ns < w[0].start_ns).count();
    assert!(late * 100 < launches, "{late} launches begin before the one before them");
}
