//! `sigmoid_cross_entropy`: binary cross-entropy of several labels at once, and its gradient, in one pass.
use super::{STEP_WORDS, Step};
use crate::gpu::{Bound, Kernel, MAX_LOOP_ITERATIONS, Operand, Slot, grid_groups, read, write};

/// Losses and gradients are divided by the number of valid rows and the elements of a row, so that the losses' sum over
/// the batch is the mean.
#[derive(Debug, Clone, Copy)]
pub struct SigmoidCrossEntropy {
    /// `[batch, columns]`
    pub logits: Slot,
    /// `[batch, columns]`, 0 to 1.
    pub targets: Slot,
    /// [`Step`]
    pub step: Slot,
    /// `[batch]`
    pub losses: Slot,
    /// By the logits, `[batch, columns]`.
    pub gradient: Slot,
    /// Rows, padding included.
    pub batch: u32,
    /// Elements of a row.
    pub columns: u32,
}

crate::uniform! {
    /// Uniform of [`SigmoidCrossEntropy`].
    pub struct SigmoidCrossEntropyParams {
        /// Rows.
        batch: u32,
        /// Elements of a row.
        columns: u32,
    }
}

impl Kernel for SigmoidCrossEntropy {
    const NAME: &'static str = "sigmoid_cross_entropy";
    const WGSL: &'static str =
        crate::wgsl!("common/step.wgsl", "common/row_sum.wgsl", "sigmoid_cross_entropy.wgsl");
    const OPERANDS: &'static [Operand] =
        &[read("logits"), read("targets"), read("step"), write("losses"), write("gradient")];
    type Params = SigmoidCrossEntropyParams;

    fn bind(&self) -> Vec<Bound> {
        let (batch, all) = (u64::from(self.batch), u64::from(self.batch) * u64::from(self.columns));
        vec![
            self.logits.needs(all),
            self.targets.needs(all),
            self.step.needs(STEP_WORDS.into()),
            self.losses.needs(batch),
            self.gradient.needs(all),
        ]
    }

    fn params(&self) -> SigmoidCrossEntropyParams {
        SigmoidCrossEntropyParams { batch: self.batch, columns: self.columns }
    }

    fn grid(&self) -> [u32; 3] {
        grid_groups(self.batch)
    }

    fn check(&self) -> Result<(), String> {
        // One loop over every 64th element, and a tree of 6 levels.
        let (columns, most) = (self.columns, (MAX_LOOP_ITERATIONS - 6) * 64);
        if !(1..=most).contains(&columns) {
            return Err(format!("{columns} elements in one row, must be 1 to {most}"));
        }
        Ok(())
    }
}

/// Host reference: losses and gradient of `batch` rows in f64.
pub fn sigmoid_cross_entropy_reference(
    logits: &[f64],
    targets: &[f64],
    batch: usize,
    step: &Step,
) -> (Vec<f64>, Vec<f64>) {
    let columns = logits.len() / batch;
    let scale = 1.0 / (f64::from(step.rows) * columns as f64);
    let (mut losses, mut gradient) = (Vec::new(), Vec::new());
    for (i, (z, t)) in logits.chunks(columns).zip(targets.chunks(columns)).enumerate() {
        if i >= step.rows as usize {
            losses.push(0.0);
            gradient.extend(z.iter().map(|_| 0.0));
            continue;
        }
        let one = |(z, t): (&f64, &f64)| z.max(0.0) - z * t + (-z.abs()).exp().ln_1p();
        losses.push(z.iter().zip(t).map(one).sum::<f64>() * scale);
        gradient.extend(z.iter().zip(t).map(|(z, t)| (1.0 / (1.0 + (-z).exp()) - t) * scale));
    }
    (losses, gradient)
}
