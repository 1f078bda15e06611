//! `matmul` in all forms and with everything that it does in the same pass.
use secateur::gpu::{Gpu, Slot, Target};
use secateur::kernels::*;

use crate::common::{Noise, Rig, Tol, U, each_kind, every_target, gpu, shared_targets};

const FORMS: [Form; 3] = [Form::NN, Form::NT, Form::TN];
const SIZES: [usize; 7] = [1, 3, 31, 33, 64, 65, 100];

/// What goes into a product besides the sizes.
struct Inputs {
    a: Vec<f32>,
    b: Vec<f32>,
    mask: Vec<u32>,
    bias: Vec<f32>,
    gate: Vec<f32>,
}

impl Inputs {
    /// Whole numbers, whose sums are exact.
    fn integers([m, n, k]: [usize; 3]) -> Self {
        let mut noise = Noise::new((m * n * k) as u64);
        let [a, b] = [m * k, k * n].map(|len| noise.integers(len, 4));
        let [bias, gate] = [n, m * n].map(|len| noise.integers(len, 4));
        Self { a, b, mask: noise.words((k * n).div_ceil(32)), bias, gate }
    }

    fn floats([m, n, k]: [usize; 3]) -> Self {
        let mut noise = Noise::new((m * n * k) as u64);
        let [a, b, bias, gate] = [m * k, k * n, n, m * n].map(|len| noise.floats(len, 1.0));
        Self { a, b, mask: noise.words((k * n).div_ceil(32)), bias, gate }
    }
}

/// Which of the optional parts a product has.
#[derive(Debug, Clone, Copy)]
struct Parts {
    form: Form,
    masked: bool,
    bias: bool,
    activation: Activation,
    gate: Option<Activation>,
}

impl Parts {
    fn bare(form: Form, masked: bool) -> Self {
        Self { form, masked, bias: false, activation: Activation::Identity, gate: None }
    }

    /// Values and bounds on the device's error.
    fn want(self, inputs: &Inputs, [m, n, k]: [usize; 3]) -> (Vec<f64>, Vec<f64>) {
        let mask = self.masked.then_some(&inputs.mask[..]);
        let sums = matmul_reference(self.form, (&inputs.a, &inputs.b), mask, [m, n, k]);
        let one = |(at, (mut value, magnitude)): (usize, (f64, f64))| {
            let mut bound = 4.0 * (k as f64).sqrt() * U * magnitude;
            if self.bias {
                value += f64::from(inputs.bias[at % n]);
                bound += U * value.abs();
            }
            value = self.activation.apply(value);
            // 1 - 2 / (exp(2x) + 1): exp is within 3 + 2|2x| units, and division within 2.5; both
            // weigh at most r = 2 / (e + 1) <= 2, and r e / (e + 1) * |x| stays below 1/4.
            bound += if self.activation == Activation::Tanh { 20.0 * U } else { 0.0 };
            if let Some(gate) = self.gate {
                let slope = gate.slope(f64::from(inputs.gate[at]));
                // The slope takes two roundings of numbers below 1, the product one.
                bound = bound * slope.abs() + 3.0 * U * value.abs();
                value *= slope;
            }
            (value, bound)
        };
        sums.into_iter().enumerate().map(one).unzip()
    }
}

/// Results of `parts` over the same inputs, in every variant.
fn run(gpu: &Gpu, parts: &[Parts], inputs: &Inputs, size: [usize; 3]) -> Vec<Vec<f32>> {
    every_target(gpu, |target| run_for(gpu, target, parts, inputs, size))
}

/// The same in the variants of [`shared_targets`].
fn run_shared(gpu: &Gpu, parts: &[Parts], inputs: &Inputs, size: [usize; 3]) -> Vec<Vec<f32>> {
    shared_targets(gpu, |target| run_for(gpu, target, parts, inputs, size))
}

fn run_for(
    gpu: &Gpu,
    target: Target,
    parts: &[Parts],
    inputs: &Inputs,
    size: [usize; 3],
) -> Vec<Vec<f32>> {
    let mut rig = Rig::for_target(gpu, target);
    let (a, b) = (rig.slot("a", &inputs.a), rig.slot("b", &inputs.b));
    let (mask, bias) = (rig.slot("mask", &inputs.mask), rig.slot("bias", &inputs.bias));
    let gate = rig.slot("gate", &inputs.gate);
    let [m, n, k] = size.map(|x| x as u32);
    let mut product = |part: &Parts| -> Slot {
        let c = rig.output("c", size[0] * size[1]);
        let mut product = Matmul::new(part.form, [a, b, c], [m, n, k]);
        (product.mask, product.bias) = (part.masked.then_some(mask), part.bias.then_some(bias));
        product.activation = part.activation;
        product.gate = part.gate.map(|activation| (gate, activation));
        product.push(&mut rig.plan).unwrap_or_else(|e| panic!("{e}"));
        c
    };
    let results: Vec<Slot> = parts.iter().map(&mut product).collect();
    let bench = rig.run();
    results.into_iter().map(|c| bench.read(c)).collect()
}

fn bare() -> Vec<Parts> {
    FORMS.iter().flat_map(|&form| [false, true].map(|masked| Parts::bare(form, masked))).collect()
}

#[test]
fn integers_are_exact_at_every_size() {
    let Some(gpu) = gpu() else { return };
    let sizes = SIZES.iter().flat_map(|&m| SIZES.iter().map(move |&n| (m, n)));
    for size in sizes.flat_map(|(m, n)| SIZES.map(|k| [m, n, k])) {
        let inputs = Inputs::integers(size);
        for (parts, got) in bare().into_iter().zip(run(gpu, &bare(), &inputs, size)) {
            let (want, _) = parts.want(&inputs, size);
            Tol::Exact.check(&got, &want).unwrap_or_else(|e| panic!("{size:?}, {parts:?}: {e}"));
        }
    }
}

#[test]
fn floats_stay_inside_the_bound_of_their_sums() {
    let Some(gpu) = gpu() else { return };
    for size in [[1, 1, 1], [33, 65, 100], [5, 7, 4096], [3, 2, 30_000]] {
        let inputs = Inputs::floats(size);
        let all = bare();
        for results in each_kind(gpu, |target| run_for(gpu, target, &all, &inputs, size)) {
            for (parts, got) in all.iter().zip(results) {
                let (want, bounds) = parts.want(&inputs, size);
                let check = Tol::Within(&bounds).check(&got, &want);
                check.unwrap_or_else(|e| panic!("{size:?}, {parts:?}: {e}"));
            }
        }
    }
}

#[test]
fn bias_activation_and_gate_are_exact_or_inside_the_bound() {
    let Some(gpu) = gpu() else { return };
    let size = [33, 65, 31];
    // Each part on its own and all together: each combination is a pipeline to compile.
    let parts = [
        (Form::NN, true, Activation::Identity, None),
        (Form::NN, true, Activation::Relu, None),
        (Form::NN, true, Activation::Tanh, None),
        (Form::NT, false, Activation::Identity, Some(Activation::Relu)),
        (Form::NT, false, Activation::Identity, Some(Activation::Tanh)),
        (Form::TN, true, Activation::Relu, Some(Activation::Tanh)),
    ];
    let parts = parts.map(|(form, bias, activation, gate)| Parts {
        form,
        masked: bias,
        bias,
        activation,
        gate,
    });
    let [integers, floats] = [Inputs::integers(size), Inputs::floats(size)];
    let [exact, close] = [&integers, &floats].map(|i| run_shared(gpu, &parts, i, size));
    let results = exact.into_iter().zip(close);
    for (parts, (exact, close)) in parts.into_iter().zip(results) {
        let context = |e| panic!("{parts:?}: {e}");
        if parts.activation != Activation::Tanh {
            let (want, _) = parts.want(&integers, size);
            Tol::Exact.check(&exact, &want).unwrap_or_else(context);
        }
        let (want, bounds) = parts.want(&floats, size);
        Tol::Within(&bounds).check(&close, &want).unwrap_or_else(context);
    }
}

/// More terms than one invocation may add: three launches, of which the last does the rest.
#[test]
fn a_split_product_is_exact() {
    let Some(gpu) = gpu() else { return };
    for size in [[3, 5, 70_000], [1, 1, 30_000], [2, 1, 30_001], [1, 3, 60_000]] {
        let inputs = Inputs::integers(size);
        let (activation, gate) = (Activation::Relu, Some(Activation::Tanh));
        let whole = Parts { bias: true, activation, gate, ..Parts::bare(Form::NT, true) };
        let parts = [Parts::bare(Form::NN, false), Parts::bare(Form::TN, true), whole];
        for (parts, got) in parts.iter().zip(run_shared(gpu, &parts, &inputs, size)) {
            let (want, _) = parts.want(&inputs, size);
            Tol::Exact.check(&got, &want).unwrap_or_else(|e| panic!("{size:?}, {parts:?}: {e}"));
        }
    }
}

/// Also where the terms take several launches.
#[test]
fn a_product_is_added_to_what_is_there() {
    let Some(gpu) = gpu() else { return };
    for size in [[1, 1, 1], [33, 65, 31], [100, 31, 33], [3, 5, 70_000]] {
        let inputs = Inputs::integers(size);
        for form in FORMS {
            let got: Vec<f32> = shared_targets(gpu, |target| {
                let mut rig = Rig::for_target(gpu, target);
                let (a, b) = (rig.slot("a", &inputs.a), rig.slot("b", &inputs.b));
                let c = rig.slot("c", &inputs.gate);
                let mut product = Matmul::new(form, [a, b, c], size.map(|x| x as u32));
                product.bias = Some(rig.slot("bias", &inputs.bias));
                product.activation = Activation::Relu;
                product.push_onto(&mut rig.plan).unwrap_or_else(|e| panic!("{e}"));
                rig.run().read(c)
            });
            let (sums, _) = Parts::bare(form, false).want(&inputs, size);
            let bias = inputs.bias.iter().cycle();
            let all = sums.iter().zip(&inputs.gate).zip(bias);
            let want = all.map(|((sum, c), b)| (sum + f64::from(*c) + f64::from(*b)).max(0.0));
            let check = Tol::Exact.check(&got, &want.collect::<Vec<_>>());
            check.unwrap_or_else(|e| panic!("{size:?}, {form:?}: {e}"));
        }
    }
}

/// As many rows and columns as the larger tiles are for, and a few more.
#[test]
fn large_products_are_exact() {
    let Some(gpu) = gpu() else { return };
    for (size, all) in [
        ([520, 510, 35], vec![bare()[0], bare()[3], bare()[4]]),
        ([2050, 2000, 19], vec![bare()[1], bare()[4]]),
    ] {
        let inputs = Inputs::integers(size);
        for (parts, got) in all.iter().zip(run(gpu, &all, &inputs, size)) {
            let (want, _) = parts.want(&inputs, size);
            Tol::Exact.check(&got, &want).unwrap_or_else(|e| panic!("{size:?}, {parts:?}: {e}"));
        }
    }
}

#[test]
fn products_repeat_bit_for_bit() {
    let Some(gpu) = gpu() else { return };
    let size = [65, 100, 1000];
    let inputs = Inputs::floats(size);
    let work = |target| run_for(gpu, target, &bare(), &inputs, size);
    let bits = || each_kind(gpu, work).concat().concat().into_iter().map(f32::to_bits);
    assert!(bits().eq(bits()));
}
