//! `normalise` and `normalise_gradient`: each row to mean 0 and variance 1, or to mean square 1.
use crate::gpu::{Bound, Kernel, MAX_LOOP_ITERATIONS, Operand, Slot, grid_groups, read, write};

/// What [`Normalise`] and [`NormaliseGradient`] work on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rows {
    /// Rows.
    pub rows: u32,
    /// Columns, over which means are taken.
    pub columns: u32,
    /// Added to the variance.
    pub epsilon: f32,
    /// Whether the mean is taken off: layer norm (Ba et al. 2016), else RMS norm (Zhang and
    /// Sennrich 2019).
    pub centred: bool,
}

crate::uniform! {
    /// Uniform of [`Normalise`] and [`NormaliseGradient`].
    pub struct RowsParams {
        /// Rows.
        rows: u32,
        /// Columns.
        columns: u32,
        /// Added to the variance.
        epsilon: f32,
    }
}

impl Rows {
    fn len(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.columns)
    }

    fn params(&self) -> RowsParams {
        RowsParams { rows: self.rows, columns: self.columns, epsilon: self.epsilon }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("CENTRED", f64::from(u8::from(self.centred)))]
    }

    fn check(&self) -> Result<(), String> {
        let (columns, most) = (self.columns, MAX_LOOP_ITERATIONS / 3 * 64);
        if columns > most {
            return Err(format!("{columns} columns in one row, at most {most}"));
        }
        Ok(())
    }
}

/// `y = (x - mean) / sqrt(variance + epsilon)` over each row of `x`.
#[derive(Debug, Clone, Copy)]
pub struct Normalise {
    /// Extents and constants.
    pub rows: Rows,
    /// `[rows, columns]`
    pub x: Slot,
    /// `[rows, columns]`
    pub y: Slot,
}

impl Kernel for Normalise {
    const NAME: &'static str = "normalise";
    const WGSL: &'static str = crate::wgsl!("common/row_sum.wgsl", "normalise.wgsl");
    const OPERANDS: &'static [Operand] = &[read("x"), write("y")];
    type Params = RowsParams;

    fn bind(&self) -> Vec<Bound> {
        [self.x, self.y].map(|s| s.needs(self.rows.len())).to_vec()
    }

    fn params(&self) -> RowsParams {
        self.rows.params()
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.rows.constants()
    }

    fn grid(&self) -> [u32; 3] {
        grid_groups(self.rows.rows)
    }

    fn check(&self) -> Result<(), String> {
        self.rows.check()
    }
}

/// The gradient of [`Normalise`] by `x`.
#[derive(Debug, Clone, Copy)]
pub struct NormaliseGradient {
    /// Extents and constants.
    pub rows: Rows,
    /// Of the result, `[rows, columns]`.
    pub gradient: Slot,
    /// `[rows, columns]`
    pub x: Slot,
    /// `[rows, columns]`
    pub out: Slot,
}

impl Kernel for NormaliseGradient {
    const NAME: &'static str = "normalise_gradient";
    const WGSL: &'static str = crate::wgsl!("common/row_sum.wgsl", "normalise_gradient.wgsl");
    const OPERANDS: &'static [Operand] = &[read("gradient"), read("x"), write("out")];
    type Params = RowsParams;

    fn bind(&self) -> Vec<Bound> {
        [self.gradient, self.x, self.out].map(|s| s.needs(self.rows.len())).to_vec()
    }

    fn params(&self) -> RowsParams {
        self.rows.params()
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.rows.constants()
    }

    fn grid(&self) -> [u32; 3] {
        grid_groups(self.rows.rows)
    }

    fn check(&self) -> Result<(), String> {
        self.rows.check()
    }
}

/// Host reference: the normalised row, and the factor that made it.
fn row_reference(rows: &Rows, x: &[f64]) -> (Vec<f64>, f64) {
    let mean_of = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / x.len() as f64;
    let mean = if rows.centred { mean_of(&mut x.iter().copied()) } else { 0.0 };
    let variance = mean_of(&mut x.iter().map(|x| (x - mean) * (x - mean)));
    let scale = 1.0 / (variance + f64::from(rows.epsilon)).sqrt();
    (x.iter().map(|x| (x - mean) * scale).collect(), scale)
}

/// Host reference.
pub fn normalise_reference(rows: &Rows, x: &[f64]) -> Vec<f64> {
    x.chunks(rows.columns as usize).flat_map(|x| row_reference(rows, x).0).collect()
}

/// Host reference.
pub fn normalise_gradient_reference(rows: &Rows, gradient: &[f64], x: &[f64]) -> Vec<f64> {
    let columns = rows.columns as usize;
    let one = |(x, g): (&[f64], &[f64])| {
        let (y, scale) = row_reference(rows, x);
        let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / columns as f64;
        let offset = if rows.centred { mean(&mut g.iter().copied()) } else { 0.0 };
        let along = mean(&mut g.iter().zip(&y).map(|(g, y)| g * y));
        let back = g.iter().zip(&y).map(|(g, y)| scale * (g - offset - y * along));
        back.collect::<Vec<_>>()
    };
    x.chunks(columns).zip(gradient.chunks(columns)).flat_map(one).collect()
}
