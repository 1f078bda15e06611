//! `wanda`: weights by what they carry, magnitude times the length of their input.
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// `score[i, j] = |weights[i, j]| * sqrt(norm[i])` (Sun et al. 2023, "A Simple and Effective
/// Pruning Approach for Large Language Models"), which compares the weights of one output with each
/// other; what is compared here is up to the selection.
#[derive(Debug, Clone, Copy)]
pub struct Wanda {
    /// `[rows, columns]`
    pub weights: Slot,
    /// `[rows]` sums of squares, see [`InputNorm`](crate::kernels::InputNorm).
    pub norm: Slot,
    /// `[rows, columns]`, not negative.
    pub score: Slot,
    /// Inputs of the layer.
    pub rows: u32,
    /// Outputs of the layer.
    pub columns: u32,
}

crate::uniform! {
    /// Uniform of [`Wanda`].
    pub struct WandaParams {
        /// Weights.
        len: u32,
        /// Outputs.
        columns: u32,
    }
}

impl Wanda {
    /// Weights; `check` refuses what does not fit.
    fn len(&self) -> u32 {
        self.rows.saturating_mul(self.columns)
    }
}

impl Kernel for Wanda {
    const NAME: &'static str = "wanda";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "wanda.wgsl");
    const OPERANDS: &'static [Operand] = &[read("weights"), read("norm"), write("score")];
    type Params = WandaParams;

    fn bind(&self) -> Vec<Bound> {
        let len = u64::from(self.rows) * u64::from(self.columns);
        vec![self.weights.needs(len), self.norm.needs(self.rows.into()), self.score.needs(len)]
    }

    fn params(&self) -> WandaParams {
        WandaParams { len: self.len(), columns: self.columns }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len())
    }

    fn check(&self) -> Result<(), String> {
        let (rows, columns) = (self.rows, self.columns);
        if rows.checked_mul(columns).is_none() {
            return Err(format!("{rows} x {columns} weights, must be fewer than 2^32"));
        }
        Ok(())
    }
}

/// Host reference: the scores.
pub fn wanda_reference(weights: &[f32], norm: &[f32]) -> Vec<f64> {
    let columns = weights.len() / norm.len();
    let one = |(at, &w): (usize, &f32)| f64::from(w.abs()) * f64::from(norm[at / columns]).sqrt();
    weights.iter().enumerate().map(one).collect()
}
