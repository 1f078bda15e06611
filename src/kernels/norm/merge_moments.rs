//! `merge_moments`: means and variances of columns from those of parts of their rows.
use super::batch_norm::Columns;
use crate::gpu::{Bound, Kernel, MAX_LOOP_ITERATIONS, Operand, Slot, grid_1d, read, write};
use crate::kernels::STEP_WORDS;

/// The second launch of [`Moments::push`](crate::kernels::Moments::push), where there are very many
/// rows.
#[derive(Debug, Clone, Copy)]
pub struct MergeMoments {
    /// Extents of what the moments are of.
    pub shape: Columns,
    /// Parts that take turns of sixteen rows.
    pub parts: u32,
    /// `[parts, 2, columns]`: means, then variances.
    pub x: Slot,
    /// [`Step`](crate::kernels::Step)
    pub step: Slot,
    /// `[2, columns]`: means, then variances.
    pub out: Slot,
}

crate::uniform! {
    /// Uniform of [`MergeMoments`].
    pub struct MergeMomentsParams {
        /// Rows.
        rows: u32,
        /// Columns.
        columns: u32,
        /// Rows for each row of the batch.
        repeat: u32,
        /// Parts that the rows are shared out to.
        parts: u32,
    }
}

impl Kernel for MergeMoments {
    const NAME: &'static str = "merge_moments";
    const WGSL: &'static str = crate::wgsl!(
        "common/grid.wgsl",
        "common/step.wgsl",
        "common/rows_of_part.wgsl",
        "merge_moments.wgsl"
    );
    const OPERANDS: &'static [Operand] = &[read("x"), read("step"), write("out")];
    type Params = MergeMomentsParams;

    fn bind(&self) -> Vec<Bound> {
        let moments = 2 * u64::from(self.shape.columns);
        vec![
            self.x.needs(u64::from(self.parts) * moments),
            self.step.needs(STEP_WORDS.into()),
            self.out.needs(moments),
        ]
    }

    fn params(&self) -> MergeMomentsParams {
        let Columns { rows, columns, repeat, .. } = self.shape;
        MergeMomentsParams { rows, columns, repeat, parts: self.parts }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.shape.columns)
    }

    fn check(&self) -> Result<(), String> {
        let (parts, most) = (self.parts, MAX_LOOP_ITERATIONS / 2);
        match (1..=most).contains(&parts) {
            true => Ok(()),
            false => Err(format!("moments of {parts} parts, must be 1 to {most}")),
        }
    }
}
