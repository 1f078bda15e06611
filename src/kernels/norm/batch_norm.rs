//! `moments`, `batch_normalise` and `batch_normalise_gradient`: batch norm without its scale and
//! shift.
use super::merge_moments::MergeMoments;
use crate::Result;
use crate::gpu::{
    Bound, Kernel, MAX_LOOP_ITERATIONS, Operand, PlanBuilder, Slot, Target, grid_1d, read, write,
};
use crate::kernels::STEP_WORDS;

/// Extents of `x [rows, columns]`, each column of which has statistics of its own (Ioffe and
/// Szegedy 2015). Rows of padding are no part of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Columns {
    /// Rows, padding included.
    pub rows: u32,
    /// Columns.
    pub columns: u32,
    /// Rows for each row of the batch: the pixels of an image.
    pub repeat: u32,
    /// Added to the variance.
    pub epsilon: f32,
}

/// Most rows of one launch of [`Moments`]: two loops over every sixteenth in one invocation.
const MAX_ROWS: u32 = MAX_LOOP_ITERATIONS / 2 * 16;
/// Rows of a part where there are more.
const PART_ROWS: u32 = 16_384;
/// Rows up to which one launch is as good on a GPU, and workgroups that keep one busy.
const FEW_ROWS: u32 = 512;
const WORKGROUPS: u32 = 512;

impl Columns {
    pub(super) fn len(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.columns)
    }

    fn params(&self) -> ColumnsParams {
        let &Self { rows, columns, repeat, epsilon } = self;
        ColumnsParams { rows, columns, repeat, epsilon }
    }

    fn check(&self) -> std::result::Result<(), String> {
        let (rows, columns) = (self.rows, self.columns);
        match self.len() > u64::from(u32::MAX) {
            true => Err(format!("{rows} rows of {columns} columns: 2^32 elements or more")),
            false => Ok(()),
        }
    }

    /// How many parts the moments of all rows are made of: on a GPU so many that it has enough
    /// workgroups, of rows that take about as long as merging the parts does.
    fn parts(&self, target: Target) -> u32 {
        let of_columns = self.columns.div_ceil(16).max(1);
        match self.rows > MAX_ROWS {
            true => self.rows.div_ceil(PART_ROWS),
            false if target.software || self.rows < FEW_ROWS => 1,
            false => WORKGROUPS.div_ceil(of_columns).min((self.rows / 64).isqrt()),
        }
    }

    fn valid(&self, rows: u32) -> usize {
        rows.saturating_mul(self.repeat).min(self.rows) as usize
    }
}

crate::uniform! {
    /// Uniform of [`BatchNormalise`] and its gradient.
    pub struct ColumnsParams {
        /// Rows.
        rows: u32,
        /// Columns.
        columns: u32,
        /// Rows for each row of the batch.
        repeat: u32,
        /// Added to the variance.
        epsilon: f32,
    }
}

crate::uniform! {
    /// Uniform of [`Moments`].
    pub struct MomentsParams {
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

/// Means and variances (over N, not N - 1) of the columns.
#[derive(Debug, Clone, Copy)]
pub struct Moments {
    /// Extents.
    pub shape: Columns,
    /// `[rows, columns]`
    pub x: Slot,
    /// [`Step`](crate::kernels::Step)
    pub step: Slot,
    /// `[2, columns]`: means, then variances.
    pub out: Slot,
}

impl Moments {
    /// Appends it to `plan`; of very many rows as the moments of parts, and those merged.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] for extents that do not fit the slots.
    pub fn push(self, plan: &mut PlanBuilder) -> Result<()> {
        let (shape, step, parts) = (self.shape, self.step, self.shape.parts(plan.target()));
        if parts == 1 {
            return plan.push(self);
        }
        let words = u64::from(parts) * 2 * u64::from(shape.columns);
        let of_parts = plan.scratch("moments of parts", u32::try_from(words).unwrap_or(u32::MAX));
        plan.push(Parts { whole: Self { out: of_parts, ..self }, parts })?;
        plan.push(MergeMoments { shape, parts, x: of_parts, step, out: self.out })
    }
}

/// The moments of so many parts of the rows.
struct Parts {
    whole: Moments,
    parts: u32,
}

crate::kernels::parts! { Parts: MomentsParams }

impl Kernel for Parts {
    const NAME: &'static str = Moments::NAME;
    const WGSL: &'static str = Moments::WGSL;
    const OPERANDS: &'static [Operand] = Moments::OPERANDS;
    type Params = MomentsParams;

    fn bind(&self) -> Vec<Bound> {
        let [x, step, out] = [self.whole.x, self.whole.step, self.whole.out];
        let moments = 2 * u64::from(self.whole.shape.columns);
        vec![
            x.needs(self.whole.shape.len()),
            step.needs(STEP_WORDS.into()),
            out.needs(u64::from(self.parts) * moments),
        ]
    }

    fn params(&self) -> MomentsParams {
        MomentsParams { parts: self.parts, ..self.whole.params() }
    }

    fn grid(&self) -> [u32; 3] {
        [self.whole.shape.columns.div_ceil(16), self.parts, 1]
    }

    fn check(&self) -> std::result::Result<(), String> {
        self.whole.shape.check()
    }
}

impl Kernel for Moments {
    const NAME: &'static str = "moments";
    const WGSL: &'static str =
        crate::wgsl!("common/step.wgsl", "common/rows_of_part.wgsl", "moments.wgsl");
    const OPERANDS: &'static [Operand] = &[read("x"), read("step"), write("out")];
    type Params = MomentsParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.x.needs(self.shape.len()),
            self.step.needs(STEP_WORDS.into()),
            self.out.needs(2 * u64::from(self.shape.columns)),
        ]
    }

    fn params(&self) -> MomentsParams {
        let Columns { rows, columns, repeat, .. } = self.shape;
        MomentsParams { rows, columns, repeat, parts: 1 }
    }

    fn grid(&self) -> [u32; 3] {
        [self.shape.columns.div_ceil(16), 1, 1]
    }

    fn check(&self) -> std::result::Result<(), String> {
        let rows = self.shape.rows;
        if rows > MAX_ROWS {
            return Err(format!("{rows} rows in one mean, at most {MAX_ROWS}; use its push"));
        }
        self.shape.check()
    }
}

/// `y = (x - mean) / sqrt(variance + epsilon)` in each column.
#[derive(Debug, Clone, Copy)]
pub struct BatchNormalise {
    /// Extents.
    pub shape: Columns,
    /// `[rows, columns]`
    pub x: Slot,
    /// `[2, columns]`: means, then variances, of this batch or running ones.
    pub moments: Slot,
    /// `[rows, columns]`
    pub y: Slot,
}

impl Kernel for BatchNormalise {
    const NAME: &'static str = "batch_normalise";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "batch_normalise.wgsl");
    const OPERANDS: &'static [Operand] = &[read("x"), read("moments"), write("y")];
    type Params = ColumnsParams;

    fn bind(&self) -> Vec<Bound> {
        let (len, columns) = (self.shape.len(), u64::from(self.shape.columns));
        vec![self.x.needs(len), self.moments.needs(2 * columns), self.y.needs(len)]
    }

    fn params(&self) -> ColumnsParams {
        self.shape.params()
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.shape.rows.saturating_mul(self.shape.columns))
    }

    fn check(&self) -> std::result::Result<(), String> {
        self.shape.check()
    }
}

/// The gradient of [`BatchNormalise`] by `x`, whose moments are functions of `x` too.
#[derive(Debug, Clone, Copy)]
pub struct BatchNormaliseGradient {
    /// Extents.
    pub shape: Columns,
    /// Of the result, `[rows, columns]`.
    pub gradient: Slot,
    /// The result, `[rows, columns]`.
    pub y: Slot,
    /// `[2, columns]`, of this batch.
    pub moments: Slot,
    /// Sums of the columns of `gradient`.
    pub gradients: Slot,
    /// Sums of the columns of `gradient * y`.
    pub products: Slot,
    /// [`Step`](crate::kernels::Step)
    pub step: Slot,
    /// `[rows, columns]`
    pub out: Slot,
}

impl Kernel for BatchNormaliseGradient {
    const NAME: &'static str = "batch_normalise_gradient";
    const WGSL: &'static str =
        crate::wgsl!("common/grid.wgsl", "common/step.wgsl", "batch_normalise_gradient.wgsl");
    const OPERANDS: &'static [Operand] = &[
        read("gradient"),
        read("y"),
        read("moments"),
        read("gradients"),
        read("products"),
        read("step"),
        write("out"),
    ];
    type Params = ColumnsParams;

    fn bind(&self) -> Vec<Bound> {
        let (len, columns) = (self.shape.len(), u64::from(self.shape.columns));
        vec![
            self.gradient.needs(len),
            self.y.needs(len),
            self.moments.needs(2 * columns),
            self.gradients.needs(columns),
            self.products.needs(columns),
            self.step.needs(STEP_WORDS.into()),
            self.out.needs(len),
        ]
    }

    fn params(&self) -> ColumnsParams {
        self.shape.params()
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.shape.rows.saturating_mul(self.shape.columns))
    }

    fn check(&self) -> std::result::Result<(), String> {
        self.shape.check()
    }
}

/// Host reference: means, then variances, over the rows of `rows` rows of the batch.
pub fn moments_reference(shape: &Columns, x: &[f64], rows: u32) -> Vec<f64> {
    let (columns, valid) = (shape.columns as usize, shape.valid(rows));
    let mean = |j: usize, of: &dyn Fn(f64) -> f64| {
        (0..valid).map(|i| of(x[i * columns + j])).sum::<f64>() / valid as f64
    };
    let means: Vec<f64> = (0..columns).map(|j| mean(j, &|x| x)).collect();
    let variance = |j: usize| mean(j, &|x| (x - means[j]) * (x - means[j]));
    means.iter().copied().chain((0..columns).map(variance)).collect()
}

/// Host reference.
pub fn batch_normalise_reference(shape: &Columns, x: &[f64], moments: &[f64]) -> Vec<f64> {
    let columns = shape.columns as usize;
    let scale = |j: usize| 1.0 / (moments[columns + j] + f64::from(shape.epsilon)).sqrt();
    let one = |(i, x): (usize, &f64)| (x - moments[i % columns]) * scale(i % columns);
    x.iter().enumerate().map(one).collect()
}

/// Host reference; `sums` are those of the columns of `gradient`, then of `gradient * y`.
pub fn batch_normalise_gradient_reference(
    shape: &Columns,
    (gradient, y): (&[f64], &[f64]),
    moments: &[f64],
    sums: [&[f64]; 2],
    rows: u32,
) -> Vec<f64> {
    let (columns, valid) = (shape.columns as usize, shape.valid(rows));
    let one = |(i, g): (usize, &f64)| {
        let j = i % columns;
        if i / columns >= valid {
            return 0.0;
        }
        let [mean, along] = sums.map(|s| s[j] / valid as f64);
        (g - mean - y[i] * along) / (moments[columns + j] + f64::from(shape.epsilon)).sqrt()
    };
    gradient.iter().enumerate().map(one).collect()
}
