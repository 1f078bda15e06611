//! `pair_sum`: the sums of two vectors in one launch.
use crate::kernels::{ColumnSum, column_sum};
use crate::Result;
use crate::gpu::{Bound, Kernel, MAX_LOOP_ITERATIONS, Operand, PlanBuilder, Slot, read, write};

/// `x_sum = sum of x`, `y_sum = sum of y`: the bits of two [`ColumnSum`]s of one column.
#[derive(Debug, Clone, Copy)]
pub struct PairSum {
    /// `[len]` each.
    pub of: [Slot; 2],
    /// `[1]` each.
    pub sums: [Slot; 2],
    /// Elements of each vector.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`PairSum`].
    pub struct PairSumParams {
        /// Elements of each vector.
        len: u32,
    }
}

impl PairSum {
    /// Appends it to `plan`; long vectors are first summed in parts, as [`ColumnSum::push`] does.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] for a length that does not fit the slots.
    pub fn push(self, plan: &mut PlanBuilder) -> Result<()> {
        let Some(parts) = column_sum::parts(self.len, 1, plan.target()) else { return plan.push(self) };
        let of = self.of.map(|x| (x, plan.scratch("sums", parts)));
        for (x, out) in of {
            plan.push(ColumnSum { x, out, rows: self.len / parts, columns: parts })?;
        }
        plan.push(Self { of: of.map(|(_, sums)| sums), len: parts, ..self })
    }
}

impl Kernel for PairSum {
    const NAME: &'static str = "pair_sum";
    const WGSL: &'static str = crate::wgsl!("pair_sum.wgsl");
    const OPERANDS: &'static [Operand] = &[read("x"), read("y"), write("x_sum"), write("y_sum")];
    type Params = PairSumParams;

    fn bind(&self) -> Vec<Bound> {
        let ([x, y], [x_sum, y_sum], len) = (self.of, self.sums, self.len.into());
        vec![x.needs(len), y.needs(len), x_sum.needs(1), y_sum.needs(1)]
    }

    fn params(&self) -> PairSumParams {
        PairSumParams { len: self.len }
    }

    fn grid(&self) -> [u32; 3] {
        [2, 1, 1]
    }

    fn check(&self) -> std::result::Result<(), String> {
        let (len, most) = (self.len, MAX_LOOP_ITERATIONS * 16);
        if len > most {
            return Err(format!("{len} elements in one sum, at most {most}"));
        }
        Ok(())
    }
}

/// Host reference: both sums in f64.
pub fn pair_sum_reference(x: &[f32], y: &[f32]) -> [f64; 2] {
    [x, y].map(|v| v.iter().map(|&v| f64::from(v)).sum())
}
