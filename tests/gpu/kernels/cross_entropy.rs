//! `softmax_cross_entropy`, `correct` and `pair_sum`: the end of a forward pass.
use secateur::gpu::{Gpu, Target};
use secateur::kernels::*;

use super::LENGTHS;
use super::loss::{DIVISION, exp_error, log_error, step};
use crate::common::{Noise, Rig, Tol, U, gpu};

/// Losses, gradient and right rows of the device, in the variants of software adapters and of GPUs.
fn softmax(
    gpu: &Gpu,
    logits: &[f32],
    labels: &[u32],
    about: [f32; 2],
    step: Step,
) -> [[Vec<f32>; 3]; 2] {
    let software = Target { software: true, ..Target::default() };
    [software, Target::default()].map(|target| softmax_on(gpu, target, logits, labels, about, step))
}

fn softmax_on(
    gpu: &Gpu,
    target: Target,
    logits: &[f32],
    labels: &[u32],
    [smoothing, repeat]: [f32; 2],
    step: Step,
) -> [Vec<f32>; 3] {
    let (batch, classes) = (labels.len() as u32, (logits.len() / labels.len()) as u32);
    let mut rig = Rig::for_target(gpu, target);
    let losses = rig.output("losses", labels.len());
    let gradient = rig.output("gradient", logits.len());
    let correct = rig.output("correct", labels.len());
    let (logits, labels) = (rig.slot("logits", logits), rig.slot("labels", labels));
    let step = rig.slot("step", &[step]);
    let loss = SoftmaxCrossEntropy {
        logits,
        labels,
        step,
        losses,
        gradient,
        correct,
        batch,
        classes,
        repeat: repeat as u32,
        smoothing,
    };
    loss.push(&mut rig.plan).unwrap();
    let bench = rig.run();
    [losses, gradient, correct].map(|slot| bench.read(slot))
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
    for (batch, classes) in
        sizes.into_iter().chain([(33, 2), (33, 3), (5, 1000), (5, 1025), (3, 30_011)])
    {
        for scale in [1.0, 30.0, 1e4] {
            for rows in [batch, batch.div_ceil(2)] {
                let mut noise = Noise::new(batch as u64);
                let mut logits = noise.floats(batch * classes, scale);
                logits[..classes].fill(scale);
                let mut labels = noise.below(batch, classes as u32);
                // All of the first row tie, so that it is right.
                labels[0] = 0;
                let step = step(rows);
                let want = softmax_cross_entropy_reference(&logits, &labels, classes, 0.0, &step);
                let row = |(row, &label)| softmax_bounds(row, label as usize, rows as f64);
                let bounds = logits.chunks(classes).zip(&labels).map(row);
                let (mut in_losses, in_gradient): (Vec<_>, Vec<_>) = bounds.unzip();
                let mut in_gradient = in_gradient.concat();
                // Padding is exactly 0.
                in_losses[rows..].fill(0.0);
                in_gradient[rows * classes..].fill(0.0);
                let context = |e| panic!("{batch} x {classes}, scale {scale}, {rows} rows: {e}");
                let right = correct_reference(&logits, &labels, classes, &step);
                for [losses, gradient, correct] in softmax(gpu, &logits, &labels, [0.0, 1.0], step)
                {
                    Tol::Within(&in_losses).check(&losses, &want.0).unwrap_or_else(context);
                    Tol::Within(&in_gradient).check(&gradient, &want.1).unwrap_or_else(context);
                    Tol::Exact.check(&correct, &right).unwrap_or_else(context);
                }
            }
        }
    }
}

/// Which rows have their label's logit highest, by `correct` alone.
fn correct(gpu: &Gpu, logits: &[f32], labels: &[u32], repeat: u32, step: Step) -> Vec<f32> {
    let (batch, classes) = (labels.len() as u32, (logits.len() / labels.len()) as u32);
    let mut rig = Rig::new(gpu);
    let out = rig.output("correct", labels.len());
    let (logits, labels) = (rig.slot("logits", logits), rig.slot("labels", labels));
    let step = rig.slot("step", &[step]);
    rig.push(Correct { logits, labels, step, correct: out, batch, classes, repeat });
    rig.run().read(out)
}

/// Few distinct logits, so that ties for the highest are common; by `correct` alone, and beside the
/// losses, where a label that is no class is never right.
#[test]
fn correct_counts_ties_for_the_lowest_class() {
    let Some(gpu) = gpu() else { return };
    for batch in LENGTHS {
        for classes in [1, 2, 10] {
            for (repeat, smoothing) in [(1, 0.0), (3, 0.1)] {
                let mut noise = Noise::new(batch as u64);
                let scores = noise.integers(batch * classes, 2);
                let mut y = noise.below(batch, (classes as u32).max(2));
                y[0] = classes as u32 + 1;
                // Of a batch whose rows have `repeat` places each.
                let rows = batch.div_ceil(2 * repeat as usize);
                let valid = step((rows * repeat as usize).min(batch));
                let want = correct_reference(&scores, &y, classes, &valid);
                let context = |e| panic!("{batch} x {classes}, {repeat} places: {e}");
                let got = correct(gpu, &scores, &y, repeat, step(rows));
                Tol::Exact.check(&got, &want).unwrap_or_else(context);
                if classes > 1 {
                    let settings = [smoothing, repeat as f32];
                    let both = softmax(gpu, &scores, &y, settings, step(rows));
                    for [.., got] in both {
                        Tol::Exact.check(&got, &want).unwrap_or_else(context);
                    }
                }
            }
        }
    }
}

/// Bit by bit the sums that [`ColumnSum`] makes of either; ones and zeros are counted exactly.
#[test]
fn pair_sum_is_two_sums() {
    let Some(gpu) = gpu() else { return };
    for len in LENGTHS.into_iter().chain([4096, 4097, 8192]) {
        let mut noise = Noise::new(len as u64);
        let floats = noise.floats(len, 1.0);
        let ones: Vec<f32> = noise.below(len, 2).iter().map(|&x| x as f32).collect();
        let mut rig = Rig::new(gpu);
        let of = [("x", &floats), ("y", &ones)].map(|(name, x)| rig.slot(name, x));
        let sums = ["x_sum", "y_sum"].map(|name| rig.output(name, 1));
        let apart = ["x alone", "y alone"].map(|name| rig.output(name, 1));
        PairSum { of, sums, len: len as u32 }.push(&mut rig.plan).unwrap();
        for (x, out) in of.into_iter().zip(apart) {
            ColumnSum { x, out, rows: len as u32, columns: 1 }.push(&mut rig.plan).unwrap();
        }
        let bench = rig.run();
        let [x_sum, y_sum] = sums.map(|slot| bench.read::<f32>(slot));
        assert_eq!([&x_sum, &y_sum], apart.map(|slot| bench.read::<f32>(slot)).each_ref(), "{len}");
        let [x_want, y_want] = pair_sum_reference(&floats, &ones);
        let context = |e| panic!("{len}: {e}");
        Tol::Exact.check(&y_sum, &[y_want]).unwrap_or_else(context);
        let magnitude: f64 = floats.iter().map(|x| f64::from(x.abs())).sum();
        let tol = Tol::Sum { terms: len, magnitude: &[magnitude] };
        tol.check(&x_sum, &[x_want]).unwrap_or_else(context);
    }
}

/// Losses, gradient, right rows and both sums of a few rows by one launch, and by two.
fn with_sums(
    gpu: &Gpu,
    logits: &[f32],
    labels: &[u32],
    [smoothing, repeat]: [f32; 2],
    step: Step,
) -> [[Vec<f32>; 5]; 2] {
    let (batch, classes) = (labels.len() as u32, (logits.len() / labels.len()) as u32);
    let mut rig = Rig::for_target(gpu, Target::default());
    let mut outputs = || {
        let [losses, correct] = ["losses", "correct"].map(|name| rig.output(name, labels.len()));
        let gradient = rig.output("gradient", logits.len());
        let sums = ["losses' sum", "right rows"].map(|name| rig.output(name, 1));
        (losses, gradient, correct, sums)
    };
    let (all, apart) = (outputs(), outputs());
    let (logits, labels) = (rig.slot("logits", logits), rig.slot("labels", labels));
    let (step, repeat) = (rig.slot("step", &[step]), repeat as u32);
    let loss = |(losses, gradient, correct, _)| SoftmaxCrossEntropy {
        logits,
        labels,
        step,
        losses,
        gradient,
        correct,
        batch,
        classes,
        repeat,
        smoothing,
    };
    rig.push(CrossEntropySums { of: loss(all), sums: all.3 });
    loss(apart).push(&mut rig.plan).unwrap();
    PairSum { of: [apart.0, apart.2], sums: apart.3, len: batch }.push(&mut rig.plan).unwrap();
    let bench = rig.run();
    [all, apart].map(|(losses, gradient, correct, [loss, right])| {
        [losses, gradient, correct, loss, right].map(|slot| bench.read(slot))
    })
}

/// As many rows and classes as a workgroup has room for, and few; ties, labels that are no class,
/// rows of padding, logits that are far apart.
#[test]
fn few_rows_have_their_sums_in_one_launch() {
    let Some(gpu) = gpu() else { return };
    let sizes = [(1, 2), (3, 64), (17, 33), (24, 64), (128, 10), (128, 12), (153, 10), (256, 6)];
    for (batch, classes) in sizes {
        for (repeat, smoothing, scale) in [(1, 0.0, 1.0), (1, 0.1, 40.0), (3, 0.1, 0.0)] {
            let context = format!("{batch} x {classes}, {repeat} places, {scale}");
            let mut noise = Noise::new((batch * classes) as u64);
            let logits = match scale {
                0.0 => noise.integers(batch * classes, 2),
                _ => noise.floats(batch * classes, scale),
            };
            let mut labels = noise.below(batch, classes as u32);
            labels[batch / 2] = if scale == 0.0 { classes as u32 + 1 } else { labels[batch / 2] };
            let rows = step(batch.div_ceil(2 * repeat).max(1));
            let about = [smoothing, repeat as f32];
            let run = || with_sums(gpu, &logits, &labels, about, rows);
            let [all, apart] = run();
            let bits =
                |x: &[Vec<f32>; 5]| x.concat().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert!(bits(&all) == bits(&apart), "{context}: {all:?}\n{apart:?}");
            assert!(bits(&all) == bits(&run()[0]), "{context}: two runs differ");
            let want = correct_reference(
                &logits,
                &labels,
                classes,
                &Step { rows: (rows.rows * repeat as u32).min(batch as u32), ..rows },
            );
            Tol::Exact.check(&all[2], &want).unwrap_or_else(|e| panic!("{context}: {e}"));
            Tol::Exact
                .check(&all[4], &[want.iter().sum::<f32>()])
                .unwrap_or_else(|e| panic!("{e}"));
        }
    }
    // Too many rows, classes, or logits.
    let serves = |batch, classes| CrossEntropySums::serves(batch, classes, Target::default());
    assert!(!serves(257, 2) && !serves(2, 65) && !serves(154, 10) && serves(153, 10));
}
