//! `softmax` and `softmax_gradient`: each row to shares of 1.
use crate::gpu::{Bound, Kernel, MAX_LOOP_ITERATIONS, Operand, Slot, grid_groups, read, write};

/// `y = exp(x) / sum of exp(x)` over each row of `x`.
#[derive(Debug, Clone, Copy)]
pub struct Softmax {
    /// `[rows, columns]`
    pub x: Slot,
    /// `[rows, columns]`
    pub y: Slot,
    /// Rows.
    pub rows: u32,
    /// Columns, over which sums are taken.
    pub columns: u32,
}

crate::uniform! {
    /// Uniform of [`Softmax`] and [`SoftmaxGradient`].
    pub struct SoftmaxParams {
        /// Rows.
        rows: u32,
        /// Columns.
        columns: u32,
    }
}

fn check(columns: u32) -> Result<(), String> {
    // At most three loops over every 64th column, and two trees of 6 levels.
    let most = (MAX_LOOP_ITERATIONS - 12) / 3 * 64;
    if !(1..=most).contains(&columns) {
        return Err(format!("{columns} columns in one row, must be 1 to {most}"));
    }
    Ok(())
}

impl Kernel for Softmax {
    const NAME: &'static str = "softmax";
    const WGSL: &'static str = crate::wgsl!("common/row_sum.wgsl", "softmax.wgsl");
    const OPERANDS: &'static [Operand] = &[read("x"), write("y")];
    type Params = SoftmaxParams;

    fn bind(&self) -> Vec<Bound> {
        let len = u64::from(self.rows) * u64::from(self.columns);
        [self.x, self.y].map(|s| s.needs(len)).to_vec()
    }

    fn params(&self) -> SoftmaxParams {
        SoftmaxParams { rows: self.rows, columns: self.columns }
    }

    fn grid(&self) -> [u32; 3] {
        grid_groups(self.rows)
    }

    fn check(&self) -> Result<(), String> {
        check(self.columns)
    }
}

/// The gradient of [`Softmax`] by `x`.
#[derive(Debug, Clone, Copy)]
pub struct SoftmaxGradient {
    /// Of the result, `[rows, columns]`.
    pub gradient: Slot,
    /// The result, `[rows, columns]`.
    pub y: Slot,
    /// `[rows, columns]`
    pub out: Slot,
    /// Rows.
    pub rows: u32,
    /// Columns, over which sums are taken.
    pub columns: u32,
}

impl Kernel for SoftmaxGradient {
    const NAME: &'static str = "softmax_gradient";
    const WGSL: &'static str = crate::wgsl!("common/row_sum.wgsl", "softmax_gradient.wgsl");
    const OPERANDS: &'static [Operand] = &[read("gradient"), read("y"), write("out")];
    type Params = SoftmaxParams;

    fn bind(&self) -> Vec<Bound> {
        let len = u64::from(self.rows) * u64::from(self.columns);
        [self.gradient, self.y, self.out].map(|s| s.needs(len)).to_vec()
    }

    fn params(&self) -> SoftmaxParams {
        SoftmaxParams { rows: self.rows, columns: self.columns }
    }

    fn grid(&self) -> [u32; 3] {
        grid_groups(self.rows)
    }

    fn check(&self) -> Result<(), String> {
        check(self.columns)
    }
}

/// Host reference.
pub fn softmax_reference(x: &[f64], columns: usize) -> Vec<f64> {
    let one = |x: &[f64]| {
        let highest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let exp: Vec<f64> = x.iter().map(|x| (x - highest).exp()).collect();
        let sum: f64 = exp.iter().sum();
        exp.into_iter().map(move |e| e / sum).collect::<Vec<_>>()
    };
    x.chunks(columns).flat_map(one).collect()
}

/// Host reference.
pub fn softmax_gradient_reference(gradient: &[f64], y: &[f64], columns: usize) -> Vec<f64> {
    let one = |(g, y): (&[f64], &[f64])| {
        let along: f64 = g.iter().zip(y).map(|(g, y)| g * y).sum();
        g.iter().zip(y).map(|(g, y)| y * (g - along)).collect::<Vec<_>>()
    };
    gradient.chunks(columns).zip(y.chunks(columns)).flat_map(one).collect()
}
