//! `top_k`: which rows have their label among the k highest logits.
use super::softmax_cross_entropy::{MOST, WIDE};
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_groups, read, write};
use crate::kernels::{STEP_WORDS, Step};

/// `right[i]` is 1 or 0 as an f32, so that a sum counts exactly up to 2^24 rows. With `k = 1` it is
/// what [`Correct`](crate::kernels::Correct) says, but that a label whose logit is NaN is never
/// right.
#[derive(Debug, Clone, Copy)]
pub struct TopK {
    /// `[batch, classes]`
    pub logits: Slot,
    /// `[batch]` class numbers.
    pub labels: Slot,
    /// [`Step`]
    pub step: Slot,
    /// `[batch]`
    pub right: Slot,
    /// Rows, padding included.
    pub batch: u32,
    /// Columns of the logits; 1 for a binary logit, whose classes are its signs.
    pub classes: u32,
    /// Rows of the logits for each row of the batch.
    pub repeat: u32,
    /// How many logits count as the highest, 1 or more.
    pub k: u32,
}

crate::uniform! {
    /// Uniform of [`TopK`].
    pub struct TopKParams {
        /// Rows.
        batch: u32,
        /// Columns.
        classes: u32,
        /// Rows for each row of the batch.
        repeat: u32,
        /// How many logits count as the highest.
        k: u32,
    }
}

impl Kernel for TopK {
    const NAME: &'static str = "top_k";
    const WGSL: &'static str = crate::wgsl!(
        "common/step.wgsl",
        "common/nan.wgsl",
        "common/row_sum.wgsl",
        "common/higher.wgsl",
        "top_k.wgsl"
    );
    const OPERANDS: &'static [Operand] =
        &[read("logits"), read("labels"), read("step"), write("right")];
    type Params = TopKParams;

    fn bind(&self) -> Vec<Bound> {
        let batch = u64::from(self.batch);
        vec![
            self.logits.needs(batch * u64::from(self.classes)),
            self.labels.needs(batch),
            self.step.needs(STEP_WORDS.into()),
            self.right.needs(batch),
        ]
    }

    fn params(&self) -> TopKParams {
        let &Self { batch, classes, repeat, k, .. } = self;
        TopKParams { batch, classes, repeat, k }
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
        if self.k == 0 || self.repeat == 0 {
            let (k, repeat) = (self.k, self.repeat);
            return Err(format!("k {k} and repeat {repeat} must be 1 or more"));
        }
        Ok(())
    }
}

/// Host reference, where each row of the batch is one of the logits: the place of the label among
/// the classes, the highest first.
pub fn top_k_reference(
    logits: &[f32],
    labels: &[u32],
    classes: usize,
    k: usize,
    step: &Step,
) -> Vec<f32> {
    let place = |row: &[f32], label: usize| {
        // A binary logit is one for class 1 against a logit of 0 for class 0.
        let both = [0.0, row[0]];
        let row = if classes == 1 { &both } else { row };
        let stuck = row[0].is_nan() && label > 0;
        let higher = |j: &usize| row[*j] > row[label] || row[*j] == row[label] && *j < label;
        (0..row.len()).filter(higher).count() + usize::from(stuck)
    };
    let one = |(i, (row, &label)): (usize, (&[f32], &u32))| {
        let label = label as usize;
        let is_class = label < classes.max(2) && !row[label.min(classes - 1)].is_nan();
        let right = i < step.rows as usize && is_class && place(row, label) < k;
        f32::from(u8::from(right))
    };
    logits.chunks(classes).zip(labels).enumerate().map(one).collect()
}
