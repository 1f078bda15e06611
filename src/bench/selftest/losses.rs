//! Softmax, and cross-entropy with its gradient.
use super::compared::{Compared, Found, U};
use super::rig::{Rig, noise};
use crate::Result;
use crate::gpu::Gpu;
use crate::kernels::{Softmax, SoftmaxCrossEntropy, Step};

/// Rows and columns: around a workgroup, and more columns than an invocation sums alone.
const SIZES: [(usize, usize); 5] = [(1, 2), (63, 10), (65, 3), (33, 257), (3, 1025)];
/// Largest logits.
const SCALES: [f32; 2] = [1.0, 30.0];

/// Relative errors that WGSL allows: `exp(x)` 3 + 2|x| units in the last place, of 2 u each, and
/// |x| roundings of `x` itself; division 2.5 units.
fn exp_error(x: f64) -> f64 {
    (6.0 + 5.0 * x.abs()) * U
}
const DIVISION: f64 = 5.0 * U;

/// `log(x)`: 3 units, or 2^-21 where the result is near 0.
fn log_error(x: f64) -> f64 {
    if (0.5..=2.0).contains(&x) { 2f64.powi(-21) } else { 6.0 * U * x.ln().abs() }
}

/// Shares of each row.
pub(super) fn softmax(gpu: &Gpu, reference: fn(&[f64], usize) -> Vec<f64>) -> Result<Found> {
    let mut compared = Compared::default();
    for (rows, columns) in SIZES {
        for scale in SCALES {
            let case = format!("{rows}x{columns}, up to {scale}");
            let values = noise(1, rows * columns, scale);
            let mut rig = Rig::new(gpu);
            let (x, y) = (rig.slot("x", &values), rig.output("y", values.len()));
            rig.plan.push(Softmax { x, y, rows: rows as u32, columns: columns as u32 })?;
            let got: Vec<f32> = rig.run()?.read(&case, y, &mut compared)?;
            let wide: Vec<f64> = values.iter().map(|&x| x.into()).collect();
            let bounds: Vec<f64> = wide.chunks(columns).flat_map(in_shares).collect();
            compared.within(&case, &got, &reference(&wide, columns), &bounds);
        }
    }
    Ok(compared.found("10 cases"))
}

/// Bounds on the errors of a row's shares: each exp is off by its own error, the sum by those of its
/// terms and its roundings.
fn in_shares(row: &[f64]) -> Vec<f64> {
    let highest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exps: Vec<f64> = row.iter().map(|x| (x - highest).exp()).collect();
    let sum: f64 = exps.iter().sum();
    let errors: Vec<f64> = row.iter().map(|x| exp_error(x - highest)).collect();
    let in_sum = errors.iter().zip(&exps).map(|(error, exp)| error * exp).sum::<f64>() / sum
        + row.len() as f64 * U;
    let bound = |(exp, error): (&f64, &f64)| 1.01 * exp / sum * (error + in_sum + DIVISION);
    exps.iter().zip(&errors).map(bound).collect()
}

/// Losses and gradient of logits.
pub(super) type Reference = fn(&[f32], &[u32], usize, f32, &Step) -> (Vec<f64>, Vec<f64>);

/// Of batches whose last rows are padding.
pub(super) fn cross_entropy(gpu: &Gpu, reference: Reference) -> Result<Found> {
    let mut compared = Compared::default();
    for (batch, classes) in SIZES {
        for scale in SCALES {
            let valid = batch.div_ceil(2);
            let case = format!("{batch}x{classes}, up to {scale}");
            let values = noise(1, batch * classes, scale);
            let truth: Vec<u32> = (0..batch).map(|row| (row * 7 % classes) as u32).collect();
            let now = Step { rows: valid as u32, ..Step::default() };
            let mut rig = Rig::new(gpu);
            let loss = SoftmaxCrossEntropy {
                logits: rig.slot("logits", &values),
                labels: rig.slot("labels", &truth),
                step: rig.slot("step", &[now]),
                losses: rig.output("losses", batch),
                gradient: rig.output("gradient", values.len()),
                correct: rig.output("correct", batch),
                batch: batch as u32,
                classes: classes as u32,
                repeat: 1,
                smoothing: 0.0,
            };
            loss.push(&mut rig.plan)?;
            let ready = rig.run()?;
            let losses: Vec<f32> = ready.read(&case, loss.losses, &mut compared)?;
            let gradient: Vec<f32> = ready.read(&case, loss.gradient, &mut compared)?;
            let want = reference(&values, &truth, classes, 0.0, &now);
            let row = |(row, &label)| bounds(row, label as usize, valid as f64);
            let (mut in_losses, in_gradient): (Vec<f64>, Vec<Vec<f64>>) =
                values.chunks(classes).zip(&truth).map(row).unzip();
            let mut in_gradient = in_gradient.concat();
            // Padding is exactly 0.
            in_losses[valid..].fill(0.0);
            in_gradient[valid * classes..].fill(0.0);
            compared.within(&format!("losses of {case}"), &losses, &want.0, &in_losses);
            compared.within(&format!("gradient of {case}"), &gradient, &want.1, &in_gradient);
        }
    }
    Ok(compared.found("10 cases, losses and gradients"))
}

/// Bounds on the errors of one row's loss and gradient.
fn bounds(row: &[f32], label: usize, rows: f64) -> (f64, Vec<f64>) {
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
