//! `magnitude_peak`: the highest magnitude of a tensor.
use crate::kernels::mask::histogram_threshold::per_invocation;
use crate::gpu::{Bound, Kernel, Operand, Slot, read, write};

/// `peak[at] = max |x|` over the finite values, as bits.
#[derive(Debug, Clone, Copy)]
pub struct MagnitudePeak {
    /// `[len]`
    pub values: Slot,
    /// Words, zero before.
    pub peak: Slot,
    /// Which of them.
    pub at: u32,
    /// Values.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`MagnitudePeak`].
    pub struct MagnitudePeakParams {
        /// Values.
        len: u32,
        /// Values that one invocation looks at.
        per_invocation: u32,
        /// Which word of `peak`.
        at: u32,
    }
}

impl Kernel for MagnitudePeak {
    const NAME: &'static str = "magnitude_peak";
    const WGSL: &'static str = crate::wgsl!("common/score.wgsl", "magnitude_peak.wgsl");
    const OPERANDS: &'static [Operand] = &[read("values"), write("peak")];
    type Params = MagnitudePeakParams;

    fn bind(&self) -> Vec<Bound> {
        vec![self.values.needs(self.len.into()), self.peak.needs(u64::from(self.at) + 1)]
    }

    fn params(&self) -> MagnitudePeakParams {
        let &Self { at, len, .. } = self;
        MagnitudePeakParams { len, per_invocation: per_invocation(len), at }
    }

    fn grid(&self) -> [u32; 3] {
        [self.len.div_ceil(256 * per_invocation(self.len)), 1, 1]
    }
}
