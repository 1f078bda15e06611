//! `correct`: which rows have their label's logit highest.
use crate::kernels::{STEP_WORDS, Step};
use super::softmax_cross_entropy::{MOST, WIDE};
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_groups, read, write};

/// `correct[i]` is 1 or 0 as an f32, so that a sum counts exactly up to 2^24 rows.
#[derive(Debug, Clone, Copy)]
pub struct Correct {
    /// `[batch, classes]`
    pub logits: Slot,
    /// `[batch]` class numbers.
    pub labels: Slot,
    /// [`Step`]
    pub step: Slot,
    /// `[batch]`
    pub correct: Slot,
    /// Rows, padding included.
    pub batch: u32,
    /// Columns of the logits; 1 for a binary logit.
    pub classes: u32,
    /// Rows of the logits for each row of the batch.
    pub repeat: u32,
}

crate::uniform! {
    /// Uniform of [`Correct`].
    pub struct CorrectParams {
        /// Rows.
        batch: u32,
        /// Columns.
        classes: u32,
        /// Rows for each row of the batch.
        repeat: u32,
    }
}

impl Kernel for Correct {
    const NAME: &'static str = "correct";
    const WGSL: &'static str = crate::wgsl!(
        "common/step.wgsl",
        "common/nan.wgsl",
        "common/row_sum.wgsl",
        "common/higher.wgsl",
        "correct.wgsl"
    );
    const OPERANDS: &'static [Operand] =
        &[read("logits"), read("labels"), read("step"), write("correct")];
    type Params = CorrectParams;

    fn bind(&self) -> Vec<Bound> {
        let batch = u64::from(self.batch);
        vec![
            self.logits.needs(batch * u64::from(self.classes)),
            self.labels.needs(batch),
            self.step.needs(STEP_WORDS.into()),
            self.correct.needs(batch),
        ]
    }

    fn params(&self) -> CorrectParams {
        CorrectParams { batch: self.batch, classes: self.classes, repeat: self.repeat }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        if self.classes > WIDE { vec![("WIDE", 1.0)] } else { Vec::new() }
    }

    fn grid(&self) -> [u32; 3] {
        let rows = if self.classes > WIDE { self.batch } else { self.batch.div_ceil(64) };
        grid_groups(rows)
    }

    fn check(&self) -> Result<(), String> {
        let (classes, most) = (self.classes, MOST);
        if !(1..=most).contains(&classes) {
            return Err(format!("{classes} classes, must be 1 to {most}"));
        }
        Ok(())
    }
}

/// Host reference.
pub fn correct_reference(logits: &[f32], labels: &[u32], classes: usize, step: &Step) -> Vec<f32> {
    let class = |row: &[f32]| match row {
        [z] => u32::from(*z > 0.0),
        row => (1..row.len()).fold(0, |best, j| if row[j] > row[best] { j } else { best }) as u32,
    };
    let one = |(i, (row, &label)): (usize, (&[f32], &u32))| {
        f32::from(u8::from(i < step.rows as usize && class(row) == label))
    };
    logits.chunks(classes).zip(labels).enumerate().map(one).collect()
}
