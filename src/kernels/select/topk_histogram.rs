//! `topk_histogram`: counts values by their place in the range; [`crate::kernels::Selection`] has
//! the whole.
use super::topk::{CHUNK, Round, TOPK_STATE_WORDS, fours, protect};
use crate::gpu::{Bound, Kernel, Operand, Slot, read, write};

/// Counts what is below the range, and what is in it by bins.
#[derive(Debug, Clone, Copy)]
pub struct TopkHistogram {
    /// `[len]`
    pub values: Slot,
    /// One bit per value; where it is set, the value ranks above all others.
    pub protect: Option<Slot>,
    /// [`crate::kernels::TopkState`] of each round.
    pub state: Slot,
    /// Counts of each round, to read and to add to.
    pub histogram: Slot,
    /// The round, by how many there are from it on: 1 for the last.
    pub round: u32,
    /// How it begins.
    pub begins: Round,
    /// Values.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`TopkHistogram`].
    pub struct TopkHistogramParams {
        /// Values.
        len: u32,
        /// Workgroups.
        workgroups: u32,
        /// Where the state of the round begins.
        state: u32,
        /// Where its histogram does.
        bins: u32,
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
        "common/sums.wgsl",
        "common/found.wgsl",
        "common/pick.wgsl",
        "topk_histogram.wgsl"
    );
    const OPERANDS: &'static [Operand] =
        &[read("values4"), read("values"), read("protect"), write("state"), write("histogram")];
    type Params = TopkHistogramParams;

    fn bind(&self) -> Vec<Bound> {
        let [state, histogram] = self.begins.words(self.round);
        vec![
            fours(self.values, self.len),
            self.values.needs(self.len.into()),
            protect(self.protect, self.len),
            self.state.needs(state),
            self.histogram.needs(histogram),
        ]
    }

    fn params(&self) -> TopkHistogramParams {
        TopkHistogramParams {
            len: self.len,
            workgroups: self.begins.workgroups(self.len.div_ceil(CHUNK)),
            state: self.round * TOPK_STATE_WORDS,
            bins: (self.round - 1) * Round::HISTOGRAM_WORDS,
        }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("PROTECT", self.protect.is_some().into()), ("PICKS", self.begins.picks.into())]
    }

    fn grid(&self) -> [u32; 3] {
        [self.params().workgroups, 1, 1]
    }
}
