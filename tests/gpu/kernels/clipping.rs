//! `gradient_norm`, `clip_value`, `clip_norm` and `weight_average` against their references.
use secateur::gpu::Gpu;
use secateur::kernels::*;

use super::LENGTHS;
use crate::common::{Noise, Rig, Tol, U, gpu};

/// Around the chunks of 8,192.
fn lengths() -> impl Iterator<Item = usize> {
    LENGTHS.into_iter().chain([8191, 8192, 8193])
}

/// The squared norm by the device, its partial sums behind two of another tensor's.
fn square(gpu: &Gpu, g: &[f32], mask: Option<&[u32]>) -> f32 {
    let (len, mut rig) = (g.len() as u32, Rig::new(gpu));
    let rows = 2 + GradientNorm::chunks(len);
    let gradient = rig.slot("gradient", g);
    let mask = mask.map(|words| rig.slot("mask", words));
    let mut others = vec![f32::NAN; rows as usize];
    others[..2].copy_from_slice(&[3.0, 4.0]);
    let (partials, out) = (rig.slot("partials", &others), rig.output("square", 1));
    rig.push(GradientNorm { gradient, mask, partials, first: 2, len });
    rig.push(ColumnSum { x: partials, out, rows, columns: 1 });
    rig.run().read::<f32>(out)[0] - 7.0
}

#[test]
fn norms_are_exact_for_integers_and_inside_the_bound_for_floats() {
    let Some(gpu) = gpu() else { return };
    for len in lengths() {
        let mut noise = Noise::new(len as u64);
        let (integers, floats) = (noise.integers(len, 8), noise.floats(len, 4.0));
        // Bits past the end may be set.
        let words = noise.words(len.div_ceil(32));
        for mask in [None, Some(&words[..])] {
            let context = |e| panic!("{len}, masked {}: {e}", mask.is_some());
            let want = gradient_norm_reference(&integers, mask);
            Tol::Exact.check(&[square(gpu, &integers, mask)], &[want]).unwrap_or_else(context);
            let (got, want) = (square(gpu, &floats, mask), gradient_norm_reference(&floats, mask));
            // With the 7 that is taken away again.
            let tolerance = Tol::Sum { terms: len + 2, magnitude: &[want + 14.0] };
            tolerance.check(&[got], &[want]).unwrap_or_else(context);
            assert_eq!(got.to_bits(), square(gpu, &floats, mask).to_bits(), "{len}");
        }
    }
    // Pruned weights' gradients do not count, whatever they are.
    assert_eq!(square(gpu, &[f32::NAN, f32::INFINITY, 3.0, -3.0], Some(&[0b1100])), 18.0);
}

fn clip_value(gpu: &Gpu, g: &[f32], multiplier: f32, value: Option<f32>) -> Vec<f32> {
    let (len, mut rig) = (g.len() as u32, Rig::new(gpu));
    let gradient = rig.slot("gradient", g);
    rig.push(ClipValue { gradient, len, multiplier, value });
    rig.run().read(gradient)
}

fn clip_norm(gpu: &Gpu, g: &[f32], square: f32, bound: f32) -> Vec<f32> {
    let (len, mut rig) = (g.len() as u32, Rig::new(gpu));
    let (gradient, square) = (rig.slot("gradient", g), rig.slot("square", &[square]));
    rig.push(ClipNorm { gradient, square, len, bound });
    rig.run().read(gradient)
}

#[test]
fn clipped_gradients_agree() {
    let Some(gpu) = gpu() else { return };
    for len in lengths() {
        let g = Noise::new(len as u64).floats(len, 4.0);
        for (multiplier, value) in [(0.7, None), (0.7, Some(1.5)), (1.0, Some(1.5)), (0.0, None)] {
            let got = clip_value(gpu, &g, multiplier, value);
            let check = Tol::Ulp(1).check(&got, &clip_value_reference(&g, multiplier, value));
            check.unwrap_or_else(|e| panic!("{len}, {multiplier}, {value:?}: {e}"));
        }
        // Shorter than the bound, as long, and longer.
        for square in [3.9, 4.0, 50.0] {
            let got = clip_norm(gpu, &g, square, 2.0);
            let want = clip_norm_reference(&g, square.into(), 2.0);
            // A product, a quotient of 2.5 units, and a root that is an inverse of an inverse root:
            // 4.5.
            let bounds: Vec<f64> = want.iter().map(|w| 16.0 * U * w.abs()).collect();
            let check = Tol::Within(&bounds).check(&got, &want);
            check.unwrap_or_else(|e| panic!("{len}, {square}: {e}"));
            assert!(square > 4.0 || got == g, "a short one is left alone");
        }
    }
}

/// What was asked for is what a gradient has afterwards.
#[test]
fn a_clipped_gradient_has_the_norm_asked_for() {
    let Some(gpu) = gpu() else { return };
    for len in lengths().filter(|&len| len > 30) {
        let mut noise = Noise::new(len as u64);
        let (g, words) = (noise.floats(len, 4.0), noise.words(len.div_ceil(32)));
        let clipped = clip_norm(gpu, &g, square(gpu, &g, Some(&words)), 0.25);
        let norm = gradient_norm_reference(&clipped, Some(&words)).sqrt();
        assert!((norm - 0.25).abs() < 1e-5, "{len}: {norm}");
    }
}

/// A clip must not hide what will be found in the weights.
#[test]
fn what_is_not_finite_stays_so() {
    let Some(gpu) = gpu() else { return };
    let g = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3.0, -3.0];
    let want = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2.0, -2.0];
    Tol::Exact.check(&clip_value(gpu, &g, 1.0, Some(2.0)), &want).unwrap();
    assert!(square(gpu, &g, None).is_nan());
    // A norm that is not a number, and one beyond f32.
    let got = clip_norm(gpu, &[f32::NAN, 3.0], f32::NAN, 1.0);
    Tol::Exact.check(&got, &[f32::NAN, 3.0]).unwrap();
    assert_eq!(clip_norm(gpu, &[1e30, 3.0], f32::INFINITY, 1.0), [0.0, 0.0]);
}

#[test]
fn averages_agree() {
    let Some(gpu) = gpu() else { return };
    for len in lengths() {
        let mut noise = Noise::new(len as u64);
        let (w, before) = (noise.floats(len, 1.0), noise.floats(len, 1.0));
        for average_decay in [0.0, 0.25, 0.9999] {
            let mut rig = Rig::new(gpu);
            let step = Step { average_decay, ..Default::default() };
            let (weights, slot) = (rig.slot("weights", &w), rig.slot("step", &[step]));
            let average = rig.slot("average", &before);
            rig.push(WeightAverage { weights, step: slot, average, len: len as u32 });
            let got = rig.run().read::<f32>(average);
            let want = weight_average_reference(&w, &before, &step);
            let size = |(w, a): (&f32, &f32)| 4.0 * U * f64::from(w.abs() + a.abs());
            let bounds: Vec<f64> = w.iter().zip(&before).map(size).collect();
            let check = Tol::Within(&bounds).check(&got, &want);
            check.unwrap_or_else(|e| panic!("{len}, {average_decay}: {e}"));
            assert!(average_decay != 0.0 || got == w, "a new average is the weights");
        }
    }
    // What a new average replaces may not be finite.
    let mut rig = Rig::new(gpu);
    let (weights, step) = (rig.slot("weights", &[2.0f32]), rig.slot("step", &[Step::default()]));
    let average = rig.slot("average", &[f32::NAN]);
    rig.push(WeightAverage { weights, step, average, len: 1 });
    assert_eq!(rig.run().read::<f32>(average), [2.0]);
}
