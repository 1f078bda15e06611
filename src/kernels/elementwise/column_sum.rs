//! `column_sum`: sums over the rows of a matrix by a fixed tree.
use crate::Result;
use crate::gpu::{Bound, Cut, Kernel, MAX_LOOP_ITERATIONS, Operand, PlanBuilder, Slot, Target, read, write};

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
        /// First workgroup of this launch.
        first_x: u32,
        /// The same along y.
        first_y: u32,
        /// The same along z.
        first_z: u32,
    }
}

/// Values that one workgroup of a kernel sums before a [`ColumnSum`] takes its part.
pub(in crate::kernels) const CHUNK: u32 = 8_192;

/// Rows from which on a sum is made in two launches, so that a tall matrix of few columns takes
/// more than a few workgroups.
const TALL: u32 = 4096;
/// The same on a GPU, where fewer workgroups than this leave much of it idle.
const TALL_ON_GPU: u32 = 512;
const BUSY: u32 = 256;

impl ColumnSum {
    /// Appends it to `plan`. A tall matrix is summed as a wider one of fewer rows, and then those.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] for extents that do not fit the slots.
    pub fn push(self, plan: &mut PlanBuilder) -> Result<()> {
        let Self { x, out, rows, columns } = self;
        let Some(parts) = parts(rows, columns, plan.target()) else { return plan.push(self) };
        let sums = plan.scratch("sums", parts * columns);
        plan.push(Self { x, out: sums, rows: rows / parts, columns: columns * parts })?;
        plan.push(Self { x: sums, out, rows: parts, columns })
    }
}

/// How many sums of each column are made first, where not all in one.
pub(in crate::kernels) fn parts(rows: u32, columns: u32, target: Target) -> Option<u32> {
    let fits = |parts: &u32| rows.is_multiple_of(*parts) && columns.checked_mul(*parts).is_some();
    let few = !target.software && columns.div_ceil(16) < BUSY;
    let tall = rows > if few { TALL_ON_GPU } else { TALL };
    (2..=rows.isqrt()).rev().find(fits).filter(|_| tall)
}

impl Kernel for ColumnSum {
    const NAME: &'static str = "column_sum";
    const WGSL: &'static str = crate::wgsl!("common/cut.wgsl", "column_sum.wgsl");
    const OPERANDS: &'static [Operand] = &[read("x"), write("out")];
    type Params = ColumnSumParams;

    fn bind(&self) -> Vec<Bound> {
        let (rows, columns) = (u64::from(self.rows), u64::from(self.columns));
        vec![self.x.needs(rows * columns), self.out.needs(columns)]
    }

    fn params(&self) -> ColumnSumParams {
        let (rows, columns) = (self.rows, self.columns);
        ColumnSumParams { rows, columns, ..ColumnSumParams::default() }
    }

    fn grid(&self) -> [u32; 3] {
        [self.columns.div_ceil(16), 1, 1]
    }

    fn cut(&self) -> Option<Cut> {
        let operations = u64::from(self.rows) * u64::from(self.columns);
        Some(Cut { operations, first: std::mem::offset_of!(ColumnSumParams, first_x) })
    }

    fn check(&self) -> std::result::Result<(), String> {
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
