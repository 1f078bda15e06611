//! Exact selection of what scores lowest: radix select on the bits of |x|.
//!
//! Five kernels, in this order: three rounds of `topk_histogram` over all tensors of the selection
//! and `topk_pick` find the rank of the last value to prune, digit by digit; then, tensor by tensor,
//! `topk_ties` and `topk_scan` number the values that have just that rank and `topk_mask` packs the
//! mask. Nothing of the size of the values is written but the masks. Ties go to the lowest index of
//! the first tensor, so exactly the asked number of bits is clear.
use super::{TopkHistogram, TopkMask, TopkPick, TopkScan, TopkTies, mask_words};
use crate::Result;
use crate::gpu::{Bound, PlanBuilder, Slot};

/// Values that one workgroup masks: 256 words of 32 bits.
pub(super) const CHUNK: u32 = 8_192;
/// Bins of one digit.
pub(super) const BINS: u32 = 2_048;
/// Workgroups of `topk_histogram`; more would only add partial histograms to merge.
pub(super) const HISTOGRAM_GROUPS: u32 = 1_024;

crate::uniform! {
    /// How far a selection has come: `shaders/common/topk.wgsl`.
    pub struct TopkState {
        /// Rank of the last value to prune: bits of |x|, and bit 31 for a protected one.
        score: u32,
        /// Values pruned among those with that rank.
        prune: u32,
        /// Values with that rank that stay in the tensors from the last one on.
        ties_kept: u32,
        /// Values with that rank in the last tensor.
        ties: u32,
    }
}

/// Length of [`TopkState`] in words.
pub const TOPK_STATE_WORDS: u32 = (size_of::<TopkState>() / 4) as u32;

/// One tensor of a selection.
#[derive(Debug, Clone, Copy)]
pub struct Ranked {
    /// `[len]`; ranked by |x|, infinities highest. NaN ranks above them and is counted.
    pub values: Slot,
    /// One bit per value; where it is set, the value is pruned only after all the others.
    pub protect: Option<Slot>,
    /// Whether the values are scores of the weights: then the state's threshold is theirs.
    pub scores: bool,
    /// [`super::MaskState`], its counts zero.
    pub mask_state: Slot,
    /// Mask to write, one bit per value.
    pub mask: Slot,
    /// Values.
    pub len: u32,
}

/// A selection over the tensors of a group, and the slots that it works in.
#[derive(Debug, Clone, Copy)]
pub struct Selection {
    /// Number of values to prune, for each selection of the model.
    pub counts: Slot,
    /// Which of the counts is this selection's.
    pub selection: u32,
    /// Persistent and zero between selections; see [`Selection::HISTOGRAM_WORDS`].
    pub histogram: Slot,
    /// [`TopkState`]; all selections may share one.
    pub state: Slot,
}

impl Selection {
    /// Length of the histogram slot; all selections share one.
    pub const HISTOGRAM_WORDS: u32 = BINS;

    /// Appends the whole selection over `tensors` to `plan`; `name` names its scratch.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] from the kernels.
    pub fn push(self, plan: &mut PlanBuilder, name: &str, tensors: &[Ranked]) -> Result<()> {
        self.find(plan, tensors)?;
        tensors.iter().try_for_each(|&tensor| self.mask(plan, name, tensor))
    }

    /// Appends what finds the rank of the last value to prune.
    fn find(self, plan: &mut PlanBuilder, tensors: &[Ranked]) -> Result<()> {
        let Self { counts, selection, histogram, state } = self;
        for digit in 0..3 {
            for &Ranked { values, protect, len, .. } in tensors {
                plan.push(TopkHistogram { values, protect, state, histogram, digit, len })?;
            }
            plan.push(TopkPick { counts, histogram, state, selection, digit })?;
        }
        Ok(())
    }

    /// Appends what packs the mask of one tensor; the tensors follow one another in their order.
    fn mask(self, plan: &mut PlanBuilder, name: &str, tensor: Ranked) -> Result<()> {
        let (state, chunks) = (self.state, tensor.len.div_ceil(CHUNK));
        let Ranked { values, protect, scores, mask_state, mask, len } = tensor;
        let ties = plan.scratch(format!("{name}.ties"), chunks);
        plan.push(TopkTies { values, protect, state, ties, len })?;
        plan.push(TopkScan { ties, state, chunks })?;
        plan.push(TopkMask { values, protect, ties, state, scores, mask_state, mask, len })
    }
}

/// The optional operand `protect` over `len` values.
pub(super) fn protect(slot: Option<Slot>, len: u32) -> Bound {
    slot.map_or(Bound::NONE, |slot| slot.needs(mask_words(len).into()))
}

/// Host reference by sorting, for one tensor: the mask that clears `prune` bits, unprotected values
/// first. NaN orders above infinity.
pub fn topk_reference(values: &[f32], protect: Option<&[u32]>, prune: usize) -> Vec<u32> {
    let score = |i: &u32| {
        let protected = protect.is_some_and(|bits| super::bit(bits, *i as usize));
        (protected, values[*i as usize].to_bits() & 0x7fff_ffff)
    };
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    // Among equal scores the highest index goes first, so that the lowest stays.
    order.sort_by_key(|i| (score(i), std::cmp::Reverse(*i)));
    let mut mask = super::ones(values.len() as u32);
    for i in &order[..prune] {
        mask[*i as usize / 32] &= !(1 << (i % 32));
    }
    mask
}
