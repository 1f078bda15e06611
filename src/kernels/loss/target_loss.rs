//! `squared_error` and `sigmoid_cross_entropy`: losses of elements against targets, and their
//! gradients, in one pass.
use crate::kernels::{STEP_WORDS, Step};
use crate::gpu::{Bound, Kernel, MAX_LOOP_ITERATIONS, Operand, Slot, grid_groups, read, write};

crate::uniform! {
    /// Uniform of [`SquaredError`] and [`SigmoidCrossEntropy`].
    pub struct TargetLossParams {
        /// Rows.
        batch: u32,
        /// Elements of a row.
        columns: u32,
    }
}

macro_rules! target_loss {
    ($(#[$meta:meta])* $name:ident, $label:literal, $file:literal) => {
        $(#[$meta])*
        ///
        /// Losses and gradients are divided by the number of valid rows and the elements of a row,
        /// so that the losses' sum over the batch is the mean.
        #[derive(Debug, Clone, Copy)]
        pub struct $name {
            /// `[batch, columns]`
            pub x: Slot,
            /// `[batch, columns]`
            pub targets: Slot,
            /// [`Step`]
            pub step: Slot,
            /// `[batch]`
            pub losses: Slot,
            /// By x, `[batch, columns]`.
            pub gradient: Slot,
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
                "common/target_loss.wgsl",
                $file
            );
            const OPERANDS: &'static [Operand] =
                &[read("x"), read("targets"), read("step"), write("losses"), write("gradient")];
            type Params = TargetLossParams;

            fn bind(&self) -> Vec<Bound> {
                let batch = u64::from(self.batch);
                let all = batch * u64::from(self.columns);
                vec![
                    self.x.needs(all),
                    self.targets.needs(all),
                    self.step.needs(STEP_WORDS.into()),
                    self.losses.needs(batch),
                    self.gradient.needs(all),
                ]
            }

            fn params(&self) -> TargetLossParams {
                TargetLossParams { batch: self.batch, columns: self.columns }
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

target_loss! {
    /// Mean squared error.
    SquaredError, "squared_error", "squared_error.wgsl"
}

target_loss! {
    /// Binary cross-entropy of several labels at once: `x` are logits, targets 0 to 1.
    SigmoidCrossEntropy, "sigmoid_cross_entropy", "sigmoid_cross_entropy.wgsl"
}

/// Host reference: losses and gradient of `batch` rows in f64.
pub fn squared_error_reference(
    predictions: &[f64],
    targets: &[f64],
    batch: usize,
    step: &Step,
) -> (Vec<f64>, Vec<f64>) {
    let loss = |p: f64, t: f64| ((p - t) * (p - t), 2.0 * (p - t));
    reference(predictions, targets, batch, step, loss)
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
    reference(logits, targets, batch, step, loss)
}

fn reference(
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
