//! `topk_settle`: the bits that the mask left open; [`crate::kernels::Selection`] has the whole.
use super::topk_ties;
use super::topk::{Round, Selection, TOPK_STATE_WORDS, protect};
use crate::kernels::{MASK_STATE_WORDS, TopkTies, mask_words};
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// Sets the bits that [`TopkMask`](crate::kernels::TopkMask) left open, and the threshold.
#[derive(Debug, Clone, Copy)]
pub struct TopkSettle {
    /// `[len]`
    pub values: Slot,
    /// One bit per value; where it is set, the value ranks above all others.
    pub protect: Option<Slot>,
    /// As [`TopkMask`](crate::kernels::TopkMask) takes them.
    pub ties: Slot,
    /// The values that are ranked one by one.
    pub list: Slot,
    /// [`crate::kernels::TopkState`]
    pub state: Slot,
    /// Counts of each round, which nothing reads any more.
    pub histogram: Slot,
    /// How many of the rounds have theirs cleared.
    pub clears: u32,
    /// [`MaskState`](crate::kernels::MaskState)
    pub mask_state: Slot,
    /// One bit per value.
    pub mask: Slot,
    /// Whether the values are scores of the weights: then the state's threshold is theirs.
    pub scores: bool,
    /// Values.
    pub len: u32,
    /// Values of the tensors before.
    pub first: u32,
}

crate::uniform! {
    /// Uniform of [`TopkSettle`].
    pub struct TopkSettleParams {
        /// Values.
        len: u32,
        /// Values of the tensors before.
        first: u32,
        /// Chunks of the tensor.
        chunks: u32,
        /// Words of the histograms to clear.
        counts: u32,
    }
}

impl Kernel for TopkSettle {
    const NAME: &'static str = "topk_settle";
    const WGSL: &'static str = crate::wgsl!(
        "common/bits.wgsl",
        "common/score.wgsl",
        "common/topk.wgsl",
        "common/range.wgsl",
        "common/list.wgsl",
        "common/mask_state.wgsl",
        "common/rank.wgsl",
        "common/sums.wgsl",
        "common/seek.wgsl",
        "topk_settle.wgsl"
    );
    const OPERANDS: &'static [Operand] = &[
        read("values"),
        read("protect"),
        read("ties"),
        read("list"),
        read("state"),
        write("histogram"),
        write("mask_state"),
        write("mask"),
    ];
    type Params = TopkSettleParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.values.needs(self.len.into()),
            protect(self.protect, self.len),
            topk_ties::bound(self.ties, self.len),
            self.list.needs(Selection::LIST_WORDS.into()),
            self.state.needs(TOPK_STATE_WORDS.into()),
            self.histogram.needs(u64::from(self.clears * Round::HISTOGRAM_WORDS).max(1)),
            self.mask_state.needs(MASK_STATE_WORDS.into()),
            self.mask.needs(mask_words(self.len).into()),
        ]
    }

    fn params(&self) -> TopkSettleParams {
        let chunks = TopkTies::chunks(self.len);
        let counts = self.clears * Round::HISTOGRAM_WORDS;
        TopkSettleParams { len: self.len, first: self.first, chunks, counts }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("PROTECT", self.protect.is_some().into()), ("SCORES", self.scores.into())]
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(Selection::LISTED)
    }
}
