//! `saliency`: the first-order estimate of what pruning a weight does to the loss.
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// `score = |w g|`, the first term of the loss's Taylor series in one weight (Molchanov et al.
/// 2017, "Pruning Convolutional Neural Networks for Resource Efficient Inference").
///
/// With the running change that [`Change`](crate::kernels::Change) keeps in place of the gradient
/// it is the score `|w| g` of upstream's gradient options, to the bit.
#[derive(Debug, Clone, Copy)]
pub struct Saliency {
    /// `[len]`
    pub weights: Slot,
    /// `[len]`, of the loss, and not masked: a pruned weight has a score of its own.
    pub gradient: Slot,
    /// `[len]`, not negative.
    pub score: Slot,
    /// Weights.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`Saliency`].
    pub struct SaliencyParams {
        /// Weights.
        len: u32,
    }
}

impl Kernel for Saliency {
    const NAME: &'static str = "saliency";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "saliency.wgsl");
    const OPERANDS: &'static [Operand] = &[read("weights"), read("gradient"), write("score")];
    type Params = SaliencyParams;

    fn bind(&self) -> Vec<Bound> {
        [self.weights, self.gradient, self.score].map(|s| s.needs(self.len.into())).into()
    }

    fn params(&self) -> SaliencyParams {
        SaliencyParams { len: self.len }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

/// Host reference: the scores.
pub fn saliency_reference(weights: &[f32], gradient: &[f32]) -> Vec<f64> {
    let one = |(&w, &g): (&f32, &f32)| (f64::from(w) * f64::from(g)).abs();
    weights.iter().zip(gradient).map(one).collect()
}
