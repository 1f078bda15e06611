//! `topk_sample`: the range that a sample suggests; [`crate::kernels::Selection`] has the whole.
use super::topk::{Selection, TOPK_STATE_WORDS, protect};
use crate::gpu::{Bound, Kernel, Operand, Slot, read, write};

/// Ranks of values at places that are spread over the tensor; behind the last tensor of a selection
/// the range that all of them suggest.
#[derive(Debug, Clone, Copy)]
pub struct TopkSample {
    /// `[len]`
    pub values: Slot,
    /// One bit per value; where it is set, the value ranks above all others.
    pub protect: Option<Slot>,
    /// Number of values to prune, of each selection.
    pub counts: Slot,
    /// [`crate::kernels::TopkState`] of each round.
    pub state: Slot,
    /// The values that are ranked one by one; before there are any, the ranks of earlier tensors.
    pub list: Slot,
    /// Ranks of earlier tensors.
    pub first: u32,
    /// Ranks of this one, at most `len`; with those of earlier ones as many as `samples` for the
    /// last tensor.
    pub count: u32,
    /// Ranks of all tensors.
    pub samples: u32,
    /// Values in all tensors.
    pub total: u32,
    /// Which of the counts.
    pub selection: u32,
    /// Rounds behind it.
    pub rounds: u32,
    /// Values.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`TopkSample`].
    pub struct TopkSampleParams {
        /// Ranks of earlier tensors.
        first: u32,
        /// Ranks of this one.
        count: u32,
        /// Values to a rank, rounded down.
        stretch: u32,
        /// Values that are left of that.
        rest: u32,
        /// Ranks of all tensors.
        samples: u32,
        /// Values in all tensors.
        total: u32,
        /// Which of the counts.
        selection: u32,
        /// Where the state is that it comes to.
        state: u32,
    }
}

impl Kernel for TopkSample {
    const NAME: &'static str = "topk_sample";
    const WGSL: &'static str = crate::wgsl!(
        "common/bits.wgsl",
        "common/score.wgsl",
        "common/random.wgsl",
        "common/topk.wgsl",
        "common/range.wgsl",
        "common/list.wgsl",
        "common/rank.wgsl",
        "common/sums.wgsl",
        "common/seek.wgsl",
        "common/found.wgsl",
        "topk_sample.wgsl"
    );
    const OPERANDS: &'static [Operand] = &[
        read("values"),
        read("protect"),
        read("counts"),
        write("state"),
        write("list"),
    ];
    type Params = TopkSampleParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.values.needs(self.len.into()),
            protect(self.protect, self.len),
            self.counts.needs(u64::from(self.selection) + 1),
            self.state.needs(u64::from((self.rounds + 1) * TOPK_STATE_WORDS)),
            self.list.needs(Selection::LIST_WORDS.into()),
        ]
    }

    fn params(&self) -> TopkSampleParams {
        let Self { first, count, samples, total, selection, rounds, len, .. } = *self;
        let (stretch, rest, state) = (len / count, len % count, rounds * TOPK_STATE_WORDS);
        TopkSampleParams { first, count, stretch, rest, samples, total, selection, state }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("PROTECT", self.protect.is_some().into())]
    }

    fn grid(&self) -> [u32; 3] {
        [1, 1, 1]
    }
}
