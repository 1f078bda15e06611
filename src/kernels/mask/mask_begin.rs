//! `mask_begin`: clears the counts of a mask's state.
use crate::kernels::MASK_STATE_WORDS;
use crate::gpu::{Bound, Kernel, Operand, Slot, write};

/// The first launch of an update of one mask: its counts become zero, its threshold stays.
#[derive(Debug, Clone, Copy)]
pub struct MaskBegin {
    /// [`crate::kernels::MaskState`]
    pub mask_state: Slot,
    /// Whether the number of NaN stays: it was counted by a first part of the same update.
    pub keep_nan: bool,
}

crate::uniform! {
    /// Uniform of [`MaskBegin`].
    pub struct MaskBeginParams {
        /// 1 where the number of NaN stays, else 0.
        keep_nan: u32,
    }
}

impl Kernel for MaskBegin {
    const NAME: &'static str = "mask_begin";
    const WGSL: &'static str = crate::wgsl!("common/mask_state.wgsl", "mask_begin.wgsl");
    const OPERANDS: &'static [Operand] = &[write("mask_state")];
    type Params = MaskBeginParams;

    fn bind(&self) -> Vec<Bound> {
        vec![self.mask_state.needs(MASK_STATE_WORDS.into())]
    }

    fn params(&self) -> MaskBeginParams {
        MaskBeginParams { keep_nan: self.keep_nan.into() }
    }

    fn grid(&self) -> [u32; 3] {
        [1, 1, 1]
    }
}
