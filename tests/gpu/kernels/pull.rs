//! What draws weights to their projection, and what ranks them by Adam's second moments.
use secateur::Gpu;
use secateur::kernels::*;

use super::LENGTHS;
use super::scores::bits;
use crate::common::{Noise, Rig, Tol, U, gpu};

/// Weights, anchors of which each seventh is 0, and a mask whose bits past the end may be set.
fn drawn(len: usize) -> (Vec<f32>, Vec<f32>, Vec<u32>) {
    let mut noise = Noise::new(len as u64);
    let [w, mut a] = [1.0, 2.0].map(|scale| noise.floats(len, scale));
    a.iter_mut().step_by(7).for_each(|a| *a = 0.0);
    (w, a, noise.words(len.div_ceil(32)))
}

fn lift(gpu: &Gpu, w: &[f32], mask: &[u32], a: &[f32]) -> Vec<f32> {
    let (len, mut rig) = (w.len() as u32, Rig::new(gpu));
    let (weights, mask) = (rig.slot("weights", w), rig.slot("mask", mask));
    let anchor = rig.slot("anchor", a);
    rig.push(Lift { weights, mask, anchor, len });
    rig.run().read(anchor)
}

#[test]
fn what_is_ranked_is_the_weight_and_its_dual() {
    let Some(gpu) = gpu() else { return };
    for len in LENGTHS {
        let (w, a, mask) = drawn(len);
        let (got, want) = (lift(gpu, &w, &mask, &a), lift_reference(&w, &mask, &a));
        let bounds: Vec<f64> = want.iter().map(|x| U * x.abs()).collect();
        Tol::Within(&bounds).check(&got, &want).unwrap_or_else(|e| panic!("{len}: {e}"));
        // What was kept has no dual: its bits are the weight's.
        let kept = (0..len).filter(|&i| bit(&mask, i));
        kept.for_each(|i| assert_eq!(got[i].to_bits(), w[i].to_bits(), "{len}: {i}"));
        assert_eq!(bits(&got), bits(&lift(gpu, &w, &mask, &a)), "{len}: not the same again");
    }
}

fn pull(gpu: &Gpu, [w, a, g]: [&[f32]; 3], mask: &[u32], penalty: f32) -> Vec<f32> {
    let (len, mut rig) = (w.len() as u32, Rig::new(gpu));
    let (weights, mask) = (rig.slot("weights", w), rig.slot("mask", mask));
    let (anchor, gradient) = (rig.slot("anchor", a), rig.slot("gradient", g));
    rig.push(Pull { weights, mask, anchor, gradient, len, penalty });
    rig.run().read(gradient)
}

#[test]
fn a_penalty_draws_kept_weights_to_their_anchor_and_pruned_ones_away() {
    let Some(gpu) = gpu() else { return };
    for len in LENGTHS {
        let (w, a, mask) = drawn(len);
        let g = Noise::new(len as u64 + 1).floats(len, 0.1);
        let got = pull(gpu, [&w, &a, &g], &mask, 0.03);
        let want = pull_reference([&w, &a, &g], &mask, 0.03);
        // A sum, a product and a sum: three roundings of terms no larger than these.
        let size = |i: usize| f64::from(g[i].abs()) + 0.03 * f64::from(w[i].abs() + a[i].abs());
        let bounds: Vec<f64> = (0..len).map(|i| 3.0 * U * size(i)).collect();
        Tol::Within(&bounds).check(&got, &want).unwrap_or_else(|e| panic!("{len}: {e}"));
        let again = pull(gpu, [&w, &a, &g], &mask, 0.03);
        assert_eq!(bits(&got), bits(&again), "{len}: not the same again");
    }
    // Kept and pruned, drawn and not.
    let (w, a, g) = ([1.0; 4], [3.0, 3.0, 0.0, -0.0], [0.5; 4]);
    assert_eq!(pull(gpu, [&w, &a, &g], &[0b0101], 0.25), [0.0, 1.5, 0.5, 0.0]);
}

/// The gradient is that of the penalty, by central differences in f64.
#[test]
fn the_pull_is_the_gradient_of_the_penalty() {
    let len = 33;
    let (w, a, mask) = drawn(len);
    let penalty = |w: f64, i: usize| match bit(&mask, i) {
        true => 0.03 / 2.0 * (w - f64::from(a[i])).powi(2),
        false => 0.03 / 2.0 * (w + f64::from(a[i])).powi(2),
    };
    let got = pull_reference([&w, &a, &vec![0.0; len]], &mask, 0.03);
    for i in (0..len).filter(|&i| a[i] != 0.0) {
        let (at, h) = (f64::from(w[i]), 1e-3);
        let want = (penalty(at + h, i) - penalty(at - h, i)) / (2.0 * h);
        // Of a parabola the differences are exact; 0.03 is an f32 in the reference.
        assert!((got[i] - want).abs() < 1e-7, "{i}: {}, {want}", got[i]);
    }
}

#[test]
fn settled_weights_are_their_projection() {
    let Some(gpu) = gpu() else { return };
    for len in LENGTHS {
        let (w, a, words) = drawn(len);
        let mut rig = Rig::new(gpu);
        let (mask, weights) = (rig.slot("mask", &words), rig.slot("weights", &w));
        let anchor = rig.slot("anchor", &a);
        rig.push(Settle { mask, weights, anchor, len: len as u32 });
        let bench = rig.run();
        let got: Vec<f32> = bench.read(weights);
        assert_eq!(bits(&got), bits(&apply_mask_reference(&words, &w)), "{len}");
        assert_eq!(bits(&bench.read::<f32>(anchor)), vec![0; len], "{len}");
    }
}

fn fisher(gpu: &Gpu, w: &[f32], v: &[f32]) -> Vec<f32> {
    let (len, mut rig) = (w.len(), Rig::new(gpu));
    let (weights, second) = (rig.slot("weights", w), rig.slot("second", v));
    let score = rig.output("score", len);
    rig.push(Fisher { weights, second, score, len: len as u32 });
    rig.run().read(score)
}

#[test]
fn a_root_of_second_moments_weighs_the_weights() {
    let Some(gpu) = gpu() else { return };
    for len in LENGTHS {
        let mut noise = Noise::new(len as u64);
        let w = noise.floats(len, 1.0);
        let v: Vec<f32> = noise.floats(len, 1e-3).iter().map(|x| x * x).collect();
        let want = fisher_reference(&w, &v);
        // A root is the inverse of an inverse root: 2 + 2.5 units of 2 u; and the product.
        let bounds: Vec<f64> = want.iter().map(|s| 10.0 * U * s).collect();
        let got = fisher(gpu, &w, &v);
        Tol::Within(&bounds).check(&got, &want).unwrap_or_else(|e| panic!("{len}: {e}"));
        assert!(got.iter().all(|s| s.is_sign_positive()), "{len}");
        assert_eq!(bits(&got), bits(&fisher(gpu, &w, &v)), "{len}: not the same again");
    }
    let got = fisher(gpu, &[f32::NAN, 0.0, 2.0], &[1.0, 4.0, f32::NAN]);
    Tol::Exact.check(&got, &[f32::NAN, 0.0, f32::NAN]).unwrap();
}
