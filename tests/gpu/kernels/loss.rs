//! `log_loss`, `squared_error`, `sigmoid_cross_entropy` and `softmax`.
use secateur::gpu::{Gpu, Kernel, Slot};
use secateur::kernels::*;

use super::LENGTHS;
use crate::common::{Noise, Rig, Tol, U, gpu};

/// Relative errors that WGSL allows: `exp(x)` 3 + 2|x| units in the last place, of 2 u each, and
/// |x| roundings of `x` itself; division 2.5 units.
pub fn exp_error(x: f64) -> f64 {
    (6.0 + 5.0 * x.abs()) * U
}
pub const DIVISION: f64 = 5.0 * U;

/// `log(x)`: 3 units, or 2^-21 where the result is near 0.
pub fn log_error(x: f64) -> f64 {
    if (0.5..=2.0).contains(&x) { 2f64.powi(-21) } else { 6.0 * U * x.ln().abs() }
}

pub fn step(rows: usize) -> Step {
    Step { rows: rows as u32, ..Step::default() }
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

/// Rows and columns around the sizes of workgroups and of their grid.
const ROWS: [(usize, usize); 12] = [
    (1, 1),
    (2, 31),
    (3, 32),
    (5, 33),
    (33, 63),
    (2, 64),
    (3, 65),
    (7, 257),
    (2, 1000),
    (3, 70_001),
    (70_001, 2),
    (33, 1),
];

/// Most roundings of one term in a sum over a row: those of its lane, then those of the tree.
pub fn row_roundings(columns: usize) -> f64 {
    (columns.div_ceil(64) + 6) as f64 * U
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| x.into()).collect()
}

/// What a kernel of a loss against targets is built of: predictions, targets, step, losses,
/// gradient.
type LossSlots = [Slot; 5];

/// Losses and gradient of the device, of `rows` valid rows; the rest of the operands may be
/// anything.
fn against_targets<K: Kernel>(
    gpu: &Gpu,
    [x, targets]: [&[f32]; 2],
    [batch, rows]: [usize; 2],
    make: impl Fn(LossSlots) -> K,
) -> (Vec<f32>, Vec<f32>) {
    let mut padded = [x.to_vec(), targets.to_vec()];
    padded.iter_mut().for_each(|x| {
        let valid = x.len() / batch * rows;
        x[valid..].fill(f32::NAN);
    });
    let mut rig = Rig::new(gpu);
    let [x_slot, t_slot] = padded.map(|x| rig.slot("operand", &x));
    let valid = rig.slot("step", &[step(rows)]);
    let (losses, gradient) = (rig.output("losses", batch), rig.output("gradient", x.len()));
    rig.push(make([x_slot, t_slot, valid, losses, gradient]));
    let bench = rig.run();
    (bench.read(losses), bench.read(gradient))
}

#[test]
fn squared_error_is_inside_its_bounds() {
    let Some(gpu) = gpu() else { return };
    for (batch, columns) in ROWS {
        for rows in [batch, batch / 2] {
            let mut noise = Noise::new(columns as u64);
            let (x, t) = (noise.floats(batch * columns, 4.0), noise.floats(batch * columns, 4.0));
            let (losses, gradient) =
                against_targets(gpu, [&x, &t], [batch, rows], |[x, t, step, losses, gradient]| {
                    let (batch, columns) = (batch as u32, columns as u32);
                    let (predictions, targets) = (x, t);
                    SquaredError { x: predictions, targets, step, losses, gradient, batch, columns }
                });
            let want = squared_error_reference(&wide(&x), &wide(&t), batch, &step(rows));
            // Nothing cancels but in the difference, which is rounded once: its square, the sum,
            // and the product with the scale, itself a product and a quotient. In the gradient no
            // sum.
            let scale = 2.0 * U + DIVISION;
            let relative = |bound: f64, of: &[f64]| -> Vec<f64> {
                of.iter().map(|x| 1.01 * bound * x.abs()).collect()
            };
            let in_losses = relative(3.0 * U + row_roundings(columns) + scale, &want.0);
            let in_gradient = relative(U + scale, &want.1);
            let context = |e| panic!("{batch} x {columns}, {rows} rows: {e}");
            Tol::Within(&in_losses).check(&losses, &want.0).unwrap_or_else(context);
            Tol::Within(&in_gradient).check(&gradient, &want.1).unwrap_or_else(context);
            assert!(losses[rows..].iter().chain(&gradient[rows * columns..]).all(|x| *x == 0.0));
        }
    }
}

#[test]
fn sigmoid_cross_entropy_is_inside_its_bounds() {
    let Some(gpu) = gpu() else { return };
    for (at, (batch, columns)) in ROWS.into_iter().enumerate() {
        for rows in [batch, batch / 2] {
            let mut noise = Noise::new(columns as u64);
            let z = noise.floats(batch * columns, [1.0, 30.0, 1e4][at % 3]);
            // Every fourth target is 0 and every fourth 1; or all are near 1, where a large logit
            // may cancel.
            let t = noise.floats(batch * columns, 1.0);
            let near = |t: &f32| if at % 2 == 1 { 1.0 - t.abs() / 1024.0 } else { t + 0.5 };
            let t: Vec<f32> = t.iter().map(|t| near(t).clamp(0.0, 1.0)).collect();
            let (losses, gradient) =
                against_targets(gpu, [&z, &t], [batch, rows], |[z, t, step, losses, gradient]| {
                    let (batch, columns) = (batch as u32, columns as u32);
                    let (logits, targets) = (z, t);
                    SigmoidCrossEntropy {
                        x: logits,
                        targets,
                        step,
                        losses,
                        gradient,
                        batch,
                        columns,
                    }
                });
            let (zs, ts) = (wide(&z), wide(&t));
            let want = sigmoid_cross_entropy_reference(&zs, &ts, batch, &step(rows));
            let count = (rows * columns) as f64;
            let scale = 2.0 * U + DIVISION;
            // |z| (1 - t) or |z| t, log(1 + e) whose argument is off by that of e and one rounding, and their sum.
            let in_term = |(z, t): (&f64, &f64)| {
                let e = (-z.abs()).exp();
                let along = z.max(0.0) - z * t;
                let log = log_error(1.0 + e) + (e * exp_error(*z) / (1.0 + e)) + U;
                2.0 * U * along + log + U * (along + e.ln_1p())
            };
            let term = |(z, t): (&f64, &f64)| z.max(0.0) - z * t + (-z.abs()).exp().ln_1p();
            let in_loss = |(z, t): (&[f64], &[f64])| {
                let sum: f64 = z.iter().zip(t).map(term).sum();
                let own: f64 = z.iter().zip(t).map(in_term).sum();
                1.01 * (own + (row_roundings(columns) + scale) * sum) / count
            };
            // p is off by those of e, of 1 + e and of the quotient; then the difference and the
            // scale.
            let in_slope = |(z, t): (&f64, &f64)| {
                let (p, e) = (1.0 / (1.0 + (-z).exp()), (-z.abs()).exp());
                // Where z < 0 the numerator is off too.
                let off = p * (exp_error(*z) * if *z > 0.0 { e } else { 1.0 } + U + DIVISION);
                1.01 * (off + (U + scale) * (p - t).abs()) / count
            };
            let of_rows = zs.chunks(columns).zip(ts.chunks(columns));
            let mut in_losses: Vec<f64> = of_rows.map(in_loss).collect();
            let mut in_gradient: Vec<f64> = zs.iter().zip(&ts).map(in_slope).collect();
            // Padding is exactly 0.
            in_losses[rows..].fill(0.0);
            in_gradient[rows * columns..].fill(0.0);
            let context = |e| panic!("{batch} x {columns}, {rows} rows: {e}");
            Tol::Within(&in_losses).check(&losses, &want.0).unwrap_or_else(context);
            Tol::Within(&in_gradient).check(&gradient, &want.1).unwrap_or_else(context);
        }
    }
}

#[test]
fn softmax_and_its_gradient_are_inside_their_bounds() {
    let Some(gpu) = gpu() else { return };
    for (at, (rows, columns)) in ROWS.into_iter().enumerate() {
        let len = rows * columns;
        let mut noise = Noise::new(len as u64);
        let (mut x, g) = (noise.floats(len, [1.0, 30.0, 1e4][at % 3]), noise.floats(len, 1.0));
        // The largest of a row is the first, and one of its last.
        x[0] = 1e4;
        x[len - 1] = 1e4;
        let mut rig = Rig::new(gpu);
        let [x_slot, gradient] = [&x, &g].map(|x| rig.slot("operand", x));
        let [y, out] = ["y", "out"].map(|name| rig.output(name, len));
        let (count, width) = (rows as u32, columns as u32);
        rig.push(Softmax { x: x_slot, y, rows: count, columns: width });
        rig.push(SoftmaxGradient { gradient, y, out, rows: count, columns: width });
        let bench = rig.run();
        let (y, out): (Vec<f32>, Vec<f32>) = (bench.read(y), bench.read(out));

        let context = |e| panic!("{rows} x {columns}: {e}");
        let want = softmax_reference(&wide(&x), columns);
        // Each exp is off by its own error; the sum by those of its terms and its roundings.
        let in_row = |(x, y): (&[f32], &[f64])| {
            let highest = f64::from(x.iter().copied().fold(f32::MIN, f32::max));
            let of: Vec<f64> = x.iter().map(|x| exp_error(f64::from(*x) - highest)).collect();
            let in_sum = of.iter().zip(y).map(|(e, y)| e * y).sum::<f64>() + row_roundings(columns);
            let bound = |(e, y): (f64, &f64)| 1.01 * y * (e + in_sum + DIVISION);
            of.into_iter().zip(y).map(bound).collect::<Vec<_>>()
        };
        let bounds: Vec<f64> =
            x.chunks(columns).zip(want.chunks(columns)).flat_map(in_row).collect();
        Tol::Within(&bounds).check(&y, &want).unwrap_or_else(context);

        // Of the y that the device has: a product in the sum, a difference, a product.
        let (g, y) = (wide(&g), wide(&y));
        let want = softmax_gradient_reference(&g, &y, columns);
        let in_row = |(g, y): (&[f64], &[f64])| {
            let along: f64 = g.iter().zip(y).map(|(g, y)| g * y).sum();
            let all: f64 = g.iter().zip(y).map(|(g, y)| (g * y).abs()).sum();
            let in_sum = (U + row_roundings(columns)) * all;
            let bound = |(g, y): (&f64, &f64)| 1.01 * y * (in_sum + 2.0 * U * (g - along).abs());
            g.iter().zip(y).map(bound).collect::<Vec<_>>()
        };
        let bounds: Vec<f64> = g.chunks(columns).zip(y.chunks(columns)).flat_map(in_row).collect();
        Tol::Within(&bounds).check(&out, &want).unwrap_or_else(context);
    }
}
