//! `softmax_cross_entropy`, `log_loss` and `correct`.
use secateur::gpu::Gpu;
use secateur::kernels::*;

use super::LENGTHS;
use crate::common::{Noise, Rig, Tol, U, gpu};

/// Relative errors that WGSL allows: `exp(x)` 3 + 2|x| units in the last place, of 2 u each, and |x|
/// roundings of `x` itself; division 2.5 units.
fn exp_error(x: f64) -> f64 {
    (6.0 + 5.0 * x.abs()) * U
}
const DIVISION: f64 = 5.0 * U;

/// `log(x)`: 3 units, or 2^-21 where the result is near 0.
fn log_error(x: f64) -> f64 {
    if (0.5..=2.0).contains(&x) { 2f64.powi(-21) } else { 6.0 * U * x.ln().abs() }
}

fn step(rows: usize) -> Step {
    Step { rows: rows as u32, ..Step::default() }
}

/// Losses and gradient of the device.
fn softmax(
    gpu: &Gpu,
    logits: &[f32],
    labels: &[u32],
    smoothing: f32,
    step: Step,
) -> (Vec<f32>, Vec<f32>) {
    let (batch, classes) = (labels.len() as u32, (logits.len() / labels.len()) as u32);
    let mut rig = Rig::new(gpu);
    let losses = rig.output("losses", labels.len());
    let gradient = rig.output("gradient", logits.len());
    let (logits, labels) = (rig.slot("logits", logits), rig.slot("labels", labels));
    let step = rig.slot("step", &[step]);
    rig.push(SoftmaxCrossEntropy {
        logits,
        labels,
        step,
        losses,
        gradient,
        batch,
        classes,
        repeat: 1,
        smoothing,
    });
    let bench = rig.run();
    (bench.read(losses), bench.read(gradient))
}

/// Bounds on the errors of one row's loss and gradient.
fn softmax_bounds(row: &[f32], label: usize, rows: f64) -> (f64, Vec<f64>) {
    let highest = f64::from(row.iter().copied().fold(f32::MIN, f32::max));
    let shifted: Vec<f64> = row.iter().map(|z| f64::from(*z) - highest).collect();
    let sum: f64 = shifted.iter().map(|x| x.exp()).sum();
    let in_sum =
        shifted.iter().map(|x| x.exp() * exp_error(*x)).sum::<f64>() / sum + row.len() as f64 * U;
    // The logarithm, two differences of at most |shifted|, and the product with the scale.
    let loss = sum.ln() - shifted[label];
    let in_loss = log_error(sum) + in_sum + U * shifted[label].abs() + (2.0 * U + DIVISION) * loss;
    let gradient = |(j, x): (usize, &f64)| {
        let p = x.exp() / sum;
        let hit = f64::from(u8::from(j == label));
        p * (exp_error(*x) + in_sum + DIVISION) + (2.0 * U + DIVISION) * (p - hit).abs()
    };
    (in_loss / rows, shifted.iter().enumerate().map(|at| gradient(at) / rows).collect())
}

#[test]
fn softmax_cross_entropy_is_inside_its_bounds() {
    let Some(gpu) = gpu() else { return };
    let sizes = [1usize, 63, 64, 65, 257, 1000].map(|batch| (batch, 10));
    for (batch, classes) in sizes.into_iter().chain([(33, 2), (33, 3), (5, 1000)]) {
        for scale in [1.0, 30.0, 1e4] {
            for rows in [batch, batch.div_ceil(2)] {
                let mut noise = Noise::new(batch as u64);
                let mut logits = noise.floats(batch * classes, scale);
                logits[..classes].fill(scale);
                let labels = noise.below(batch, classes as u32);
                let step = step(rows);
                let (losses, gradient) = softmax(gpu, &logits, &labels, 0.0, step);
                let want = softmax_cross_entropy_reference(&logits, &labels, classes, 0.0, &step);
                let row = |(row, &label)| softmax_bounds(row, label as usize, rows as f64);
                let bounds = logits.chunks(classes).zip(&labels).map(row);
                let (mut in_losses, in_gradient): (Vec<_>, Vec<_>) = bounds.unzip();
                let mut in_gradient = in_gradient.concat();
                // Padding is exactly 0.
                in_losses[rows..].fill(0.0);
                in_gradient[rows * classes..].fill(0.0);
                let context = |e| panic!("{batch} x {classes}, scale {scale}, {rows} rows: {e}");
                Tol::Within(&in_losses).check(&losses, &want.0).unwrap_or_else(context);
                Tol::Within(&in_gradient).check(&gradient, &want.1).unwrap_or_else(context);
            }
        }
    }
}

/// The device may compute a sigmoid that is off by `delta`: how far `f` moves with it.
fn spread(f: impl Fn(f64) -> f64, p: f64, delta: f64) -> f64 {
    let here = f(p);
    let moved = |at: f64| (f(at.clamp(0.0, 1.0)) - here).abs();
    moved(p - delta).max(moved(p + delta))
}

#[test]
fn log_loss_is_inside_its_bounds() {
    let Some(gpu) = gpu() else { return };
    for batch in LENGTHS {
        let rows = batch.div_ceil(2);
        let mut noise = Noise::new(batch as u64);
        let scale = [1.0, 10.0, 100.0][batch % 3];
        let (z, y) = (noise.floats(batch, scale), noise.below(batch, 2));
        let (epsilon, valid) = (1e-7, step(rows));
        let mut rig = Rig::new(gpu);
        let (logits, labels) = (rig.slot("logits", &z), rig.slot("labels", &y));
        let (losses, gradient) = (rig.output("losses", batch), rig.output("gradient", batch));
        let step = rig.slot("step", &[valid]);
        rig.push(LogLoss { logits, labels, step, losses, gradient, batch: batch as u32, epsilon });
        let bench = rig.run();

        let bound = |(i, (z, y)): (usize, (&f32, &u32))| {
            if i >= rows {
                return (0.0, 0.0);
            }
            let e = (-f64::from(*z)).exp();
            let p = 1.0 / (1.0 + e);
            let delta = p * (e / (1.0 + e) * exp_error(f64::from(*z)) + U + DIVISION) + 2.0 * U;
            let epsilon = f64::from(epsilon);
            let inside = |p: f64| if *y == 1 { p + epsilon } else { 1.0 - p + epsilon };
            let slope = |p: f64| p * (1.0 - p) / inside(p);
            let in_loss = spread(|p| inside(p).ln(), p, delta)
                + log_error(inside(p))
                + (2.0 * U + DIVISION) * inside(p).ln().abs();
            let in_gradient = spread(slope, p, delta) + (4.0 * U + 2.0 * DIVISION) * slope(p);
            (in_loss / rows as f64, in_gradient / rows as f64)
        };
        let (in_losses, in_gradient): (Vec<f64>, Vec<f64>) =
            z.iter().zip(&y).enumerate().map(bound).unzip();
        let want = log_loss_reference(&z, &y, epsilon, &valid);
        let context = |e| panic!("{batch}: {e}");
        let (losses, gradient): (Vec<f32>, Vec<f32>) = (bench.read(losses), bench.read(gradient));
        Tol::Within(&in_losses).check(&losses, &want.0).unwrap_or_else(context);
        Tol::Within(&in_gradient).check(&gradient, &want.1).unwrap_or_else(context);
    }
}

/// Few distinct logits, so that ties for the highest are common.
#[test]
fn correct_counts_ties_for_the_lowest_class() {
    let Some(gpu) = gpu() else { return };
    for batch in LENGTHS {
        for classes in [1, 2, 10] {
            let mut noise = Noise::new(batch as u64);
            let scores = noise.integers(batch * classes, 2);
            let y = noise.below(batch, (classes as u32).max(2));
            let valid = step(batch.div_ceil(2));
            let mut rig = Rig::new(gpu);
            let (logits, labels) = (rig.slot("logits", &scores), rig.slot("labels", &y));
            let (step, correct) = (rig.slot("step", &[valid]), rig.output("correct", batch));
            let (n, columns) = (batch as u32, classes as u32);
            rig.push(Correct {
                logits,
                labels,
                step,
                correct,
                batch: n,
                classes: columns,
                repeat: 1,
            });
            let got: Vec<f32> = rig.run().read(correct);
            let want = correct_reference(&scores, &y, classes, &valid);
            Tol::Exact.check(&got, &want).unwrap_or_else(|e| panic!("{batch} x {classes}: {e}"));
        }
    }
}
