//! `top_k`, `absolute_error` and `right_labels`: what is counted beside a loss.
use secateur::gpu::{Gpu, Kernel, PlanBuilder, Slot};
use secateur::kernels::*;

use super::loss::{DIVISION, step};
use crate::common::{Noise, Rig, Tol, U, gpu};

const ROWS: [usize; 6] = [1, 2, 33, 64, 65, 300];
const COLUMNS: [usize; 6] = [1, 31, 33, 257, 1_000, 1_500];

/// Rows that are right by `top_k`, and by `correct`.
fn right(gpu: &Gpu, z: &[f32], y: &[u32], [k, repeat, rows]: [usize; 3]) -> [Vec<f32>; 2] {
    let (batch, classes) = (y.len() as u32, (z.len() / y.len()) as u32);
    let mut rig = Rig::new(gpu);
    let [right, correct] = ["right", "correct"].map(|name| rig.output(name, y.len()));
    let (logits, labels) = (rig.slot("logits", z), rig.slot("labels", y));
    let (step, repeat) = (rig.slot("step", &[step(rows)]), repeat as u32);
    rig.push(TopK { logits, labels, step, right, batch, classes, repeat, k: k as u32 });
    rig.push(Correct { logits, labels, step, correct, batch, classes, repeat });
    let bench = rig.run();
    [right, correct].map(|slot| bench.read(slot))
}

/// Few distinct logits, so that ties are common, and one label that is no class.
#[test]
fn top_k_counts_ties_for_the_lowest_class() {
    let Some(gpu) = gpu() else { return };
    for (at, batch) in ROWS.into_iter().enumerate() {
        for classes in COLUMNS {
            let repeat = 1 + at % 3;
            let rows = batch.div_ceil(2 * repeat);
            let valid = (rows * repeat).min(batch);
            let mut noise = Noise::new((batch * classes) as u64);
            let z = noise.integers(batch * classes, 4);
            let mut y = noise.below(batch, (classes as u32).max(2));
            y[batch / 3] = classes as u32 + 1;
            for k in [1, 2, 5, classes, classes + 2] {
                let [got, correct] = right(gpu, &z, &y, [k, repeat, rows]);
                let want = top_k_reference(&z, &y, classes, k, &step(valid));
                let context = |e| panic!("{batch} x {classes}, {k} highest: {e}");
                Tol::Exact.check(&got, &want).unwrap_or_else(context);
                if k == 1 {
                    assert_eq!(got, correct);
                } else if k >= classes.max(2) {
                    let class = |(i, y): (usize, &u32)| i < valid && *y < classes.max(2) as u32;
                    let all: Vec<f32> =
                        y.iter().enumerate().map(|at| f32::from(u8::from(class(at)))).collect();
                    assert_eq!(got, all);
                }
            }
        }
    }
}

#[test]
fn a_label_that_is_nan_is_never_right() {
    let Some(gpu) = gpu() else { return };
    let n = f32::NAN;
    let (inf, low) = (f32::INFINITY, f32::NEG_INFINITY);
    let z = [n, 1.0, 2.0, n, 1.0, 2.0, 1.0, n, 2.0, 1.0, n, 2.0, n, n, n, low, inf, 0.0];
    let y = [0, 2, 1, 2, 2, 0];
    for (k, want) in [
        (1, [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]),
        (2, [0.0, 1.0, 0.0, 1.0, 0.0, 0.0]),
        (9, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]),
    ] {
        let [got, correct] = right(gpu, &z, &y, [k, 1, 6]);
        assert_eq!(got, want, "{k} highest");
        assert_eq!(got, top_k_reference(&z, &y, 3, k, &step(6)));
        // But for the first row, whose label is NaN.
        assert!(k > 1 || got[1..] == correct[1..]);
    }
    for k in [1, 2] {
        assert_eq!(right(gpu, &[n, n, -1.0], &[0, 1, 0], [k, 1, 3])[0], [0.0, 0.0, 1.0]);
    }
}

/// What the device makes of each row; padding may hold anything.
fn of_rows<K: Kernel>(
    gpu: &Gpu,
    [x, t]: [&[f32]; 2],
    [batch, rows]: [usize; 2],
    make: impl Fn([Slot; 4]) -> K,
) -> Vec<f32> {
    let mut rig = Rig::new(gpu);
    let [x, t] = [x, t].map(|values| {
        let mut values = values.to_vec();
        let valid = values.len() / batch * rows;
        values[valid..].fill(f32::NAN);
        rig.slot("operand", &values)
    });
    let (valid, out) = (rig.slot("step", &[step(rows)]), rig.output("out", batch));
    rig.push(make([x, t, valid, out]));
    rig.run().read(out)
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| x.into()).collect()
}

#[test]
fn metrics_against_targets_are_inside_their_bounds() {
    let Some(gpu) = gpu() else { return };
    for batch in ROWS {
        for columns in COLUMNS {
            let rows = batch.div_ceil(2);
            let mut noise = Noise::new((batch * columns) as u64);
            let (mut x, t) =
                (noise.floats(batch * columns, 4.0), noise.integers(batch * columns, 1));
            let (count, width) = (batch as u32, columns as u32);
            let errors = of_rows(gpu, [&x, &t], [batch, rows], |[x, targets, step, out]| {
                AbsoluteError { x, targets, step, out, batch: count, columns: width }
            });
            let want = absolute_error_reference(&wide(&x), &wide(&t), batch, &step(rows));
            // A difference, the roundings of a lane and of the tree, a quotient.
            let bound = U * (1 + columns.div_ceil(64) + 6) as f64 + DIVISION;
            let bounds: Vec<f64> = want.iter().map(|x| 1.01 * bound * x).collect();
            let context = |e| panic!("{batch} x {columns}: {e}");
            Tol::Within(&bounds).check(&errors, &want).unwrap_or_else(context);

            // On the threshold, and nothing at all.
            (x[0], x[batch * columns / 2]) = (0.0, f32::NAN);
            let t: Vec<f32> = t.iter().map(|t| (t + 1.0) / 2.0).collect();
            let shares = of_rows(gpu, [&x, &t], [batch, rows], |[x, targets, step, out]| {
                RightLabels { x, targets, step, out, batch: count, columns: width }
            });
            let want = right_labels_reference(&wide(&x), &wide(&t), batch, &step(rows));
            // The count is exact.
            let bounds: Vec<f64> = want.iter().map(|x| DIVISION * x).collect();
            Tol::Within(&bounds).check(&shares, &want).unwrap_or_else(context);
        }
    }
}

#[test]
fn rows_over_the_loop_limit_are_refused() {
    let mut plan = PlanBuilder::default();
    plan.phase("test");
    let [x, y] = ["x", "y"].map(|name| plan.persistent(name, 1_919_617));
    let (step, out) = (plan.persistent("step", STEP_WORDS), plan.persistent("out", 1));
    let top_k = |classes, k| TopK {
        logits: x,
        labels: y,
        step,
        right: out,
        batch: 1,
        classes,
        repeat: 1,
        k,
    };
    let errors = |columns| AbsoluteError { x, targets: y, step, out, batch: 1, columns };
    let shares = |columns| RightLabels { x, targets: y, step, out, batch: 1, columns };
    plan.push(top_k(600_000, 1)).unwrap();
    plan.push(errors(1_919_616)).unwrap();
    plan.push(shares(1_919_616)).unwrap();
    let refused = |result: secateur::Result<()>, what: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    };
    refused(plan.push(top_k(700_000, 1)), "700000 classes, must be 1 to 639488");
    refused(plan.push(top_k(10, 0)), "k 0 and repeat 1");
    refused(plan.push(errors(1_919_617)), "must be 1 to 1919616");
    refused(plan.push(shares(1_919_617)), "must be 1 to 1919616");
}
