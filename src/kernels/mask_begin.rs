//! `mask_begin`: clears the counts of a mask's state.
use super::MASK_STATE_WORDS;
use crate::gpu::{Bound, Kernel, Operand, Slot, write};

/// The first launch of an update of one mask: its counts become zero, its threshold stays.
#[derive(Debug, Clone, Copy)]
pub struct MaskBegin {
    /// [`super::MaskState`]
    pub mask_state: Slot,
}

crate::uniform! {
    /// Uniform of [`MaskBegin`].
    pub struct MaskBeginParams {
        /// What the count starts from: zero.
        kept: u32,
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
        MaskBeginParams { kept: 0 }
    }

    fn grid(&self) -> [u32; 3] {
        [1, 1, 1]
    }
}
