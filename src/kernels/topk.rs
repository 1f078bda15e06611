//! Exact selection of the weights with the lowest scores: radix select on the bits of |w|.
//!
//! Five kernels, in this order: three rounds of `topk_histogram` and `topk_pick` find the score of
//! the last weight to prune, digit by digit; `topk_ties` and `topk_scan` number the weights that
//! have just that score; `topk_mask` packs the mask. Nothing of the size of the weights is written
//! but the mask. Ties go to the lowest index, so exactly the asked number of bits is clear.
use super::mask_words;
use crate::Result;
use crate::gpu::{Bound, Kernel, Operand, PlanBuilder, Slot, read, write};

/// Weights that one workgroup masks: 256 words of 32 bits.
const CHUNK: u32 = 8_192;
/// Bins of one digit.
const BINS: u32 = 2_048;
/// Workgroups of `topk_histogram`; more would only add partial histograms to merge.
const HISTOGRAM_GROUPS: u32 = 1_024;

crate::uniform! {
    /// What a selection leaves behind: `shaders/common/topk.wgsl`.
    pub struct TopkState {
        /// Bits of the highest |w| that was pruned; 0 when nothing but zeros was.
        score: u32,
        /// Weights pruned among those with that score.
        prune: u32,
        /// Weights kept among those with that score.
        ties_kept: u32,
        /// Weights kept in all, counted in the mask.
        kept: u32,
        /// Weights that are NaN; any is an error.
        nan: u32,
        /// Bits of the highest |w| that was pruned by this or the last selection that pruned more
        /// than zeros.
        threshold: u32,
    }
}

/// Length of [`TopkState`] in words.
pub const TOPK_STATE_WORDS: u32 = (size_of::<TopkState>() / 4) as u32;

/// A selection over one tensor, and the slots that it works in.
#[derive(Debug, Clone, Copy)]
pub struct Selection {
    /// `[len]`
    pub weights: Slot,
    /// Number of weights to prune, for each tensor of the model.
    pub counts: Slot,
    /// Which of the counts is this tensor's.
    pub tensor: u32,
    /// Persistent and zero between selections; see [`Selection::HISTOGRAM_WORDS`].
    pub histogram: Slot,
    /// [`TopkState`]
    pub state: Slot,
    /// Mask to write.
    pub mask: Slot,
    /// Weights in the tensor.
    pub len: u32,
}

impl Selection {
    /// Length of the histogram slot; all tensors share one.
    pub const HISTOGRAM_WORDS: u32 = BINS;

    /// Appends the whole selection to `plan`; `name` names its scratch.
    pub fn push(self, plan: &mut PlanBuilder, name: &str) -> Result<()> {
        let Self { weights, counts, tensor, histogram, state, mask, len } = self;
        for digit in 0..3 {
            plan.push(TopkHistogram { weights, state, histogram, digit, len })?;
            plan.push(TopkPick { counts, histogram, state, tensor, digit })?;
        }
        let chunks = len.div_ceil(CHUNK);
        let ties = plan.scratch(format!("{name}.ties"), chunks);
        plan.push(TopkTies { weights, state, ties, len })?;
        plan.push(TopkScan { ties, state, chunks })?;
        plan.push(TopkMask { weights, ties, state, mask, len })
    }
}

/// Counts the weights by one digit of their score.
#[derive(Debug, Clone, Copy)]
pub struct TopkHistogram {
    /// `[len]`
    pub weights: Slot,
    /// [`TopkState`]
    pub state: Slot,
    /// Counts to add to.
    pub histogram: Slot,
    /// 0, 1 or 2; highest first.
    pub digit: u32,
    /// Weights in the tensor.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`TopkHistogram`].
    pub struct TopkHistogramParams {
        /// Weights.
        len: u32,
        /// Weights that one invocation counts.
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
    const WGSL: &'static str =
        crate::wgsl!("common/score.wgsl", "common/topk.wgsl", "topk_histogram.wgsl");
    const OPERANDS: &'static [Operand] = &[read("weights"), read("state"), write("histogram")];
    type Params = TopkHistogramParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.weights.needs(self.len.into()),
            self.state.needs(TOPK_STATE_WORDS.into()),
            self.histogram.needs(BINS.into()),
        ]
    }

    fn params(&self) -> TopkHistogramParams {
        TopkHistogramParams { len: self.len, per_invocation: self.per_invocation() }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("DIGIT", self.digit.into())]
    }

    fn grid(&self) -> [u32; 3] {
        [self.len.div_ceil(256 * self.per_invocation()), 1, 1]
    }
}

/// Finds one digit of the score of the last weight to prune.
#[derive(Debug, Clone, Copy)]
pub struct TopkPick {
    /// Number of weights to prune, per tensor.
    pub counts: Slot,
    /// Counts to read and clear.
    pub histogram: Slot,
    /// [`TopkState`]
    pub state: Slot,
    /// Which of the counts.
    pub tensor: u32,
    /// 0, 1 or 2; highest first.
    pub digit: u32,
}

crate::uniform! {
    /// Uniform of [`TopkPick`].
    pub struct TopkPickParams {
        /// Which of the counts.
        tensor: u32,
    }
}

impl Kernel for TopkPick {
    const NAME: &'static str = "topk_pick";
    const WGSL: &'static str = crate::wgsl!("common/topk.wgsl", "topk_pick.wgsl");
    const OPERANDS: &'static [Operand] = &[read("counts"), write("histogram"), write("state")];
    type Params = TopkPickParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.counts.needs(u64::from(self.tensor) + 1),
            self.histogram.needs(BINS.into()),
            self.state.needs(TOPK_STATE_WORDS.into()),
        ]
    }

    fn params(&self) -> TopkPickParams {
        TopkPickParams { tensor: self.tensor }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("DIGIT", self.digit.into())]
    }

    fn grid(&self) -> [u32; 3] {
        [1, 1, 1]
    }
}

/// Counts the ties in each chunk.
#[derive(Debug, Clone, Copy)]
pub struct TopkTies {
    /// `[len]`
    pub weights: Slot,
    /// [`TopkState`]
    pub state: Slot,
    /// `[chunks]`
    pub ties: Slot,
    /// Weights in the tensor.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`TopkTies`].
    pub struct TopkTiesParams {
        /// Weights.
        len: u32,
    }
}

impl Kernel for TopkTies {
    const NAME: &'static str = "topk_ties";
    const WGSL: &'static str =
        crate::wgsl!("common/score.wgsl", "common/topk.wgsl", "topk_ties.wgsl");
    const OPERANDS: &'static [Operand] = &[read("weights"), read("state"), write("ties")];
    type Params = TopkTiesParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.weights.needs(self.len.into()),
            self.state.needs(TOPK_STATE_WORDS.into()),
            self.ties.needs(self.len.div_ceil(CHUNK).into()),
        ]
    }

    fn params(&self) -> TopkTiesParams {
        TopkTiesParams { len: self.len }
    }

    fn grid(&self) -> [u32; 3] {
        [self.len.div_ceil(CHUNK), 1, 1]
    }
}

/// Turns the counts of ties into the number of ties before each chunk.
#[derive(Debug, Clone, Copy)]
pub struct TopkScan {
    /// `[chunks]`
    pub ties: Slot,
    /// [`TopkState`]
    pub state: Slot,
    /// Chunks of the tensor.
    pub chunks: u32,
}

crate::uniform! {
    /// Uniform of [`TopkScan`].
    pub struct TopkScanParams {
        /// Chunks.
        chunks: u32,
        /// Chunks that one invocation numbers.
        run: u32,
    }
}

impl Kernel for TopkScan {
    const NAME: &'static str = "topk_scan";
    const WGSL: &'static str = crate::wgsl!("common/topk.wgsl", "topk_scan.wgsl");
    const OPERANDS: &'static [Operand] = &[write("ties"), write("state")];
    type Params = TopkScanParams;

    fn bind(&self) -> Vec<Bound> {
        vec![self.ties.needs(self.chunks.into()), self.state.needs(TOPK_STATE_WORDS.into())]
    }

    fn params(&self) -> TopkScanParams {
        TopkScanParams { chunks: self.chunks, run: self.chunks.div_ceil(256) }
    }

    fn grid(&self) -> [u32; 3] {
        [1, 1, 1]
    }
}

/// Packs the mask.
#[derive(Debug, Clone, Copy)]
pub struct TopkMask {
    /// `[len]`
    pub weights: Slot,
    /// Ties before each chunk.
    pub ties: Slot,
    /// [`TopkState`]
    pub state: Slot,
    /// One bit per weight.
    pub mask: Slot,
    /// Weights in the tensor.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`TopkMask`].
    pub struct TopkMaskParams {
        /// Weights.
        len: u32,
    }
}

impl Kernel for TopkMask {
    const NAME: &'static str = "topk_mask";
    const WGSL: &'static str =
        crate::wgsl!("common/bits.wgsl", "common/score.wgsl", "common/topk.wgsl", "topk_mask.wgsl");
    const OPERANDS: &'static [Operand] =
        &[read("weights"), read("ties"), write("state"), write("mask")];
    type Params = TopkMaskParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.weights.needs(self.len.into()),
            self.ties.needs(self.len.div_ceil(CHUNK).into()),
            self.state.needs(TOPK_STATE_WORDS.into()),
            self.mask.needs(mask_words(self.len).into()),
        ]
    }

    fn params(&self) -> TopkMaskParams {
        TopkMaskParams { len: self.len }
    }

    fn grid(&self) -> [u32; 3] {
        [self.len.div_ceil(CHUNK), 1, 1]
    }
}

/// Host reference by sorting: the mask that clears `prune` bits. NaN orders above infinity.
pub fn topk_reference(weights: &[f32], prune: usize) -> Vec<u32> {
    let score = |i: &u32| weights[*i as usize].to_bits() & 0x7fff_ffff;
    let mut order: Vec<u32> = (0..weights.len() as u32).collect();
    // Among equal scores the highest index goes first, so that the lowest stays.
    order.sort_by_key(|i| (score(i), std::cmp::Reverse(*i)));
    let mut mask = super::ones(weights.len() as u32);
    for i in &order[..prune] {
        mask[*i as usize / 32] &= !(1 << (i % 32));
    }
    mask
}
