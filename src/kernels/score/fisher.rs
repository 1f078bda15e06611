//! `fisher`: weights by what a change of them does to the loss, as Adam's second moments have it.
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// `score[i] = |weights[i]| * sqrt(second[i])`: the root of what the diagonal of the empirical
/// Fisher matrix makes of setting the weight to zero.
#[derive(Debug, Clone, Copy)]
pub struct Fisher {
    /// `[len]`
    pub weights: Slot,
    /// `[len]`, second moments of their gradients: not negative.
    pub second: Slot,
    /// `[len]`, not negative.
    pub score: Slot,
    /// Weights.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`Fisher`].
    pub struct FisherParams {
        /// Weights.
        len: u32,
    }
}

impl Kernel for Fisher {
    const NAME: &'static str = "fisher";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "fisher.wgsl");
    const OPERANDS: &'static [Operand] = &[read("weights"), read("second"), write("score")];
    type Params = FisherParams;

    fn bind(&self) -> Vec<Bound> {
        let len = u64::from(self.len);
        vec![self.weights.needs(len), self.second.needs(len), self.score.needs(len)]
    }

    fn params(&self) -> FisherParams {
        FisherParams { len: self.len }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

/// Host reference: the scores.
pub fn fisher_reference(weights: &[f32], second: &[f32]) -> Vec<f64> {
    let one = |(&w, &v): (&f32, &f32)| f64::from(w.abs()) * f64::from(v).sqrt();
    weights.iter().zip(second).map(one).collect()
}
