//! `column_sum`: sums over the rows of a matrix by a fixed tree.
use crate::gpu::{Bound, Kernel, MAX_LOOP_ITERATIONS, Operand, Slot, read, write};

/// `out[j] = sum over i of x[i, j]`; with one column the sum of a vector.
#[derive(Debug, Clone, Copy)]
pub struct ColumnSum {
    /// `[rows, columns]`
    pub x: Slot,
    /// `[columns]`
    pub out: Slot,
    /// Rows of `x`.
    pub rows: u32,
    /// Columns of `x`.
    pub columns: u32,
}

crate::uniform! {
    /// Uniform of [`ColumnSum`].
    pub struct ColumnSumParams {
        /// Rows.
        rows: u32,
        /// Columns.
        columns: u32,
    }
}

impl Kernel for ColumnSum {
    const NAME: &'static str = "column_sum";
    const WGSL: &'static str = crate::wgsl!("column_sum.wgsl");
    const OPERANDS: &'static [Operand] = &[read("x"), write("out")];
    type Params = ColumnSumParams;

    fn bind(&self) -> Vec<Bound> {
        let (rows, columns) = (u64::from(self.rows), u64::from(self.columns));
        vec![self.x.needs(rows * columns), self.out.needs(columns)]
    }

    fn params(&self) -> ColumnSumParams {
        ColumnSumParams { rows: self.rows, columns: self.columns }
    }

    fn grid(&self) -> [u32; 3] {
        [self.columns.div_ceil(16), 1, 1]
    }

    fn check(&self) -> Result<(), String> {
        let (rows, most) = (self.rows, MAX_LOOP_ITERATIONS * 16);
        if rows > most {
            return Err(format!("{rows} rows in one sum, at most {most}"));
        }
        Ok(())
    }
}

/// Host reference: each sum in f64, with the sum of the magnitudes.
pub fn column_sum_reference(x: &[f32], columns: usize) -> Vec<(f64, f64)> {
    let mut sums = vec![(0.0, 0.0); columns];
    for (at, &value) in x.iter().enumerate() {
        let (sum, magnitude) = &mut sums[at % columns];
        *sum += f64::from(value);
        *magnitude += f64::from(value.abs());
    }
    sums
}
