//! `bin_count`: counts magnitudes in bins of equal width.
use super::histogram_threshold::per_invocation;
use crate::gpu::{Bound, Kernel, Operand, Slot, read, write};

/// Most bins that a workgroup counts by itself first.
const SHARED_BINS: u32 = 2_048;

/// Counts each value in one of `nbins` bins from 0 to the peak.
#[derive(Debug, Clone, Copy)]
pub struct BinCount {
    /// `[len]`
    pub values: Slot,
    /// Bits of the highest magnitude.
    pub peak: Slot,
    /// `[nbins]`, zero before.
    pub bins: Slot,
    /// Bins.
    pub nbins: u32,
    /// Values.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`BinCount`].
    pub struct BinCountParams {
        /// Values.
        len: u32,
        /// Values that one invocation counts.
        per_invocation: u32,
        /// Bins.
        nbins: u32,
    }
}

impl Kernel for BinCount {
    const NAME: &'static str = "bin_count";
    const WGSL: &'static str = crate::wgsl!("common/score.wgsl", "common/quotient.wgsl", "bin_count.wgsl");
    const OPERANDS: &'static [Operand] = &[read("values"), read("peak"), write("bins")];
    type Params = BinCountParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.values.needs(self.len.into()),
            self.peak.needs(1),
            self.bins.needs(self.nbins.into()),
        ]
    }

    fn params(&self) -> BinCountParams {
        let per_invocation = per_invocation(self.len);
        BinCountParams { len: self.len, per_invocation, nbins: self.nbins }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("SHARED", (self.nbins <= SHARED_BINS).into())]
    }

    fn grid(&self) -> [u32; 3] {
        [self.len.div_ceil(256 * per_invocation(self.len)), 1, 1]
    }
}
