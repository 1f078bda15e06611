//! `conv2d` and its gradients: every geometry against a sum over pixel pairs, and TensorFlow 1.9's.

use secateur::gpu::{Gpu, Target};
use secateur::kernels::*;
use serde_json::Value;

use crate::common::{Noise, Rig, Tol, U, each_kind, every_target, gpu, shared_targets};

const FORMS: [Form; 3] = [Form::NN, Form::NT, Form::TN];

/// TensorFlow's padding: as many outputs as strides, the odd row or column of zeros behind.
pub(super) fn same(
    images: u32,
    size: [u32; 2],
    [channels, outputs]: [u32; 2],
    kernel: [u32; 2],
) -> Convolution {
    let one = [1, 1];
    let all = Convolution {
        images,
        size,
        channels,
        kernel,
        stride: one,
        dilation: one,
        pad: [0, 0],
        out: size,
        outputs,
        groups: 1,
    };
    padded(all, true)
}

pub(super) fn padded(mut s: Convolution, same: bool) -> Convolution {
    for d in 0..2 {
        let reach = (s.kernel[d] - 1) * s.dilation[d] + 1;
        (s.out[d], s.pad[d]) = if same {
            let out = s.size[d].div_ceil(s.stride[d]);
            (out, ((out - 1) * s.stride[d] + reach).saturating_sub(s.size[d]) / 2)
        } else {
            ((s.size[d] - reach) / s.stride[d] + 1, 0)
        };
    }
    s
}

pub(super) fn geometries() -> Vec<Convolution> {
    let base = same(2, [7, 9], [2, 4], [3, 3]);
    let mut all = vec![
        same(1, [1, 1], [1, 1], [1, 1]),
        base,
        padded(base, false),
        padded(Convolution { stride: [2, 2], ..base }, true),
        padded(Convolution { stride: [2, 3], ..base }, false),
        padded(Convolution { dilation: [2, 2], ..base }, true),
        padded(Convolution { dilation: [3, 2], ..base }, false),
        // A kernel as large as the image, and one that is larger.
        same(3, [4, 5], [3, 2], [4, 5]),
        same(2, [2, 3], [1, 2], [5, 4]),
        // More padding than the kernel reaches into, and a row that nothing reads.
        Convolution { pad: [4, 5], out: [13, 17], ..base },
        Convolution { stride: [5, 4], kernel: [2, 3], pad: [0, 0], out: [2, 2], ..base },
        // One line: a convolution of rank 1.
        padded(Convolution { size: [1, 33], kernel: [1, 5], stride: [1, 2], ..base }, true),
        same(2, [12, 11], [3, 65], [5, 5]),
    ];
    let six = Convolution { channels: 6, outputs: 12, ..base };
    all.extend([2, 3, 6].map(|groups| Convolution { groups, ..six }));
    all.push(padded(Convolution { groups: 6, stride: [2, 1], dilation: [1, 2], ..six }, true));
    all
}

/// One product of `s`, with everything that it can do in the same pass.
#[derive(Debug, Clone, Copy)]
struct Parts {
    form: Form,
    masked: bool,
    bias: bool,
    gate: bool,
}

struct Inputs {
    a: Vec<f32>,
    b: Vec<f32>,
    mask: Vec<u32>,
    bias: Vec<f32>,
    gate: Vec<f32>,
    len: usize,
}

fn inputs(s: &Convolution, form: Form, values: impl Fn(u64, usize) -> Vec<f32>) -> Inputs {
    let [x, w, y] = [s.input_len(), s.weight_len(), s.output_len()].map(|n| n as usize);
    let [a, b, len] = match form {
        Form::NN => [x, w, y],
        Form::NT => [y, w, x],
        Form::TN => [x, y, w],
    };
    let mask = Noise::new(5).words(b.div_ceil(32));
    let bias = values(3, s.outputs as usize);
    Inputs { a: values(1, a), b: values(2, b), mask, bias, gate: values(4, len), len }
}

/// The result in every variant.
fn run(gpu: &Gpu, s: &Convolution, parts: Parts, i: &Inputs) -> Vec<f32> {
    every_target(gpu, |target| run_for(gpu, target, s, parts, i))
}

fn run_for(gpu: &Gpu, target: Target, s: &Convolution, parts: Parts, i: &Inputs) -> Vec<f32> {
    let mut rig = Rig::for_target(gpu, target);
    let (a, b) = (rig.slot("a", &i.a), rig.slot("b", &i.b));
    let (mask, bias) = (rig.slot("mask", &i.mask), rig.slot("bias", &i.bias));
    let (gate, c) = (rig.slot("gate", &i.gate), rig.output("c", i.len));
    let relu = Activation::Relu;
    let mut conv = Conv2d::new(parts.form, *s, [a, b, c]);
    (conv.mask, conv.bias) = (parts.masked.then_some(mask), parts.bias.then_some(bias));
    conv.activation = if parts.bias { relu } else { Activation::Identity };
    conv.gate = parts.gate.then_some((gate, relu));
    conv.push(&mut rig.plan).unwrap_or_else(|e| panic!("{s:?}: {e}"));
    rig.run().read(c)
}

/// Values, and the sums of the terms' magnitudes.
fn want(s: &Convolution, parts: Parts, i: &Inputs) -> Vec<(f64, f64)> {
    let mask = parts.masked.then_some(&i.mask[..]);
    let mut sums = conv2d_reference(parts.form, s, (&i.a, &i.b), mask);
    for (at, (value, _)) in sums.iter_mut().enumerate() {
        if parts.bias {
            *value = (*value + f64::from(i.bias[at % s.outputs as usize])).max(0.0);
        }
        if parts.gate && i.gate[at] <= 0.0 {
            *value = 0.0;
        }
    }
    sums
}

fn all_parts() -> Vec<Parts> {
    let bare = |form| Parts { form, masked: false, bias: false, gate: false };
    let mut all = FORMS.map(bare).to_vec();
    all.push(Parts { bias: true, masked: true, ..bare(Form::NN) });
    all.push(Parts { gate: true, masked: true, ..bare(Form::NT) });
    all.push(Parts { gate: true, ..bare(Form::TN) });
    all
}

#[test]
fn integers_are_exact_in_every_geometry() {
    let Some(gpu) = gpu() else { return };
    for s in geometries() {
        for parts in all_parts() {
            let inputs = inputs(&s, parts.form, |seed, len| Noise::new(seed).integers(len, 3));
            let got = run(gpu, &s, parts, &inputs);
            let want: Vec<f64> = want(&s, parts, &inputs).iter().map(|w| w.0).collect();
            Tol::Exact.check(&got, &want).unwrap_or_else(|e| panic!("{s:?}, {parts:?}: {e}"));
        }
    }
}

#[test]
fn a_product_is_added_to_what_is_there() {
    let Some(gpu) = gpu() else { return };
    for s in geometries() {
        for form in FORMS {
            let parts = Parts { form, masked: false, bias: false, gate: false };
            let inputs = inputs(&s, form, |seed, len| Noise::new(seed).integers(len, 3));
            let got: Vec<f32> = shared_targets(gpu, |target| {
                let mut rig = Rig::for_target(gpu, target);
                let (a, b) = (rig.slot("a", &inputs.a), rig.slot("b", &inputs.b));
                let c = rig.slot("c", &inputs.gate);
                let conv = Conv2d::new(form, s, [a, b, c]);
                conv.push_onto(&mut rig.plan).unwrap_or_else(|e| panic!("{s:?}: {e}"));
                rig.run().read(c)
            });
            let sums = want(&s, parts, &inputs);
            let both = sums.iter().zip(&inputs.gate).map(|((sum, _), c)| sum + f64::from(*c));
            let check = Tol::Exact.check(&got, &both.collect::<Vec<_>>());
            check.unwrap_or_else(|e| panic!("{s:?}, {form:?}: {e}"));
        }
    }
}

#[test]
fn floats_stay_inside_the_bound_of_their_sums() {
    let Some(gpu) = gpu() else { return };
    for s in geometries() {
        for parts in all_parts() {
            let inputs = inputs(&s, parts.form, |seed, len| Noise::new(seed).floats(len, 1.0));
            let (want, magnitudes): (Vec<f64>, Vec<f64>) =
                want(&s, parts, &inputs).into_iter().unzip();
            // Each term rounds once into the sum; the bias of at most 1 once more.
            let terms = (s.weight_len() * s.output_len()) as f64;
            let bound = |m: &f64| 4.0 * terms.sqrt().max(1.0) * U * (m + 1.0);
            let bounds: Vec<f64> = magnitudes.iter().map(bound).collect();
            let run = || each_kind(gpu, |target| run_for(gpu, target, &s, parts, &inputs));
            for (got, again) in run().into_iter().zip(run()) {
                let check = Tol::Within(&bounds).check(&got, &want);
                check.unwrap_or_else(|e| panic!("{s:?}, {parts:?}: {e}"));
                assert!(got.iter().zip(&again).all(|(a, b)| a.to_bits() == b.to_bits()), "{s:?}");
            }
        }
    }
}

/// As many pixels as the larger tiles are for.
#[test]
fn large_images_are_exact() {
    let Some(gpu) = gpu() else { return };
    for s in [same(2, [50, 51], [2, 70], [3, 3]), same(2, [130, 131], [2, 3], [3, 3])] {
        for parts in all_parts() {
            let inputs = inputs(&s, parts.form, |seed, len| Noise::new(seed).integers(len, 3));
            let got = run(gpu, &s, parts, &inputs);
            let want: Vec<f64> = want(&s, parts, &inputs).iter().map(|w| w.0).collect();
            Tol::Exact.check(&got, &want).unwrap_or_else(|e| panic!("{s:?}, {parts:?}: {e}"));
        }
    }
}

/// More terms than one launch sums: 36,864 results of 64 images.
#[test]
fn long_sums_are_split() {
    let Some(gpu) = gpu() else { return };
    let s = same(64, [24, 24], [1, 2], [3, 3]);
    let parts = Parts { form: Form::TN, masked: false, bias: false, gate: true };
    let inputs = inputs(&s, parts.form, |seed, len| Noise::new(seed).integers(len, 3));
    let want: Vec<f64> = want(&s, parts, &inputs).iter().map(|w| w.0).collect();
    Tol::Exact.check(&run(gpu, &s, parts, &inputs), &want).unwrap();
}

#[test]
fn what_does_not_fit_is_refused() {
    let Some(gpu) = gpu() else { return };
    let base = same(2, [7, 9], [2, 4], [3, 3]);
    for (s, what) in [
        (Convolution { groups: 3, ..base }, "3 groups of 2 channels and 4 outputs"),
        (Convolution { stride: [0, 1], ..base }, "extent of 0"),
        (Convolution { groups: 0, ..base }, "extent of 0"),
        (Convolution { stride: [1 << 30, 1], ..base }, "2^31 pixels"),
        (Convolution { images: u32::MAX, ..base }, "elements, at most"),
        (Convolution { out: [9, 9], ..base }, "needs"),
    ] {
        let mut rig = Rig::new(gpu);
        let mut slot = |name, len: u64| rig.output(name, len as usize);
        let [a, b, c] =
            [("a", base.input_len()), ("b", base.weight_len()), ("c", base.output_len())]
                .map(|(name, len)| slot(name, len));
        let conv = Conv2d::new(Form::NN, s, [a, b, c]);
        let error = conv.push(&mut rig.plan).unwrap_err().to_string();
        assert!(error.contains(what), "{error} lacks {what}");
    }
}

fn flat(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        number => vec![number.as_f64().unwrap() as f32],
    }
}

/// TensorFlow 1.9's `masked_conv2d` with ReLU: outputs, and gradients of the sum of their squares.
#[test]
fn upstreams_masked_conv2d_is_reproduced() {
    let Some(gpu) = gpu() else { return };
    let text = crate::paths::golden("masked_conv2d_tf19.json");
    let golden: Value = serde_json::from_str(&text).unwrap();
    let base = same(2, [7, 9], [2, 4], [3, 3]);
    let wave = |len: u64, f: fn(f64) -> f64| (0..len).map(|i| f(i as f64) as f32).collect();
    let x: Vec<f32> = wave(base.input_len(), |i| (0.3 * i).sin());
    let w: Vec<f32> = wave(base.weight_len(), |i| (0.7 * i).cos());
    let kept = |i: usize| !i.is_multiple_of(3);
    let mask: Vec<u32> = (0..w.len().div_ceil(32))
        .map(|m| (0..32).map(|i| u32::from(kept(m * 32 + i)) << i).sum())
        .collect();
    let bias = flat(&golden["bias"]);
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let step = |name: &str| [case[name].as_u64().unwrap() as u32; 2];
        let s = Convolution { stride: step("stride"), dilation: step("rate"), ..base };
        let s = padded(s, case["padding"] == "SAME");
        let out = flat(&case["out"]);
        assert_eq!(out.len() as u64, s.output_len());
        let run = |form, a: &[f32], b: &[f32], forward, len: usize| {
            let gate = vec![1.0; len];
            let (a, b, mask, bias) = (a.to_vec(), b.to_vec(), mask.clone(), bias.clone());
            let inputs = Inputs { a, b, mask, bias, gate, len };
            run(gpu, &s, Parts { form, masked: forward, bias: forward, gate: false }, &inputs)
        };
        // Recorded to six places, of sums of up to 18 terms below 1.
        let near = |what: &str, got: &[f32], want: &[f32], bound: f32| {
            assert_eq!(got.len(), want.len());
            for (i, (got, want)) in got.iter().zip(want).enumerate() {
                assert!((got - want).abs() <= bound, "{case:?}\n{what} {i}: {got}, {want}");
            }
        };
        let got = run(Form::NN, &x, &w, true, out.len());
        near("out", &got, &out, 3e-6);
        // Of the sum of squares; the slope of ReLU is in it, as it is 0 where the output is.
        let dy: Vec<f32> = got.iter().map(|y| 2.0 * y).collect();
        let mut dw = run(Form::TN, &x, &dy, false, w.len());
        (0..w.len()).filter(|&i| !kept(i)).for_each(|i| dw[i] = 0.0);
        // Recorded to four places, of up to 126 terms below 10.
        near("gradient of the kernel", &dw, &flat(&case["grad_kernel_of_sum_sq"]), 4e-4);
        let db: Vec<f32> = (0..4)
            .map(|o| dy[o..].iter().step_by(4).map(|&g| f64::from(g)).sum::<f64>() as f32)
            .collect();
        near("gradient of the bias", &db, &flat(&case["grad_bias"]), 4e-4);
    }
}

/// Of every geometry without groups: copies, so exact.
#[test]
fn patches_are_what_kernels_are_multiplied_with() {
    let Some(gpu) = gpu() else { return };
    let mut compared = 0;
    for shape in geometries().into_iter().filter(|s| s.groups == 1) {
        let x = Noise::new(shape.input_len()).floats(shape.input_len() as usize, 1.0);
        let want = patches_reference(&shape);
        let mut rig = Rig::new(gpu);
        let (x_at, patches) = (rig.slot("x", &x), rig.output("patches", want.len()));
        rig.push(Patches { shape, x: x_at, begin: 0, patches });
        let got: Vec<f32> = rig.run().read(patches);
        let want: Vec<f32> = want.into_iter().map(|at| at.map_or(0.0, |at| x[at])).collect();
        assert_eq!(got, want, "{shape:?}");
        compared += want.iter().filter(|&&x| x == 0.0).count();
    }
    assert!(compared > 100, "padding is seen");
}
