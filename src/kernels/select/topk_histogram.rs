//! `topk_histogram`: counts values by their place in the range; [`crate::kernels::Selection`] has
//! the whole.
use super::topk::{CHUNK, Selection, TOPK_STATE_WORDS, fours, protect};
use crate::gpu::{Bound, Kernel, Operand, Slot, read, write};

/// Counts what is below the range, and what is in it by bins.
#[derive(Debug, Clone, Copy)]
pub struct TopkHistogram {
    /// `[len]`
    pub values: Slot,
    /// One bit per value; where it is set, the value ranks above all others.
    pub protect: Option<Slot>,
    /// [`crate::kernels::TopkState`]
    pub state: Slot,
    /// Counts to add to.
    pub histogram: Slot,
    /// Values.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`TopkHistogram`].
    pub struct TopkHistogramParams {
        /// Values.
        len: u32,
    }
}

impl Kernel for TopkHistogram {
    const NAME: &'static str = "topk_histogram";
    const WGSL: &'static str = crate::wgsl!(
        "common/bits.wgsl",
        "common/score.wgsl",
        "common/topk.wgsl",
        "common/range.wgsl",
        "common/rank.wgsl",
        "topk_histogram.wgsl"
    );
    const OPERANDS: &'static [Operand] =
        &[read("values4"), read("values"), read("protect"), read("state"), write("histogram")];
    type Params = TopkHistogramParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            fours(self.values, self.len),
            self.values.needs(self.len.into()),
            protect(self.protect, self.len),
            self.state.needs(TOPK_STATE_WORDS.into()),
            self.histogram.needs(Selection::HISTOGRAM_WORDS.into()),
        ]
    }

    fn params(&self) -> TopkHistogramParams {
        TopkHistogramParams { len: self.len }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("PROTECT", self.protect.is_some().into())]
    }

    fn grid(&self) -> [u32; 3] {
        [self.len.div_ceil(CHUNK), 1, 1]
    }
}
