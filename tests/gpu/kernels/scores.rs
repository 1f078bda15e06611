//! `random_score` and `saliency`.
use secateur::kernels::*;

use super::LENGTHS;
use crate::common::{Noise, Rig, Tol, gpu};

#[test]
fn random_scores_are_a_function_of_seed_and_index() {
    let Some(gpu) = gpu() else { return };
    for len in LENGTHS {
        let mut rig = Rig::new(gpu);
        let (seeds, score) = (rig.slot("seeds", &[3, 0xdead_beef_u32]), rig.output("score", len));
        rig.push(RandomScore { seeds, selection: 1, score, len: len as u32 });
        let got: Vec<f32> = rig.run().read(score);
        let want = random_score_reference(0xdead_beef, len as u32);
        Tol::Exact.check(&got, &want).unwrap_or_else(|e| panic!("{len}: {e}"));
    }
}

/// Uniform: of 70,001 scores the mean is within 5 standard deviations of 1/2, and so is that of the
/// products of neighbours of 1/4.
#[test]
fn random_scores_are_uniform() {
    for seed in [0, 1, u32::MAX] {
        let scores: Vec<f64> =
            random_score_reference(seed, 70_001).into_iter().map(f64::from).collect();
        let n = 70_000.0f64;
        let mean = scores.iter().sum::<f64>() / n;
        let products = scores.windows(2).map(|w| w[0] * w[1]).sum::<f64>() / n;
        assert!((mean - 0.5).abs() < 5.0 * (1.0 / 12.0 / n).sqrt(), "{seed}: {mean}");
        assert!((products - 0.25).abs() < 5.0 * (0.08 / n).sqrt(), "{seed}: {products}");
        assert!(scores.iter().all(|&s| s > 0.0 && s <= 1.0));
    }
}

#[test]
fn saliency_is_one_product() {
    let Some(gpu) = gpu() else { return };
    for len in LENGTHS {
        let mut noise = Noise::new(len as u64);
        let [w, g] = [1.0, 4.0].map(|scale| noise.floats(len, scale));
        let mut rig = Rig::new(gpu);
        let (weights, gradient) = (rig.slot("weights", &w), rig.slot("gradient", &g));
        let score = rig.output("score", len);
        rig.push(Saliency { weights, gradient, score, len: len as u32 });
        let got: Vec<f32> = rig.run().read(score);
        // One rounding: the nearest f32.
        let want: Vec<f32> = saliency_reference(&w, &g).iter().map(|&s| s as f32).collect();
        Tol::Exact.check(&got, &want).unwrap_or_else(|e| panic!("{len}: {e}"));
    }
}
