//! `topk_histogram`: counts values by one digit of their rank; [`super::Selection`] has the whole.
use super::topk::{BINS, HISTOGRAM_GROUPS, TOPK_STATE_WORDS, protect};
use crate::gpu::{Bound, Kernel, Operand, Slot, read, write};

/// Counts the weights by one digit of their score.
#[derive(Debug, Clone, Copy)]
pub struct TopkHistogram {
    /// `[len]`
    pub values: Slot,
    /// One bit per value; where it is set, the value ranks above all others.
    pub protect: Option<Slot>,
    /// [`super::TopkState`]
    pub state: Slot,
    /// Counts to add to.
    pub histogram: Slot,
    /// 0, 1 or 2; highest first.
    pub digit: u32,
    /// Values.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`TopkHistogram`].
    pub struct TopkHistogramParams {
        /// Values.
        len: u32,
        /// Values that one invocation counts.
        per_invocation: u32,
    }
}

impl TopkHistogram {
    fn per_invocation(&self) -> u32 {
        self.len.div_ceil(256 * HISTOGRAM_GROUPS).max(4)
    }
}

impl Kernel for TopkHistogram {
    const NAME: &'static str = "topk_histogram";
    const WGSL: &'static str = crate::wgsl!(
        "common/bits.wgsl",
        "common/score.wgsl",
        "common/topk.wgsl",
        "common/rank.wgsl",
        "topk_histogram.wgsl"
    );
    const OPERANDS: &'static [Operand] =
        &[read("values"), read("protect"), read("state"), write("histogram")];
    type Params = TopkHistogramParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.values.needs(self.len.into()),
            protect(self.protect, self.len),
            self.state.needs(TOPK_STATE_WORDS.into()),
            self.histogram.needs(BINS.into()),
        ]
    }

    fn params(&self) -> TopkHistogramParams {
        TopkHistogramParams { len: self.len, per_invocation: self.per_invocation() }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("DIGIT", self.digit.into()), ("PROTECT", self.protect.is_some().into())]
    }

    fn grid(&self) -> [u32; 3] {
        [self.len.div_ceil(256 * self.per_invocation()), 1, 1]
    }
}
