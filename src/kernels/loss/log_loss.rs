//! `log_loss`: sigmoid and binary log loss of each row, and its gradient, in one pass.
use crate::kernels::{STEP_WORDS, Step};
use crate::gpu::{Bound, Kernel, Operand, Slot, read, write};

/// Losses and gradients are divided by the number of valid rows, so that their sum over the batch
/// is the mean. `epsilon` keeps the logarithms finite, as upstream's `log_loss` does.
#[derive(Debug, Clone, Copy)]
pub struct LogLoss {
    /// `[batch]`
    pub logits: Slot,
    /// `[batch]`, 0 or 1.
    pub labels: Slot,
    /// [`Step`]
    pub step: Slot,
    /// `[batch]`
    pub losses: Slot,
    /// `[batch]`
    pub gradient: Slot,
    /// Rows, padding included.
    pub batch: u32,
    /// Added inside the logarithms.
    pub epsilon: f32,
}

crate::uniform! {
    /// Uniform of [`LogLoss`].
    pub struct LogLossParams {
        /// Rows.
        batch: u32,
        /// Added inside the logarithms.
        epsilon: f32,
    }
}

impl Kernel for LogLoss {
    const NAME: &'static str = "log_loss";
    const WGSL: &'static str = crate::wgsl!("common/step.wgsl", "log_loss.wgsl");
    const OPERANDS: &'static [Operand] =
        &[read("logits"), read("labels"), read("step"), write("losses"), write("gradient")];
    type Params = LogLossParams;

    fn bind(&self) -> Vec<Bound> {
        let batch = u64::from(self.batch);
        vec![
            self.logits.needs(batch),
            self.labels.needs(batch),
            self.step.needs(STEP_WORDS.into()),
            self.losses.needs(batch),
            self.gradient.needs(batch),
        ]
    }

    fn params(&self) -> LogLossParams {
        LogLossParams { batch: self.batch, epsilon: self.epsilon }
    }

    fn grid(&self) -> [u32; 3] {
        [self.batch.div_ceil(64), 1, 1]
    }
}

/// Host reference: losses and gradient in f64.
pub fn log_loss_reference(
    logits: &[f32],
    labels: &[u32],
    epsilon: f32,
    step: &Step,
) -> (Vec<f64>, Vec<f64>) {
    let (rows, epsilon) = (f64::from(step.rows), f64::from(epsilon));
    let one = |(i, (&z, &label)): (usize, (&f32, &u32))| {
        if i >= step.rows as usize {
            return (0.0, 0.0);
        }
        let p = 1.0 / (1.0 + (-f64::from(z)).exp());
        let y = f64::from(label);
        let (hit, miss) = (p + epsilon, 1.0 - p + epsilon);
        let loss = -(y * hit.ln() + (1.0 - y) * miss.ln()) / rows;
        (loss, ((1.0 - y) / miss - y / hit) * p * (1.0 - p) / rows)
    };
    logits.iter().zip(labels).enumerate().map(one).unzip()
}
