//! `absolute_error` and `right_labels`: metrics of elements against targets, the mean of each row.
use crate::gpu::{Bound, Kernel, MAX_LOOP_ITERATIONS, Operand, Slot, grid_groups, read, write};
use crate::kernels::{STEP_WORDS, Step};

crate::uniform! {
    /// Uniform of [`AbsoluteError`] and [`RightLabels`].
    pub struct TargetMetricParams {
        /// Rows.
        batch: u32,
        /// Elements of a row.
        columns: u32,
    }
}

macro_rules! target_metric {
    ($(#[$meta:meta])* $name:ident, $label:literal, $($file:literal),+) => {
        $(#[$meta])*
        ///
        /// A row's metric is divided by its elements and not by the number of rows: the sum over
        /// several batches, divided by all their rows, is the mean over all elements.
        #[derive(Debug, Clone, Copy)]
        pub struct $name {
            /// `[batch, columns]`
            pub x: Slot,
            /// `[batch, columns]`
            pub targets: Slot,
            /// [`Step`]
            pub step: Slot,
            /// `[batch]`
            pub out: Slot,
            /// Rows, padding included.
            pub batch: u32,
            /// Elements of a row.
            pub columns: u32,
        }

        impl Kernel for $name {
            const NAME: &'static str = $label;
            const WGSL: &'static str = crate::wgsl!(
                "common/step.wgsl",
                "common/row_sum.wgsl",
                "common/target_metric.wgsl",
                $($file),+
            );
            const OPERANDS: &'static [Operand] =
                &[read("x"), read("targets"), read("step"), write("out")];
            type Params = TargetMetricParams;

            fn bind(&self) -> Vec<Bound> {
                let batch = u64::from(self.batch);
                let all = batch * u64::from(self.columns);
                vec![
                    self.x.needs(all),
                    self.targets.needs(all),
                    self.step.needs(STEP_WORDS.into()),
                    self.out.needs(batch),
                ]
            }

            fn params(&self) -> TargetMetricParams {
                TargetMetricParams { batch: self.batch, columns: self.columns }
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

target_metric! {
    /// Mean absolute error of each row of predictions `x`.
    AbsoluteError, "absolute_error", "absolute_error.wgsl"
}

target_metric! {
    /// Share of each row's labels that are right: where the logit `x > 0` just if the target is
    /// above 0.5. A NaN logit is never right.
    RightLabels, "right_labels", "common/nan.wgsl", "right_labels.wgsl"
}

/// Host reference: the mean absolute error of each of `batch` rows in f64.
pub fn absolute_error_reference(
    predictions: &[f64],
    targets: &[f64],
    batch: usize,
    step: &Step,
) -> Vec<f64> {
    reference(predictions, targets, batch, step, |p, t| (p - t).abs())
}

/// Host reference: the share of right labels of each of `batch` rows in f64.
pub fn right_labels_reference(
    logits: &[f64],
    targets: &[f64],
    batch: usize,
    step: &Step,
) -> Vec<f64> {
    let right = |z: f64, t: f64| !z.is_nan() && (z > 0.0) == (t > 0.5);
    reference(logits, targets, batch, step, |z, t| f64::from(u8::from(right(z, t))))
}

fn reference(
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
