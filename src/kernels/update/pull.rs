//! `pull`: the gradient of the penalty that draws weights to their projection.
use crate::kernels::bit;
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// `gradient[i] += penalty * (w - z + u)`, the gradient of `penalty / 2 * |w - z + u|^2` (ELSA: Lee
/// et al. 2025). `z` and `u` are in the anchor, as [`Lift`](crate::kernels::Lift) says.
///
/// An anchor of exactly 0 pulls nothing: kept weights get their gradient as it is and pruned ones
/// none. So nothing is pulled before the first projection, and an optimizer whose slots are 0 holds
/// pruned weights at 0 once [`Settle`](crate::kernels::Settle) has set them and all anchors to 0.
#[derive(Debug, Clone, Copy)]
pub struct Pull {
    /// `[len]`
    pub weights: Slot,
    /// One bit per weight.
    pub mask: Slot,
    /// `[len]`
    pub anchor: Slot,
    /// `[len]`, updated in place.
    pub gradient: Slot,
    /// Weights.
    pub len: u32,
    /// Strength, the paper's lambda.
    pub penalty: f32,
}

crate::uniform! {
    /// Uniform of [`Pull`].
    pub struct PullParams {
        /// Weights.
        len: u32,
        /// Strength.
        penalty: f32,
    }
}

impl Kernel for Pull {
    const NAME: &'static str = "pull";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "common/bits.wgsl", "pull.wgsl");
    const OPERANDS: &'static [Operand] =
        &[read("weights"), read("mask"), read("anchor"), write("gradient")];
    type Params = PullParams;

    fn bind(&self) -> Vec<Bound> {
        let len = u64::from(self.len);
        vec![
            self.weights.needs(len),
            self.mask.needs(len.div_ceil(32)),
            self.anchor.needs(len),
            self.gradient.needs(len),
        ]
    }

    fn params(&self) -> PullParams {
        PullParams { len: self.len, penalty: self.penalty }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

/// Host reference: the gradient with the penalty's.
pub fn pull_reference(
    [weights, anchor, gradient]: [&[f32]; 3],
    mask: &[u32],
    penalty: f32,
) -> Vec<f64> {
    let one = |(i, &g): (usize, &f32)| {
        let [w, a, g, penalty] = [weights[i], anchor[i], g, penalty].map(f64::from);
        match (a == 0.0, bit(mask, i)) {
            (true, true) => g,
            (true, false) => 0.0,
            (false, true) => g + penalty * (w - a),
            (false, false) => g + penalty * (w + a),
        }
    };
    gradient.iter().enumerate().map(one).collect()
}
