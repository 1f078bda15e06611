//! `threshold_mask`: keeps what lies above a threshold.
use crate::kernels::{MASK_STATE_WORDS, mask_words};
use super::tallied;
use crate::gpu::{Bound, Kernel, Operand, PlanBuilder, Slot, grid_1d, read, write};

/// Bit `i` of `mask` is set where `|values[i]|` is above the state's threshold; NaN is kept, and
/// counted.
#[derive(Debug, Clone, Copy)]
pub struct ThresholdMask {
    /// `[len]`
    pub values: Slot,
    /// [`crate::kernels::MaskState`], its counts zero.
    pub mask_state: Slot,
    /// One bit per value.
    pub mask: Slot,
    /// Values.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`ThresholdMask`].
    pub struct ThresholdMaskParams {
        /// Values.
        len: u32,
    }
}

impl ThresholdMask {
    /// Appends it to `plan`; on a GPU its workgroups count for themselves first.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] for extents that do not fit the slots.
    pub fn push(self, plan: &mut PlanBuilder) -> crate::Result<()> {
        tallied::push(self, plan)
    }
}

impl Kernel for ThresholdMask {
    const NAME: &'static str = "threshold_mask";
    const WGSL: &'static str = crate::wgsl!(
        "common/grid.wgsl",
        "common/score.wgsl",
        "common/mask_state.wgsl",
        "common/tally.wgsl",
        "threshold_mask.wgsl"
    );
    const OPERANDS: &'static [Operand] = &[read("values"), write("mask_state"), write("mask")];
    type Params = ThresholdMaskParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.values.needs(self.len.into()),
            self.mask_state.needs(MASK_STATE_WORDS.into()),
            self.mask.needs(mask_words(self.len).into()),
        ]
    }

    fn params(&self) -> ThresholdMaskParams {
        ThresholdMaskParams { len: self.len }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(mask_words(self.len))
    }
}
