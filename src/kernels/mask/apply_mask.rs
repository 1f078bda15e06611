//! `apply_mask`: zeroes the pruned entries of a tensor, in place.
use crate::kernels::bit;
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// `values[i] = 0` where bit `i` of `mask` is clear.
#[derive(Debug, Clone, Copy)]
pub struct ApplyMask {
    /// One bit per value.
    pub mask: Slot,
    /// Weights, or an optimizer slot of theirs.
    pub values: Slot,
    /// Elements.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`ApplyMask`].
    pub struct ApplyMaskParams {
        /// Elements.
        len: u32,
    }
}

impl Kernel for ApplyMask {
    const NAME: &'static str = "apply_mask";
    const WGSL: &'static str =
        crate::wgsl!("common/grid.wgsl", "common/bits.wgsl", "apply_mask.wgsl");
    const OPERANDS: &'static [Operand] = &[read("mask"), write("values")];
    type Params = ApplyMaskParams;

    fn bind(&self) -> Vec<Bound> {
        let len = u64::from(self.len);
        vec![self.mask.needs(len.div_ceil(32)), self.values.needs(len)]
    }

    fn params(&self) -> ApplyMaskParams {
        ApplyMaskParams { len: self.len }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

/// Host reference.
pub fn apply_mask_reference(mask: &[u32], values: &[f32]) -> Vec<f32> {
    values.iter().enumerate().map(|(i, &v)| if bit(mask, i) { v } else { 0.0 }).collect()
}
