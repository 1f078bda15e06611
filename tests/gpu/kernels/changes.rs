//! `change_norm` and `change`: running means of how weights change.
use secateur::gpu::Gpu;
use secateur::kernels::*;

use super::LENGTHS;
use super::scores::{bits, saliency};
use crate::common::{Bench, Noise, Rig, Tol, U, gpu};

const INF: f32 = f32::INFINITY;

/// The three launches of a step of [`Change`].
struct Changes<'a> {
    bench: Bench<'a>,
    slots: [secateur::gpu::Slot; 4],
}

impl<'a> Changes<'a> {
    fn new(gpu: &'a Gpu, history: &[f32], gradient: &[f32], decay: f32) -> Self {
        Self::held(gpu, history, gradient, decay, false)
    }

    /// `held` as [`ChangeNorm`] has it.
    fn held(gpu: &'a Gpu, history: &[f32], gradient: &[f32], decay: f32, held: bool) -> Self {
        let mut rig = Rig::new(gpu);
        let len = gradient.len() as u32;
        let (second, rows) = (history.len() > gradient.len(), ChangeNorm::chunks(len));
        let weights = rig.output("weights", len as usize);
        let (history, gradient) = (rig.slot("history", history), rig.slot("gradient", gradient));
        let (partials, total) = (rig.output("partials", rows as usize), rig.output("total", 1));
        rig.push(ChangeNorm { weights, history, partials, len, second, held });
        rig.push(ColumnSum { x: partials, out: total, rows, columns: 1 });
        rig.push(Change { weights, total, history, gradient, len, second, held, decay });
        Self { bench: rig.build(), slots: [weights, history, total, gradient] }
    }

    /// History, `||d||^2` and gradient after a step to `weights`.
    fn step(&self, weights: &[f32]) -> [Vec<f32>; 3] {
        let [slot, history, total, gradient] = self.slots;
        self.bench.upload(slot, weights);
        self.bench.run();
        [history, total, gradient].map(|slot| self.bench.read(slot))
    }
}

#[test]
fn changes_are_within_their_roundings() {
    let Some(gpu) = gpu() else { return };
    for (len, rows) in LENGTHS.into_iter().flat_map(|len| [(len, 1), (len, 2)]) {
        let (mut noise, decay) = (Noise::new(len as u64), 0.75);
        let mut history = noise.floats(len * rows, 1.0);
        let mut gradient: Vec<f32> = noise.floats(len, 0.1).iter().map(|g| g.abs()).collect();
        let changes = Changes::new(gpu, &history, &gradient, decay);
        let again = Changes::new(gpu, &history, &gradient, decay);
        for step in 0..3 {
            let w = noise.floats(len, 1.0);
            let d = change_norm_reference(&w, &history, false);
            // One rounding of |w - old|, or three, of both differences and of theirs.
            let e = |i: usize| {
                let at = |row: usize| f64::from(history[row * len + i]);
                let parts = (f64::from(w[i]) - at(0)).abs();
                U * (d[i] + if rows == 2 { parts + (at(0) - at(1)).abs() } else { 0.0 })
            };
            let want: f64 = d.iter().map(|d| d * d).sum();
            let inherited: f64 = (0..len).map(|i| e(i) * (2.0 * d[i] + e(i))).sum();
            let sum = 4.0 * (len as f64).sqrt() * U * want + inherited;
            let after = changes.step(&w);
            let context = |e| panic!("{len}, {rows} rows, step {step}: {e}");
            Tol::Within(&[sum]).check(&after[1], &[want]).unwrap_or_else(context);

            let total = f64::from(after[1][0]);
            let (keep, take) = (f64::from(decay), 1.0 - f64::from(decay));
            // Inverse root (2 units of 2 u), two products, 1 - decay and the sum; product and sum.
            let bound = |i: usize| {
                let (old, new) = (keep * f64::from(gradient[i]), take / total.sqrt());
                U * (2.0 * old + 8.0 * new * d[i]) + new * e(i)
            };
            let bounds: Vec<f64> = (0..len).map(bound).collect();
            let want = change_reference(&d, total, &gradient, decay);
            Tol::Within(&bounds).check(&after[2], &want).unwrap_or_else(context);
            // The weights, and of second order the weights before them.
            let moved = [&w, &history[..len * (rows - 1)]].concat();
            assert_eq!(bits(&after[0]), bits(&moved), "{len}, {rows} rows, step {step}");
            assert_eq!(after.each_ref().map(|v| bits(v)), again.step(&w).map(|v| bits(&v)));
            [history, _, gradient] = after;
        }
    }
}

/// Upstream's own test: weights 1 to 10, half decay.
#[test]
fn changes_have_upstreams_values() {
    let Some(gpu) = gpu() else { return };
    let w: Vec<f32> = (1..=10).map(|x| x as f32).collect();
    let double: Vec<f32> = w.iter().map(|w| 2.0 * w).collect();
    let want: Vec<f64> = w.iter().map(|&w| 0.5 * f64::from(w) / 385f64.sqrt()).collect();
    // The sums are exact; inverse root, and a product: six roundings of u.
    let bounds: Vec<f64> = want.iter().map(|g| 6.0 * U * g).collect();
    for (history, weights) in [(vec![0.0; 10], &w), ([&w[..], &w].concat(), &double)] {
        let [_, total, gradient] = Changes::new(gpu, &history, &[0.0; 10], 0.5).step(weights);
        assert_eq!(total, [385.0]);
        Tol::Within(&bounds).check(&gradient, &want).unwrap_or_else(|e| panic!("{e}"));
        let score = saliency(gpu, weights, &gradient);
        let product: Vec<f32> = weights.iter().zip(&gradient).map(|(w, g)| w.abs() * g).collect();
        assert_eq!(bits(&score), bits(&product), "|w| g");
    }
}

/// A weight that an update has zeroed did not move by training.
#[test]
fn held_weights_do_not_change() {
    let Some(gpu) = gpu() else { return };
    for (history, total) in [(vec![3.0, 5.0, 1.0], 4.0), (vec![3.0, 5.0, 1.0, 1.0, 1.0, 1.0], 16.0)]
    {
        let w = [1.0, 0.0, 1.0];
        let changes = Changes::held(gpu, &history, &[0.0, 1.0, 0.0], 0.5, true);
        let [after, sum, gradient] = changes.step(&w);
        // |1 - 3| alone, or |1 - 3 - (3 - 1)|.
        assert_eq!((&after[..3], sum), (&w[..], vec![total]));
        Tol::Within(&[6.0 * U; 3])
            .check(&gradient, &[0.5, 0.5, 0.0])
            .unwrap_or_else(|e| panic!("{e}"));
        let moved = Changes::new(gpu, &history, &[0.0, 1.0, 0.0], 0.5).step(&w);
        assert!(moved[1][0] > total && moved[2][0] < 0.4);
    }
}

#[test]
fn changes_of_nothing_and_of_what_is_not_finite() {
    let Some(gpu) = gpu() else { return };
    // Of 1e-8 the squares are under 1e-12, which then divides: d / 1e-6.
    for (w, want) in [([0.0, 0.0], [0.5, 1.0]), ([0.0, 1e-8], [0.5, 1.005])] {
        let got = Changes::new(gpu, &[0.0; 2], &[1.0, 2.0], 0.5).step(&w);
        Tol::Within(&[0.0, 10.0 * U]).check(&got[2], &want).unwrap_or_else(|e| panic!("{e}"));
    }
    let step = |w: [f32; 2]| Changes::new(gpu, &[0.0; 2], &[1.0, 2.0], 0.5).step(&w)[2].clone();
    Tol::Exact.check(&step([f32::NAN, 1.0]), &[f32::NAN; 2]).unwrap();
    // The square is over what f32 holds.
    Tol::Exact.check(&step([1e30, 1.0]), &[0.5, 1.0]).unwrap();
    Tol::Exact.check(&step([-INF, 1.0]), &[f32::NAN, 1.0]).unwrap();
}
