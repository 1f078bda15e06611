//! `magnitude_peak`: the highest magnitude of a tensor.
use crate::kernels::mask::histogram_threshold::per_invocation;
use crate::gpu::{Bound, Kernel, Operand, Slot, read, write};

/// `peak[at] = max |x|` over the finite values, as bits.
#[derive(Debug, Clone, Copy)]
pub struct MagnitudePeak {
    /// `[len]`, from `begin` on.
    pub values: Slot,
    /// Words, zero before.
    pub peak: Slot,
    /// Which of them.
    pub at: u32,
    /// Values.
    pub len: u32,
    /// Where they begin in their slot.
    pub begin: u32,
}

impl MagnitudePeak {
    /// Word `at` of `peak` for the first `len` of `values`; where else they begin is a field to
    /// set.
    pub fn new([values, peak]: [Slot; 2], at: u32, len: u32) -> Self {
        Self { values, peak, at, len, begin: 0 }
    }
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
        /// The first value.
        begin: u32,
    }
}

impl Kernel for MagnitudePeak {
    const NAME: &'static str = "magnitude_peak";
    const WGSL: &'static str = crate::wgsl!("common/score.wgsl", "magnitude_peak.wgsl");
    const OPERANDS: &'static [Operand] = &[read("values"), write("peak")];
    type Params = MagnitudePeakParams;

    fn bind(&self) -> Vec<Bound> {
        let end = u64::from(self.begin) + u64::from(self.len);
        vec![self.values.needs(end), self.peak.needs(u64::from(self.at) + 1)]
    }

    fn params(&self) -> MagnitudePeakParams {
        let &Self { at, len, begin, .. } = self;
        MagnitudePeakParams { len, per_invocation: per_invocation(len), at, begin }
    }

    fn grid(&self) -> [u32; 3] {
        [self.len.div_ceil(256 * per_invocation(self.len)), 1, 1]
    }
}
