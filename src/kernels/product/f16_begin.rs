//! `f16_begin`: what a phase begins with whose products read halves.
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, write};

/// `peaks = 0`, for [`crate::kernels::MagnitudePeak`] to raise.
#[derive(Debug, Clone, Copy)]
pub struct F16Begin {
    /// A word for each tensor that is copied.
    pub peaks: Slot,
}

crate::uniform! {
    /// Uniform of [`F16Begin`].
    pub struct F16BeginParams {
        /// Words.
        len: u32,
    }
}

impl Kernel for F16Begin {
    const NAME: &'static str = "f16_begin";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "f16_begin.wgsl");
    const OPERANDS: &'static [Operand] = &[write("peaks")];
    type Params = F16BeginParams;

    fn bind(&self) -> Vec<Bound> {
        vec![self.peaks.needs(self.peaks.words.into())]
    }

    fn params(&self) -> F16BeginParams {
        F16BeginParams { len: self.peaks.words }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.peaks.words)
    }
}
