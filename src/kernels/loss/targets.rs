//! Elements against targets, row by row: the losses `squared_error` and `sigmoid_cross_entropy`
//! with their gradients, the metrics `absolute_error` and `right_labels`.
use crate::gpu::{Bound, Kernel, MAX_LOOP_ITERATIONS, Operand, Slot, grid_groups, read, write};
use crate::kernels::{STEP_WORDS, Step};

crate::uniform! {
    /// Uniform of [`SquaredError`], [`SigmoidCrossEntropy`], [`AbsoluteError`] and
    /// [`RightLabels`].
    pub struct TargetParams {
        /// Rows.
        batch: u32,
        /// Elements of a row.
        columns: u32,
    }
}

/// A kernel that compares `x` with `targets`, with what it writes: one value a row into the first,
/// and one an element into others.
macro_rules! against_targets {
    (
        $(#[$meta:meta])* $name:ident, $label:literal, [$($file:literal),+],
        $(#[$of_rows:meta])* $out:ident $(, $(#[$of_elements:meta])* $all:ident)?
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name {
            /// `[batch, columns]`
            pub x: Slot,
            /// `[batch, columns]`
            pub targets: Slot,
            /// [`Step`]
            pub step: Slot,
            $(#[$of_rows])*
            pub $out: Slot,
            $($(#[$of_elements])*
            pub $all: Slot,)?
            /// Rows, padding included.
            pub batch: u32,
            /// Elements of a row.
            pub columns: u32,
        }

        impl Kernel for $name {
            const NAME: &'static str = $label;
            const WGSL: &'static str =
                crate::wgsl!("common/step.wgsl", "common/row_sum.wgsl", $($file),+);
            const OPERANDS: &'static [Operand] = &[
                read("x"),
                read("targets"),
                read("step"),
                write(stringify!($out)),
                $(write(stringify!($all)),)?
            ];
            type Params = TargetParams;

            fn bind(&self) -> Vec<Bound> {
                let batch = u64::from(self.batch);
                let all = batch * u64::from(self.columns);
                vec![
                    self.x.needs(all),
                    self.targets.needs(all),
                    self.step.needs(STEP_WORDS.into()),
                    self.$out.needs(batch),
                    $(self.$all.needs(all),)?
                ]
            }

            fn params(&self) -> TargetParams {
                TargetParams { batch: self.batch, columns: self.columns }
            }

            fn grid(&self) -> [u32; 3] {
                grid_groups(self.batch)
            }

            fn check(&self) -> Result<(), String> {
                // One loop over every 64th element, and a tree of 6 levels.
                let (columns, most) = (self.columns, (MAX_LOOP_ITERATIONS - 6) * 64);
                match (1..=most).contains(&columns) {
                    true => Ok(()),
                    false => Err(format!("{columns} elements in one row, must be 1 to {most}")),
                }
            }
        }
    };
}

against_targets! {
    /// Mean squared error.
    ///
    /// Losses and gradients are divided by the number of valid rows and the elements of a row,
    /// so that the losses' sum over the batch is the mean.
    SquaredError, "squared_error", ["common/target_loss.wgsl", "squared_error.wgsl"],
    /// `[batch]`
    losses,
    /// By x, `[batch, columns]`.
    gradient
}

against_targets! {
    /// Binary cross-entropy of several labels at once: `x` are logits, targets 0 to 1.
    ///
    /// Losses and gradients are divided by the number of valid rows and the elements of a row,
    /// so that the losses' sum over the batch is the mean.
    SigmoidCrossEntropy, "sigmoid_cross_entropy",
    ["common/target_loss.wgsl", "sigmoid_cross_entropy.wgsl"],
    /// `[batch]`
    losses,
    /// By x, `[batch, columns]`.
    gradient
}

against_targets! {
    /// Mean absolute error of each row of predictions `x`.
    ///
    /// A row's metric is divided by its elements and not by the number of rows: the sum over
    /// several batches, divided by all their rows, is the mean over all elements.
    AbsoluteError, "absolute_error", ["common/target_metric.wgsl", "absolute_error.wgsl"],
    /// `[batch]`
    out
}

against_targets! {
    /// Share of each row's labels that are right: where the logit `x > 0` just if the target is
    /// above 0.5. A NaN logit is never right.
    ///
    /// A row's metric is divided by its elements and not by the number of rows: the sum over
    /// several batches, divided by all their rows, is the mean over all elements.
    RightLabels, "right_labels",
    ["common/target_metric.wgsl", "common/nan.wgsl", "right_labels.wgsl"],
    /// `[batch]`
    out
}

/// Host reference: losses and gradient of `batch` rows in f64.
pub fn squared_error_reference(
    predictions: &[f64],
    targets: &[f64],
    batch: usize,
    step: &Step,
) -> (Vec<f64>, Vec<f64>) {
    let loss = |p: f64, t: f64| ((p - t) * (p - t), 2.0 * (p - t));
    loss_reference(predictions, targets, batch, step, loss)
}

/// Host reference: losses and gradient of `batch` rows in f64.
pub fn sigmoid_cross_entropy_reference(
    logits: &[f64],
    targets: &[f64],
    batch: usize,
    step: &Step,
) -> (Vec<f64>, Vec<f64>) {
    let loss = |z: f64, t: f64| {
        (z.max(0.0) - z * t + (-z.abs()).exp().ln_1p(), 1.0 / (1.0 + (-z).exp()) - t)
    };
    loss_reference(logits, targets, batch, step, loss)
}

fn loss_reference(
    x: &[f64],
    targets: &[f64],
    batch: usize,
    step: &Step,
    loss: impl Fn(f64, f64) -> (f64, f64),
) -> (Vec<f64>, Vec<f64>) {
    let columns = x.len() / batch;
    let scale = 1.0 / (f64::from(step.rows) * columns as f64);
    let (mut losses, mut gradient) = (Vec::new(), Vec::new());
    for (i, (x, t)) in x.chunks(columns).zip(targets.chunks(columns)).enumerate() {
        let valid = i < step.rows as usize;
        let scaled = |(loss, slope): (f64, f64)| (loss * scale, slope * scale);
        let one = |(&x, &t): (&f64, &f64)| if valid { scaled(loss(x, t)) } else { (0.0, 0.0) };
        let (row, slopes): (Vec<f64>, Vec<f64>) = x.iter().zip(t).map(one).unzip();
        losses.push(row.iter().sum::<f64>());
        gradient.extend(slopes);
    }
    (losses, gradient)
}

/// Host reference: the mean absolute error of each of `batch` rows in f64.
pub fn absolute_error_reference(
    predictions: &[f64],
    targets: &[f64],
    batch: usize,
    step: &Step,
) -> Vec<f64> {
    metric_reference(predictions, targets, batch, step, |p, t| (p - t).abs())
}

/// Host reference: the share of right labels of each of `batch` rows in f64.
pub fn right_labels_reference(
    logits: &[f64],
    targets: &[f64],
    batch: usize,
    step: &Step,
) -> Vec<f64> {
    let right = |z: f64, t: f64| !z.is_nan() && (z > 0.0) == (t > 0.5);
    metric_reference(logits, targets, batch, step, |z, t| f64::from(u8::from(right(z, t))))
}

fn metric_reference(
    x: &[f64],
    targets: &[f64],
    batch: usize,
    step: &Step,
    metric: impl Fn(f64, f64) -> f64,
) -> Vec<f64> {
    let columns = x.len() / batch;
    let rows = x.chunks(columns).zip(targets.chunks(columns)).enumerate();
    let mean = |(i, (x, t)): (usize, (&[f64], &[f64]))| {
        let sum: f64 = x.iter().zip(t).map(|(&x, &t)| metric(x, t)).sum();
        if i < step.rows as usize { sum / columns as f64 } else { 0.0 }
    };
    rows.map(mean).collect()
}
