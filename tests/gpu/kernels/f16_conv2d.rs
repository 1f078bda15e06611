//! Convolutions over halves, and their gradients: against sums over pixel pairs in f64.
use secateur::gpu::{Choices, Gpu, Slot, Target};
use secateur::kernels::*;

use super::conv2d::{padded, same};
use crate::common::{Noise, Rig, Tol, U, cooperative_gpu, each_kind, every_target, half_gpu};

const FORMS: [Form; 3] = [Form::NN, Form::NT, Form::TN];
/// Relative error of one rounding to 11 bits, whichever way the device rounds.
const HALF_U: f64 = 1.0 / 1024.0;
/// Smallest step between halves.
const HALF_TINY: f64 = 1.0 / (1 << 24) as f64;

/// Channels and outputs that are whole sixteens and such that are not; strides, holes between
/// weights, kernels larger than images, more padding than a kernel reaches into, and images that are
/// narrower than the terms that an invocation steps over at a time.
fn geometries() -> Vec<Convolution> {
    let base = same(2, [7, 9], [20, 17], [3, 3]);
    vec![
        base,
        padded(Convolution { stride: [2, 3], ..base }, false),
        padded(Convolution { dilation: [2, 2], channels: 16, outputs: 50, ..base }, true),
        Convolution { pad: [4, 5], out: [13, 17], ..base },
        Convolution { stride: [5, 4], kernel: [2, 3], pad: [0, 0], out: [2, 2], ..base },
        padded(Convolution { size: [1, 33], kernel: [1, 5], stride: [1, 2], ..base }, true),
        same(3, [5, 4], [50, 16], [1, 1]),
        same(2, [2, 3], [17, 33], [5, 4]),
        same(5, [3, 1], [32, 20], [3, 3]),
    ]
}

/// Enough pixels and outputs for two of the largest tiles in either direction, which end within one.
fn large() -> Convolution {
    same(2, [13, 12], [17, 150], [3, 2])
}

/// One product, with everything that it can do in the same pass.
#[derive(Debug, Clone, Copy)]
struct Parts {
    form: Form,
    masked: bool,
    bias: bool,
    gate: bool,
    onto: bool,
}

fn all_parts() -> Vec<Parts> {
    let bare = |form| Parts { form, masked: false, bias: false, gate: false, onto: false };
    let mut all = FORMS.map(bare).to_vec();
    all.push(Parts { bias: true, masked: true, ..bare(Form::NN) });
    all.push(Parts { gate: true, masked: true, ..bare(Form::NT) });
    all.push(Parts { gate: true, onto: true, ..bare(Form::TN) });
    all
}

struct Inputs {
    a: Vec<f32>,
    b: Vec<f32>,
    mask: Vec<u32>,
    bias: Vec<f32>,
    gate: Vec<f32>,
    before: Vec<f32>,
}

fn inputs(s: &Convolution, form: Form, values: impl Fn(u64, usize) -> Vec<f32>) -> Inputs {
    let [x, w, y] = [s.input_len(), s.weight_len(), s.output_len()].map(|n| n as usize);
    let [a, b, len] = match form {
        Form::NN => [x, w, y],
        Form::NT => [y, w, x],
        Form::TN => [x, y, w],
    };
    let (mask, bias) = (Noise::new(5).words(b.div_ceil(32)), values(3, s.outputs as usize));
    Inputs {
        a: values(1, a),
        b: values(2, b),
        mask,
        bias,
        gate: values(4, len),
        before: values(6, len),
    }
}

fn integers(s: &Convolution, form: Form) -> Inputs {
    inputs(s, form, |seed, len| Noise::new(seed).integers(len, 3))
}

/// Factors of very different magnitudes.
fn floats(s: &Convolution, form: Form) -> Inputs {
    let scale = |seed| match seed {
        1 => 1e-20,
        2 => 1e18,
        _ => 0.01,
    };
    let values = |seed, len| {
        let noise = Noise::new(seed).floats(len, 1.0);
        noise.into_iter().map(|x| x * scale(seed)).collect::<Vec<_>>()
    };
    inputs(s, form, values)
}

/// Rows of a copy, columns, and rows of a block.
fn layouts(s: &Convolution, form: Form) -> [[u32; 3]; 2] {
    let [pixels, results] = [s.size, s.out].map(|[y, x]| s.images * y * x);
    let taps = s.kernel[0] * s.kernel[1];
    let x = [pixels, s.channels, pixels];
    let w = [taps * s.channels, s.outputs, s.channels];
    let y = [results, s.outputs, results];
    match form {
        Form::NN => [x, w],
        Form::NT => [y, w],
        Form::TN => [x, y],
    }
}

/// The copies, and the product that reads them into a slot with `before`.
fn push(rig: &mut Rig<'_>, s: &Convolution, parts: Parts, i: &Inputs) -> Slot {
    let peaks = rig.output("peaks", 2);
    // Without the guard words behind it, which would be cleared.
    let mut both = peaks;
    both.words = 2;
    rig.push(F16Begin { peaks: both });
    let mask = rig.slot("mask", &i.mask);
    let mut copy = |values: &[f32], at: u32, [rows, columns, block]: [u32; 3], mask| {
        let x = rig.slot("x", values);
        let words = F16Copy::words_in_blocks([rows, columns], block).unwrap();
        let out = rig.output("half", words as usize);
        rig.push(MagnitudePeak::new([x, peaks], at, rows * columns));
        let whole = F16Copy::new([x, peaks, out], at, [rows, columns]);
        rig.push(F16Copy { mask, block, ..whole });
        F16Operand { copy: out, at }
    };
    let [of_a, of_b] = layouts(s, parts.form);
    let operands = [copy(&i.a, 0, of_a, None), copy(&i.b, 1, of_b, parts.masked.then_some(mask))];
    let (bias, gate) = (rig.slot("bias", &i.bias), rig.slot("gate", &i.gate));
    let c = match parts.onto {
        true => rig.slot("c", &i.before),
        false => rig.output("c", i.before.len()),
    };
    let relu = Activation::Relu;
    let mut conv = F16Conv2d::new(parts.form, *s, operands, [peaks, c]);
    conv.bias = parts.bias.then_some(bias);
    conv.activation = if parts.bias { relu } else { Activation::Identity };
    conv.gate = parts.gate.then_some((gate, relu));
    let pushed = if parts.onto { conv.push_onto(&mut rig.plan) } else { conv.push(&mut rig.plan) };
    pushed.unwrap_or_else(|e| panic!("{s:?}: {e}"));
    c
}

fn run(gpu: &Gpu, target: Target, s: &Convolution, parts: Parts, i: &Inputs) -> Vec<f32> {
    let mut rig = Rig::for_target(gpu, target);
    let c = push(&mut rig, s, parts, i);
    rig.run().read(c)
}

/// Values, and bounds on the device's error.
fn want(s: &Convolution, parts: Parts, i: &Inputs) -> (Vec<f64>, Vec<f64>) {
    let mask = parts.masked.then_some(&i.mask[..]);
    let taps = f64::from(s.kernel[0] * s.kernel[1]);
    let terms = match parts.form {
        Form::NN => taps * f64::from(s.channels),
        Form::NT => taps * f64::from(s.outputs),
        Form::TN => f64::from(s.images * s.out[0] * s.out[1]),
    };
    let peak = |x: &[f32]| f64::from(x.iter().map(|x| x.abs()).fold(0.0, f32::max));
    // As `f16::Parts::want` has it: roundings of both factors and of the sum, and what is lost of
    // values far below the largest.
    let lost = terms * peak(&i.a) * peak(&i.b) * 2.0 * HALF_TINY / 16384.0;
    let rounded = 2.0 * HALF_U + HALF_U * HALF_U + 4.0 * terms.sqrt() * U;
    let sums = conv2d_reference(parts.form, s, (&i.a, &i.b), mask).into_iter().enumerate();
    sums.map(|(at, (mut value, magnitude))| {
        let mut bound = rounded * magnitude + lost;
        if parts.onto {
            value += f64::from(i.before[at]);
            bound += U * value.abs();
        }
        if parts.bias {
            value += f64::from(i.bias[at % s.outputs as usize]);
            bound += U * value.abs();
            value = value.max(0.0);
        }
        if parts.gate && i.gate[at] <= 0.0 {
            (value, bound) = (0.0, 0.0);
        }
        (value, bound)
    })
    .unzip()
}

/// Whole numbers, which halves hold and whose sums are exact in any order, and others.
fn check(s: &Convolution, parts: Parts, all: impl Fn(&Inputs) -> Vec<f32>, case: &str) {
    let whole = integers(s, parts.form);
    let (values, _) = want(s, parts, &whole);
    let context = |e| panic!("{s:?}, {parts:?}{case}: {e}");
    Tol::Exact.check(&all(&whole), &values).unwrap_or_else(context);
    let floats = floats(s, parts.form);
    let (values, bounds) = want(s, parts, &floats);
    let got = all(&floats);
    Tol::Within(&bounds).check(&got, &values).unwrap_or_else(context);
    assert!(got == all(&floats), "{s:?}, {parts:?}{case}: two runs differ");
}

#[test]
fn every_geometry_is_exact_or_inside_the_bound() {
    let Some(gpu) = half_gpu() else { return };
    for s in geometries() {
        for parts in all_parts() {
            check(&s, parts, |i| run(gpu, gpu.target(), &s, parts, i), "");
        }
    }
}

/// Split and whole sums, each in every variant of their kind.
#[test]
fn every_variant_gives_the_same_bits() {
    let Some(gpu) = half_gpu() else { return };
    let short = same(1, [5, 6], [17, 20], [2, 2]);
    for parts in all_parts() {
        check(&short, parts, |i| every_target(gpu, |t| run(gpu, t, &short, parts, i)), "");
    }
    let split = same(3, [10, 11], [20, 17], [5, 3]);
    for parts in all_parts() {
        for kind in [0, 1] {
            let all = |i: &Inputs| {
                let kinds = each_kind(gpu, |target| run(gpu, target, &split, parts, i));
                kinds.into_iter().nth(kind).unwrap()
            };
            check(&split, parts, all, [" of software", " of GPUs"][kind]);
        }
    }
}

/// The same on cooperative matrices: `SKIPPED` where the adapter has none.
#[test]
fn every_geometry_is_right_on_cooperative_matrices() {
    let Some(gpu) = cooperative_gpu() else { return };
    let target = Target { software: false, ..gpu.target() };
    for s in geometries() {
        for parts in all_parts() {
            check(&s, parts, |i| run(gpu, target, &s, parts, i), "");
        }
    }
}

/// Every tile on the adapter's matrices, in workgroups that are made for its subgroups and for
/// larger ones.
#[test]
fn tiles_on_matrices_are_right_beside_idle_subgroups() {
    let Some(gpu) = cooperative_gpu() else { return };
    let own = Target { software: false, ..gpu.target() };
    let largest = own.largest_subgroup.unwrap();
    for largest in [1, 2, 8].map(|times| largest * times).into_iter().filter(|&n| n <= 64) {
        let target = Target { largest_subgroup: Some(largest), ..own };
        let names = Tiling::all_f16(target).into_iter().map(Tiling::name);
        for name in names.filter(|name| name.starts_with("matrices")) {
            let mut target = target;
            let mut places = 0..Choices::PLACES;
            assert!(places.all(|place| target.choices.set(place, name)));
            for parts in all_parts() {
                let case = format!(", {name} of {largest}");
                check(&large(), parts, |i| run(gpu, target, &large(), parts, i), &case);
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let Some(gpu) = half_gpu() else { return };
    let base = same(2, [7, 9], [20, 18], [3, 3]);
    for (s, what) in [
        (Convolution { groups: 2, ..base }, "2 groups of channels"),
        (Convolution { stride: [0, 1], ..base }, "extent of 0"),
        (Convolution { out: [9, 9], ..base }, "needs"),
        // Sixteen channels of the copies for each one that there is.
        (Convolution { images: 1 << 17, channels: 1, size: [46, 46], ..base }, "elements, at most"),
    ] {
        let mut rig = Rig::new(gpu);
        let words = [(40 * 126, "a"), (180 * 32, "b"), (2, "peaks"), (126 * 18, "c")];
        let [a, b, peaks, c] = words.map(|(words, name)| rig.output(name, words));
        let operands = [(a, 0), (b, 1)].map(|(copy, at)| F16Operand { copy, at });
        let conv = F16Conv2d::new(Form::NN, s, operands, [peaks, c]);
        let error = conv.push(&mut rig.plan).unwrap_err().to_string();
        assert!(error.contains(what), "{error} lacks {what}");
    }
}
