//! `gradient_norm`, `clip_gradient` and `weight_average` against their references.
use secateur::gpu::Gpu;
use secateur::kernels::*;

use super::LENGTHS;
use crate::common::{Noise, Rig, Tol, U, gpu};

/// Around the chunks of 8,192.
fn lengths() -> impl Iterator<Item = usize> {
    LENGTHS.into_iter().chain([8191, 8192, 8193])
}

/// The squared norm by the device, its partial sums behind two of another tensor's.
fn square(
    gpu: &Gpu,
    g: &[f32],
    mask: Option<&[u32]>,
    multiplier: f32,
    value: Option<f32>,
) -> Vec<f32> {
    let (len, mut rig) = (g.len() as u32, Rig::new(gpu));
    let rows = 2 + GradientNorm::chunks(len);
    let gradient = rig.slot("gradient", g);
    let mask = mask.map(|words| rig.slot("mask", words));
    let mut others = vec![f32::NAN; rows as usize];
    others[..2].copy_from_slice(&[3.0, 4.0]);
    let (partials, out) = (rig.slot("partials", &others), rig.output("square", 1));
    rig.push(GradientNorm { gradient, mask, partials, first: 2, len, multiplier, value });
    rig.push(ColumnSum { x: partials, out, rows, columns: 1 });
    rig.run().read::<f32>(out).iter().map(|sum| sum - 7.0).collect()
}

#[test]
fn norms_are_exact_for_integers_and_inside_the_bound_for_floats() {
    let Some(gpu) = gpu() else { return };
    for len in lengths() {
        let mut noise = Noise::new(len as u64);
        // Bits past the end may be set.
        let words = noise.words(len.div_ceil(32));
        for mask in [None, Some(&words[..])] {
            let masked = mask.is_some();
            let context = |e| panic!("{len}, masked {masked}: {e}");
            let integers = noise.integers(len, 8);
            for (multiplier, value) in [(1.0, None), (0.5, None), (2.0, Some(5.0)), (0.0, None)] {
                let got = square(gpu, &integers, mask, multiplier, value);
                let want = gradient_norm_reference(&integers, mask, multiplier, value);
                Tol::Exact.check(&got, &[want]).unwrap_or_else(context);
            }
            let floats = noise.floats(len, 4.0);
            let got = square(gpu, &floats, mask, 0.7, Some(1.9));
            let want = gradient_norm_reference(&floats, mask, 0.7, Some(1.9));
            // The multiplier's rounding, squared, and the 7 that is taken away again.
            let magnitude = [want + 14.0];
            Tol::Sum { terms: len.max(4), magnitude: &magnitude }
                .check(&got, &[want])
                .unwrap_or_else(context);
        }
    }
}

fn clip(
    gpu: &Gpu,
    g: &[f32],
    multiplier: f32,
    value: Option<f32>,
    norm: Option<(f32, f32)>,
) -> Vec<f32> {
    let (len, mut rig) = (g.len() as u32, Rig::new(gpu));
    let gradient = rig.slot("gradient", g);
    let norm = norm.map(|(square, bound)| (rig.slot("square", &[square]), bound));
    rig.push(ClipGradient { gradient, norm, len, multiplier, value });
    rig.run().read(gradient)
}

#[test]
fn clipped_gradients_agree() {
    let Some(gpu) = gpu() else { return };
    for len in lengths() {
        let g = Noise::new(len as u64).floats(len, 4.0);
        for value in [None, Some(1.5)] {
            // Shorter than the bound, as long, longer, and so long that its square is beyond f32.
            for norm in [None, Some((3.9, 2.0)), Some((4.0, 2.0)), Some((50.0, 2.0))] {
                let got = clip(gpu, &g, 0.7, value, norm);
                let wide = norm.map(|(square, bound)| (f64::from(square), bound));
                let want = clip_gradient_reference(&g, 0.7, value, wide);
                // Three products or quotients, and a root that is an inverse of an inverse root.
                let bounds: Vec<f64> = want.iter().map(|w| 12.0 * U * w.abs()).collect();
                Tol::Within(&bounds)
                    .check(&got, &want)
                    .unwrap_or_else(|e| panic!("{len}, {value:?}, {norm:?}: {e}"));
                if norm.is_some_and(|(square, _)| square <= 4.0) {
                    assert_eq!(got, clip(gpu, &g, 0.7, value, None), "a short one is left alone");
                }
            }
        }
    }
}

/// A clip must not hide what will be found in the weights.
#[test]
fn what_is_not_finite_stays_so() {
    let Some(gpu) = gpu() else { return };
    let g = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3.0, -3.0];
    let got = clip(gpu, &g, 1.0, Some(2.0), None);
    let want = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2.0, -2.0];
    Tol::Exact.check(&got, &want).unwrap();
    assert!(square(gpu, &g, None, 1.0, Some(2.0))[0].is_nan());
    // A norm that is not a number, and one beyond f32.
    let got = clip(gpu, &[f32::NAN, 3.0], 1.0, None, Some((f32::NAN, 1.0)));
    Tol::Exact.check(&got, &[f32::NAN, 3.0]).unwrap();
    let got = clip(gpu, &[1e30, 3.0], 1.0, None, Some((f32::INFINITY, 1.0)));
    Tol::Exact.check(&got, &[0.0, 0.0]).unwrap();
    // Pruned weights' gradients do not count.
    assert_eq!(square(gpu, &g, Some(&[0b11000]), 1.0, None), [18.0]);
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
