//! Exact selection of what scores lowest, by its rank: the bits of |x|, and a bit above them for
//! what is protected.
//!
//! A range of ranks that holds the last value to prune is narrowed until what becomes of the values
//! in it is plain. [`TopkSample`] guesses it from a sample; [`TopkHistogram`] counts what is below it
//! and, in bins, what is in it. The launch behind a round takes the bin, by each of its workgroups
//! alike. Four rounds always suffice, one nearly always does, and those behind it do nothing.
//! [`TopkMask`] then packs the masks and lists the values that are in the range still, at most
//! [`Selection::LISTED`]; [`TopkSettle`] finds the last one that goes and sets their bits. More
//! values than that of one same rank are numbered instead, by chunks that [`TopkTies`] counts before
//! the mask.
//!
//! So values are read twice, by eight launches; many equal ones at the threshold, or a guess that was
//! wrong, cost up to four more reads and no exactness. Ties go to the lowest index of the first
//! tensor, so exactly the asked number of bits is clear.
use crate::kernels::{TopkHistogram, TopkMask, TopkSample, TopkSettle, TopkTies, mask_words};
use crate::gpu::{Bound, PlanBuilder, Slot};
use crate::{Error, Result};

/// Values that one workgroup takes: 1,024 words of 32 bits.
pub(super) const CHUNK: u32 = 32_768;
/// Most values in a sample.
const SAMPLES: u32 = 2_048;
/// Rounds after which a range of 2^32 ranks, its bins a 2,048th of it, is one rank, and one round
/// for a guess that was wrong.
const ROUNDS: u32 = 4;
/// Workgroups of a launch that nearly always finds nothing to do, but has to begin by a round's
/// counts: as many as fill a GPU, or a processor.
const LATER: [u32; 2] = [256, 8];

crate::uniform! {
    /// How far a selection has come: `shaders/common/topk.wgsl`. All zero but `next`, `high` and
    /// `prune` it is one that begins. Each round has its own, that of the last round behind the one
    /// that rounds end with.
    pub struct TopkState {
        /// The range: lowest rank that the last value to prune may have. A rank is the bits of |x|,
        /// and bit 31 for a protected one.
        low: u32,
        /// Where the range's bins of equal width begin.
        next: u32,
        /// Highest rank of the range.
        high: u32,
        /// Values to prune.
        prune: u32,
        /// Values to prune of those in the range.
        left: u32,
        /// Values in the range.
        count: u32,
        /// What becomes of those in the range: `shaders/common/range.wgsl`.
        mode: u32,
        /// Tied: values of the range that stay.
        ties_kept: u32,
    }
}

impl TopkState {
    /// `mode` of a range that is to be narrowed.
    pub const OPEN: u32 = 0;
    /// `mode` of a range whose values all go the same way.
    pub const WHOLE: u32 = 1;
    /// `mode` of a range whose values are ranked one by one.
    pub const LISTED: u32 = 2;
    /// `mode` of a range of one rank, of whose values the lowest indices stay.
    pub const TIED: u32 = 3;

    /// Counting in the range of ranks from `low` to `high`, in bins of equal width.
    pub fn range(low: u32, high: u32) -> Self {
        Self { low, next: low, high, ..Self::default() }
    }

    /// The ranks of bin `bin` of such a range.
    pub fn bin(&self, bin: u32) -> [u32; 2] {
        let shift = 21 - (self.high - self.next).leading_zeros().min(21);
        let first = self.next + (bin << shift);
        [first, first + ((1 << shift) - 1).min(self.high - first)]
    }
}

/// Length of [`TopkState`] in words.
pub const TOPK_STATE_WORDS: u32 = (size_of::<TopkState>() / 4) as u32;

/// How a launch that reads a round's state begins.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// Whether the state comes from what the round before has counted; else it is there.
    pub picks: bool,
    /// Most workgroups of the launch; each takes every so manyth chunk of values.
    pub most: u32,
}

impl Round {
    /// A round with nothing before it.
    pub const FIRST: Self = Self { picks: false, most: u32::MAX };
    /// Length of a round's histogram.
    pub const HISTOGRAM_WORDS: u32 = Selection::BINS_FROM + 2_048;

    /// Words of the states and of the histograms that a launch reads or writes which begins so;
    /// `round` rounds are from it on.
    pub(super) fn words(self, round: u32) -> [u64; 2] {
        let read = round + u32::from(self.picks);
        [(read + 1) * TOPK_STATE_WORDS, read * Self::HISTOGRAM_WORDS].map(u64::from)
    }

    /// Workgroups for so many chunks.
    pub(super) fn workgroups(self, chunks: u32) -> u32 {
        chunks.min(self.most)
    }
}

/// One tensor of a selection.
#[derive(Debug, Clone, Copy)]
pub struct Ranked {
    /// `[len]`; ranked by |x|, infinities highest. NaN ranks above them and is counted.
    pub values: Slot,
    /// One bit per value; where it is set, the value is pruned only after all the others.
    pub protect: Option<Slot>,
    /// Whether the values are scores of the weights: then the state's threshold is theirs.
    pub scores: bool,
    /// [`crate::kernels::MaskState`], its counts zero.
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
    /// [`TopkState`] of each round, the last one's result first; see [`Selection::STATE_WORDS`]. All
    /// selections may share one.
    pub state: Slot,
}

impl Selection {
    /// Length of the histogram slot, one for each round; all selections share it.
    pub const HISTOGRAM_WORDS: u32 = ROUNDS * Round::HISTOGRAM_WORDS;
    /// Length of the slot of states.
    pub const STATE_WORDS: u32 = (ROUNDS + 1) * TOPK_STATE_WORDS;
    /// Where in the histogram values of the lowest rank of the range are counted, and not in its
    /// bins.
    pub const AT: u32 = 1;
    /// Where the histogram's bins of equal width begin.
    pub const BINS_FROM: u32 = 3;
    /// Most values that are ranked one by one.
    pub const LISTED: u32 = 4_096;
    /// Length of a list of them: how many, the highest rank, and two words of each.
    pub const LIST_WORDS: u32 = 2 + 2 * Self::LISTED;

    /// Appends the whole selection over `tensors` to `plan`; `name` names its scratch, of
    /// [`scratch_bytes`](Self::scratch_bytes).
    ///
    /// # Errors
    /// [`Error::Plan`] from the kernels; [`Error::Argument`] for 2^32 values or more.
    pub fn push(self, plan: &mut PlanBuilder, name: &str, tensors: &[Ranked]) -> Result<()> {
        let Self { counts, selection, histogram, state } = self;
        let total: u64 = tensors.iter().map(|t| u64::from(t.len)).sum();
        let total = u32::try_from(total).map_err(|_| {
            let most = u32::MAX;
            Error::argument(name, format!("{total} values in one ranking, it takes {most}"))
        })?;
        if total == 0 {
            return Ok(());
        }
        let samples = Self::samples(total);
        let list = plan.scratch(format!("{name}.list"), Self::LIST_WORDS);
        // A sample of all values is no guess; no more values than a list takes are found by a second
        // round, and need no numbers.
        let few = total <= Self::LISTED;
        let rounds = match samples == total {
            true => 0,
            false if few => 2,
            false => ROUNDS,
        };
        let (mut first, mut begin) = (0, 0);
        for &Ranked { values, protect, len, .. } in tensors {
            begin += u64::from(len);
            let end = (begin * u64::from(samples) / u64::from(total)) as u32;
            if end > first {
                let count = end - first;
                plan.push(TopkSample {
                    values,
                    protect,
                    counts,
                    state,
                    list,
                    first,
                    count,
                    samples,
                    total,
                    selection,
                    rounds,
                    len,
                })?;
            }
            first = end;
        }
        let [gpu, software] = LATER;
        let later = if plan.target().software { software } else { gpu };
        for round in (1..=rounds).rev() {
            for (n, &Ranked { values, protect, len, .. }) in tensors.iter().enumerate() {
                let begins = match round == rounds {
                    true => Round::FIRST,
                    false => Round { picks: n == 0, most: later },
                };
                plan.push(TopkHistogram {
                    values,
                    protect,
                    state,
                    histogram,
                    round,
                    begins,
                    len,
                })?;
            }
        }
        let (mut first, mut left_open, mut before) = (0, Vec::new(), None);
        for (n, &Ranked { values, protect, scores, mask_state, mask, len }) in
            tensors.iter().enumerate()
        {
            let ties = plan.scratch(format!("{name}.ties"), TopkTies::words(len));
            let begins = Round { picks: n == 0 && rounds > 0, most: later };
            if begins.picks || !few {
                plan.push(TopkTies {
                    values,
                    protect,
                    state,
                    histogram,
                    ties,
                    before,
                    begins,
                    len,
                })?;
                before = Some((ties, len));
            }
            plan.push(TopkMask {
                values,
                protect,
                ties,
                state,
                list,
                mask_state,
                mask,
                len,
                first,
            })?;
            left_open.push(TopkSettle {
                values,
                protect,
                ties,
                list,
                state,
                histogram,
                clears: if n == 0 { rounds } else { 0 },
                mask_state,
                mask,
                scores,
                len,
                first,
            });
            first += len;
        }
        left_open.into_iter().try_for_each(|settle| plan.push(settle))
    }

    /// Values that are sampled of `total`: all where they are few, and else more of more, since what
    /// is in a sample's range falls with its root.
    pub fn samples(total: u32) -> u32 {
        if total <= SAMPLES { total } else { (total / 2_048).clamp(512, SAMPLES) }
    }

    /// Bytes of scratch that a selection over tensors of these lengths takes: a list, and a word for
    /// each chunk of 32,768 values.
    pub fn scratch_bytes(lens: &[u32]) -> u64 {
        let ties: u32 = lens.iter().map(|&len| TopkTies::words(len)).sum();
        u64::from(Self::LIST_WORDS + ties) * 4
    }
}

/// The optional operand `protect` over `len` values.
pub(super) fn protect(slot: Option<Slot>, len: u32) -> Bound {
    slot.map_or(Bound::NONE, |slot| slot.needs(mask_words(len).into()))
}

/// The values four by four: what is left of them at the end is read one by one.
pub(super) fn fours(values: Slot, len: u32) -> Bound {
    if len < 4 { Bound::NONE } else { values.needs(len.into()) }
}

/// Host reference by sorting, for one tensor: the mask that clears `prune` bits, unprotected values
/// first. NaN orders above infinity.
pub fn topk_reference(values: &[f32], protect: Option<&[u32]>, prune: usize) -> Vec<u32> {
    let score = |i: &u32| {
        let protected = protect.is_some_and(|bits| crate::kernels::bit(bits, *i as usize));
        (protected, values[*i as usize].to_bits() & 0x7fff_ffff)
    };
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    // Among equal scores the highest index goes first, so that the lowest stays.
    order.sort_by_key(|i| (score(i), std::cmp::Reverse(*i)));
    let mut mask = crate::kernels::ones(values.len() as u32);
    for i in &order[..prune] {
        mask[*i as usize / 32] &= !(1 << (i % 32));
    }
    mask
}
