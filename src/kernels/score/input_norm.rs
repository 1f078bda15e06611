//! `input_norm`: the squared length of each input of a layer, over all rows seen.
use crate::kernels::{STEP_WORDS, Step};
use crate::gpu::{Bound, Kernel, MAX_LOOP_ITERATIONS, Operand, Slot, read, write};

/// `norm[j] += sum over the valid rows i of x[i, j]^2`; rows of padding are not read.
///
/// An f32 that grows: a batch whose sum is under 2^-24 of what is there adds nothing, which leaves
/// room for some millions of batches that are alike.
#[derive(Debug, Clone, Copy)]
pub struct InputNorm {
    /// `[rows, columns]`: what the layer gets, a row a sample.
    pub x: Slot,
    /// [`Step`]
    pub step: Slot,
    /// `[columns]`, persistent, 0 at first; updated in place.
    pub norm: Slot,
    /// Rows of `x`, padding included.
    pub rows: u32,
    /// Columns of `x`: the layer's inputs.
    pub columns: u32,
    /// Rows of `x` for each row of the batch.
    pub repeat: u32,
}

crate::uniform! {
    /// Uniform of [`InputNorm`].
    pub struct InputNormParams {
        /// Rows.
        rows: u32,
        /// Columns.
        columns: u32,
        /// Rows for each row of the batch.
        repeat: u32,
    }
}

impl Kernel for InputNorm {
    const NAME: &'static str = "input_norm";
    const WGSL: &'static str = crate::wgsl!("common/step.wgsl", "input_norm.wgsl");
    const OPERANDS: &'static [Operand] = &[read("x"), read("step"), write("norm")];
    type Params = InputNormParams;

    fn bind(&self) -> Vec<Bound> {
        let (rows, columns) = (u64::from(self.rows), u64::from(self.columns));
        vec![
            self.x.needs(rows * columns),
            self.step.needs(STEP_WORDS.into()),
            self.norm.needs(columns),
        ]
    }

    fn params(&self) -> InputNormParams {
        InputNormParams { rows: self.rows, columns: self.columns, repeat: self.repeat }
    }

    fn grid(&self) -> [u32; 3] {
        [self.columns.div_ceil(16), 1, 1]
    }

    fn check(&self) -> Result<(), String> {
        let (rows, most) = (self.rows, MAX_LOOP_ITERATIONS * 16);
        if rows > most {
            return Err(format!("{rows} rows in one sum, at most {most}; use smaller batches"));
        }
        Ok(())
    }
}

/// Host reference: the new norms, `columns` of them.
pub fn input_norm_reference(x: &[f32], norm: &[f32], step: &Step) -> Vec<f64> {
    let mut sums: Vec<f64> = norm.iter().map(|&n| f64::from(n)).collect();
    for row in x.chunks(norm.len()).take(step.rows as usize) {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value).powi(2);
        }
    }
    sums
}
