//! `settle`: weights become their projection, and nothing is pulled any more.
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// `weights[i] = 0` where bit `i` of `mask` is clear, and `anchor[i] = 0` everywhere: see
/// [`Pull`](crate::kernels::Pull).
#[derive(Debug, Clone, Copy)]
pub struct Settle {
    /// One bit per weight.
    pub mask: Slot,
    /// `[len]`, updated in place.
    pub weights: Slot,
    /// `[len]`
    pub anchor: Slot,
    /// Weights.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`Settle`].
    pub struct SettleParams {
        /// Weights.
        len: u32,
    }
}

impl Kernel for Settle {
    const NAME: &'static str = "settle";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "common/bits.wgsl", "settle.wgsl");
    const OPERANDS: &'static [Operand] = &[read("mask"), write("weights"), write("anchor")];
    type Params = SettleParams;

    fn bind(&self) -> Vec<Bound> {
        let len = u64::from(self.len);
        vec![self.mask.needs(len.div_ceil(32)), self.weights.needs(len), self.anchor.needs(len)]
    }

    fn params(&self) -> SettleParams {
        SettleParams { len: self.len }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}
