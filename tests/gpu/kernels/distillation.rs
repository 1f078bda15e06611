//! `distillation`: the losses of a student against its teacher and its labels.
use secateur::gpu::Gpu;
use secateur::kernels::*;

use super::loss::{DIVISION, exp_error, log_error, row_roundings, step};
use crate::common::{Noise, Rig, Tol, U, gpu};

/// Rows of the student, of the teacher, and their labels.
struct Case {
    z: Vec<f32>,
    t: Vec<f32>,
    labels: Vec<u32>,
    /// Temperature and share.
    settings: [f32; 2],
}

impl Case {
    fn classes(&self) -> usize {
        self.z.len() / self.labels.len()
    }

    /// Losses and gradient of the device, of `rows` valid rows of `repeat` positions each.
    fn run(&self, gpu: &Gpu, rows: usize, repeat: usize) -> [Vec<f32>; 2] {
        let (batch, [temperature, share]) = (self.labels.len(), self.settings);
        let mut rig = Rig::new(gpu);
        let losses = rig.output("losses", batch);
        let (logits, teacher) = (rig.slot("logits", &self.z), rig.slot("teacher", &self.t));
        let (labels, step) = (rig.slot("labels", &self.labels), rig.slot("step", &[step(rows)]));
        rig.push(Distillation {
            logits,
            labels,
            step,
            losses,
            teacher,
            batch: batch as u32,
            classes: self.classes() as u32,
            repeat: repeat as u32,
            temperature,
            share,
        });
        let bench = rig.run();
        [losses, teacher].map(|slot| bench.read(slot))
    }

    fn reference(&self, rows: usize) -> (Vec<f64>, Vec<f64>) {
        let [z, t] = [&self.z, &self.t].map(|x| x.iter().map(|&x| x.into()).collect::<Vec<_>>());
        distillation_reference(&z, &t, &self.labels, self.settings, &step(rows))
    }

    /// Bounds on the errors of row `i`'s loss and gradient, of `rows`.
    fn bounds(&self, i: usize, rows: f64) -> (f64, Vec<f64>) {
        let (classes, label) = (self.classes(), self.labels[i] as usize);
        let [temperature, share] = self.settings.map(f64::from);
        let [z, t] = [&self.z, &self.t].map(|x| &x[i * classes..][..classes]);
        let hard = Softmax::of(z, 1.0);
        let [q, p] = [z, t].map(|x| Softmax::of(x, temperature));
        // Both logits are off by three roundings each, their difference by one more, what it is
        // multiplied with by its own error and the product by one; then the sum and the quotient.
        let along = |j: usize| {
            let (d, s) = (p.x[j], q.x[j]);
            let own = 3.0 * U * (d.abs() + s.abs()) + U * (d - s).abs();
            let rest = p.exp[j] + p.in_sum + row_roundings(classes) + U + DIVISION;
            p.share[j] * (own + rest * (d - s).abs())
        };
        let along: f64 = (0..classes).map(along).sum();
        let logs = log_error(q.sum) + log_error(p.sum) + q.in_sum + p.in_sum;
        let logs = logs + U * (q.sum.ln() - p.sum.ln()).abs();
        let apart: f64 =
            (0..classes).map(|j| p.share[j] * (p.x[j] - p.sum.ln() - q.x[j] + q.sum.ln())).sum();
        let missed = hard.sum.ln() - hard.x[label];
        let in_missed = log_error(hard.sum) + hard.in_sum + U * (hard.x[label].abs() + missed);
        let (of_teacher, of_label) = (share * temperature * temperature, 1.0 - share);
        // Three products with what the teacher counts, two with what the label does, their sum, and
        // the scale, itself a quotient and a product.
        let in_loss = of_teacher * (along + logs + U * apart)
            + of_label * in_missed
            + (6.0 * U + DIVISION) * (of_teacher * apart.abs() + of_label * missed);
        let in_gradient = (0..classes).map(|j| {
            let hit = f64::from(u8::from(j == label));
            let soft = q.in_share(j) + p.in_share(j) + 3.0 * U * (q.share[j] - p.share[j]).abs();
            let of_hit = hard.in_share(j) + 3.0 * U * (hard.share[j] - hit).abs();
            let all = share * temperature * (q.share[j] - p.share[j]).abs()
                + of_label * (hard.share[j] - hit).abs();
            share * temperature * soft + of_label * of_hit + (2.0 * U + DIVISION) * all
        });
        (1.01 * in_loss / rows, in_gradient.map(|bound| 1.01 * bound / rows).collect())
    }
}

/// A row over a temperature, shifted, and the errors of what the device makes of it.
struct Softmax {
    x: Vec<f64>,
    share: Vec<f64>,
    sum: f64,
    /// Relative, of the exponentials and of their sum.
    exp: Vec<f64>,
    in_sum: f64,
}

impl Softmax {
    fn of(row: &[f32], temperature: f64) -> Self {
        let highest = f64::from(row.iter().copied().fold(f32::MIN, f32::max));
        let x: Vec<f64> = row.iter().map(|z| (f64::from(*z) - highest) / temperature).collect();
        let sum: f64 = x.iter().map(|x| x.exp()).sum();
        let share: Vec<f64> = x.iter().map(|x| x.exp() / sum).collect();
        // `exp_error` has one rounding of what goes in: here are two more, of 1 / T and the product
        // with it.
        let exp: Vec<f64> = x.iter().map(|x| exp_error(*x) + 2.0 * U * x.abs()).collect();
        let in_terms: f64 = exp.iter().zip(&share).map(|(e, p)| e * p).sum();
        let in_sum = in_terms + row_roundings(row.len());
        Self { x, share, sum, exp, in_sum }
    }

    /// Of the share that column `j` has.
    fn in_share(&self, j: usize) -> f64 {
        self.share[j] * (self.exp[j] + self.in_sum + DIVISION)
    }
}

/// Rows and classes around a workgroup and its grid, and the largest vocabularies.
const SIZES: [(usize, usize); 11] = [
    (1, 2),
    (31, 3),
    (33, 31),
    (3, 63),
    (3, 64),
    (3, 65),
    (2, 257),
    (2, 1000),
    (2, 70_001),
    (1, 150_001),
    (70_001, 2),
];

#[test]
fn distillation_is_inside_its_bounds() {
    let Some(gpu) = gpu() else { return };
    for (at, (batch, classes)) in SIZES.into_iter().enumerate() {
        for (turn, settings) in [[1.0, 1.0], [2.0, 0.75], [0.3, 0.4]].into_iter().enumerate() {
            // Of the largest one each.
            if batch * classes > 10_000 && turn != at % 3 {
                continue;
            }
            let scale = [1.0, 30.0, 1e4][(at + turn) % 3];
            // Of the last, two positions a row, and some rows are padding.
            let repeat = if turn == 2 && batch > 1 { 2 } else { 1 };
            let rows = if turn == 2 { batch.div_ceil(4) * repeat } else { batch };
            let mut noise = Noise::new((at + turn) as u64);
            let len = batch * classes;
            let case = Case {
                z: noise.floats(len, scale),
                t: noise.floats(len, scale),
                labels: noise.below(batch, classes as u32),
                settings,
            };
            let [losses, gradient] = case.run(gpu, rows / repeat, repeat);
            let want = case.reference(rows);
            let bounds = (0..batch).map(|i| case.bounds(i, rows as f64));
            let (mut in_losses, in_gradient): (Vec<f64>, Vec<Vec<f64>>) = bounds.unzip();
            let mut in_gradient = in_gradient.concat();
            // Padding is exactly 0.
            in_losses[rows.min(batch)..].fill(0.0);
            in_gradient[rows.min(batch) * classes..].fill(0.0);
            let context = |e| panic!("{batch} x {classes}, {settings:?}, scale {scale}: {e}");
            Tol::Within(&in_losses).check(&losses, &want.0).unwrap_or_else(context);
            Tol::Within(&in_gradient).check(&gradient, &want.1).unwrap_or_else(context);
        }
    }
}

/// `0.75 * 4 * torch.nn.functional.kl_div(log_softmax(z / 2), log_softmax(t / 2), "batchmean",
/// log_target=True) + 0.25 * cross_entropy(z, labels)` of PyTorch 2 in f64, with its gradient.
#[test]
fn losses_are_those_of_pytorch() {
    const LOSS: f64 = 4.4053190685302575;
    const GRADIENT: [f64; 15] = [
        0.20080343201915243,
        0.23896489654256092,
        -0.33192514561705305,
        -0.026480222335635045,
        -0.0813629606090252,
        -0.25114434575924005,
        0.007747923557993741,
        -0.0009638847533423377,
        -0.07161727279871087,
        0.31597757975329954,
        -0.050850734301738365,
        0.2318952885687213,
        0.01694565271390873,
        -0.12190867685427857,
        -0.07608153012661314,
    ];
    let at = |f: fn(f64, f64) -> f64| -> Vec<f32> {
        (0..15).map(|k| f(f64::from(k / 5), f64::from(k % 5)) as f32).collect()
    };
    let case = Case {
        z: at(|i, j| 3.0 * (1.0 + 3.0 * i + j).sin()),
        t: at(|i, j| 4.0 * (2.0 + 5.0 * i + 2.0 * j).cos()),
        labels: vec![4, 0, 2],
        settings: [2.0, 0.75],
    };
    let (losses, gradient) = case.reference(3);
    assert!((losses.iter().sum::<f64>() - LOSS).abs() < 1e-14, "{losses:?}");
    let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-15;
    assert!(gradient.iter().zip(&GRADIENT).all(close), "{gradient:?}");
    let Some(gpu) = gpu() else { return };
    let [losses, gradient] = case.run(gpu, 3, 1);
    let (in_losses, in_gradient): (Vec<f64>, Vec<_>) = (0..3).map(|i| case.bounds(i, 3.0)).unzip();
    let loss: f64 = losses.into_iter().map(f64::from).sum();
    assert!((loss - LOSS).abs() <= in_losses.iter().sum::<f64>(), "{loss}");
    Tol::Within(&in_gradient.concat())
        .check(&gradient, &GRADIENT)
        .unwrap_or_else(|e| panic!("{e}"));
}

/// The same steps make the same of the same logits, so nothing is left of the difference.
#[test]
fn a_teacher_s_equal_has_nothing_to_learn() {
    let Some(gpu) = gpu() else { return };
    for (temperature, scale) in [(1.0, 5.0), (3.0, 1e4)] {
        let mut noise = Noise::new(1);
        let (z, labels) = (noise.floats(4 * 333, scale), noise.below(4, 333));
        let case = Case { t: z.clone(), z, labels, settings: [temperature, 1.0] };
        let [losses, gradient] = case.run(gpu, 4, 1);
        assert!(losses.iter().chain(&gradient).all(|x| *x == 0.0), "{losses:?}");
    }
}

/// Of student and teacher alike, in their own rows alone.
#[test]
fn a_nan_stays_visible() {
    let Some(gpu) = gpu() else { return };
    for (of_student, share) in [(true, 1.0), (true, 0.0), (false, 0.5)] {
        let mut noise = Noise::new(2);
        let [mut z, mut t] = [0, 1].map(|_| noise.floats(3 * 70, 2.0));
        let spoilt = if of_student { &mut z } else { &mut t };
        spoilt[70 + 66] = f32::NAN;
        let case = Case { z, t, labels: vec![1, 2, 3], settings: [2.0, share] };
        let [losses, gradient] = case.run(gpu, 3, 1);
        let nan: Vec<bool> = losses.iter().map(|x| x.is_nan()).collect();
        assert_eq!(nan, [false, true, false], "{of_student} {share}: {losses:?}");
        assert!(gradient[70..140].iter().all(|x| x.is_nan()), "{of_student} {share}");
        assert!(gradient[..70].iter().chain(&gradient[140..]).all(|x| x.is_finite()));
    }
}
