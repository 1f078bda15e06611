//! `half_begin`: what a phase begins with whose products read halves.
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, write};

/// `peaks = 0`, for [`super::MagnitudePeak`] to raise.
#[derive(Debug, Clone, Copy)]
pub struct HalfBegin {
    /// A word for each tensor that is copied.
    pub peaks: Slot,
}

crate::uniform! {
    /// Uniform of [`HalfBegin`].
    pub struct HalfBeginParams {
        /// Words.
        len: u32,
    }
}

impl Kernel for HalfBegin {
    const NAME: &'static str = "half_begin";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "half_begin.wgsl");
    const OPERANDS: &'static [Operand] = &[write("peaks")];
    type Params = HalfBeginParams;

    fn bind(&self) -> Vec<Bound> {
        vec![self.peaks.needs(self.peaks.words.into())]
    }

    fn params(&self) -> HalfBeginParams {
        HalfBeginParams { len: self.peaks.words }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.peaks.words)
    }
}
