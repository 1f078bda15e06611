//! `lift`: weights and their dual variable, which the projection of an ADMM ranks.
use crate::kernels::bit;
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// `anchor[i] = weights[i] + u[i]`, before the masks are chosen anew.
///
/// A projection `z` of `w + u` on a number of weights keeps the values that the mask keeps. What is
/// left, `u += w - z`, is `w + u` where the mask does not keep it, and 0 elsewhere. So `z` and `u`
/// never meet, and one tensor has both: it is `z` where the mask's bit is set and `u` where it is
/// clear.
#[derive(Debug, Clone, Copy)]
pub struct Lift {
    /// `[len]`
    pub weights: Slot,
    /// One bit per weight: that of the last projection.
    pub mask: Slot,
    /// `[len]`, updated in place.
    pub anchor: Slot,
    /// Weights.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`Lift`].
    pub struct LiftParams {
        /// Weights.
        len: u32,
    }
}

impl Kernel for Lift {
    const NAME: &'static str = "lift";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "common/bits.wgsl", "lift.wgsl");
    const OPERANDS: &'static [Operand] = &[read("weights"), read("mask"), write("anchor")];
    type Params = LiftParams;

    fn bind(&self) -> Vec<Bound> {
        let len = u64::from(self.len);
        vec![self.weights.needs(len), self.mask.needs(len.div_ceil(32)), self.anchor.needs(len)]
    }

    fn params(&self) -> LiftParams {
        LiftParams { len: self.len }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

/// Host reference: the new anchors.
pub fn lift_reference(weights: &[f32], mask: &[u32], anchor: &[f32]) -> Vec<f64> {
    let dual = |i: usize| if bit(mask, i) { 0.0 } else { f64::from(anchor[i]) };
    weights.iter().enumerate().map(|(i, &w)| f64::from(w) + dual(i)).collect()
}
