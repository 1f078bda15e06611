//! `topk_ties`: counts the ties in each chunk; [`crate::kernels::Selection`] has the whole.
use super::topk::{CHUNK, Round, fours, protect};
use crate::gpu::{Bound, Kernel, Operand, Slot, read, write};

/// Counts the ties in each chunk, where they need numbers.
#[derive(Debug, Clone, Copy)]
pub struct TopkTies {
    /// `[len]`
    pub values: Slot,
    /// One bit per value; where it is set, the value ranks above all others.
    pub protect: Option<Slot>,
    /// [`crate::kernels::TopkState`] of each round.
    pub state: Slot,
    /// Counts of each round, to read.
    pub histogram: Slot,
    /// See [`words`](Self::words).
    pub ties: Slot,
    /// The same of the tensor before, which [`TopkMask`](crate::kernels::TopkMask) has seen, with
    /// that tensor's length; `None` for the first of a selection.
    pub before: Option<(Slot, u32)>,
    /// How it begins.
    pub begins: Round,
    /// Values.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`TopkTies`].
    pub struct TopkTiesParams {
        /// Values.
        len: u32,
        /// Workgroups.
        workgroups: u32,
        /// Chunks of them.
        chunks: u32,
        /// Chunks of the tensor before; 0 where there is none.
        chunks_before: u32,
    }
}

impl TopkTies {
    /// Words for the ties of `len` values: one a chunk, and four.
    pub fn words(len: u32) -> u32 {
        Self::chunks(len) + 4
    }

    /// Chunks of `len` values.
    pub fn chunks(len: u32) -> u32 {
        len.div_ceil(CHUNK)
    }
}

/// The operand `ties` of the kernels behind.
pub(super) fn bound(ties: Slot, len: u32) -> Bound {
    ties.needs(TopkTies::words(len).into())
}

impl Kernel for TopkTies {
    const NAME: &'static str = "topk_ties";
    const WGSL: &'static str = crate::wgsl!(
        "common/bits.wgsl",
        "common/score.wgsl",
        "common/topk.wgsl",
        "common/range.wgsl",
        "common/rank.wgsl",
        "common/sums.wgsl",
        "common/found.wgsl",
        "common/pick.wgsl",
        "topk_ties.wgsl"
    );
    const OPERANDS: &'static [Operand] = &[
        read("values4"),
        read("values"),
        read("protect"),
        write("state"),
        write("histogram"),
        read("before"),
        write("ties"),
    ];
    type Params = TopkTiesParams;

    fn bind(&self) -> Vec<Bound> {
        let [state, histogram] = self.begins.words(0);
        vec![
            fours(self.values, self.len),
            self.values.needs(self.len.into()),
            protect(self.protect, self.len),
            self.state.needs(state),
            self.histogram.needs(histogram.max(1)),
            self.before.map_or(Bound::NONE, |(ties, len)| bound(ties, len)),
            bound(self.ties, self.len),
        ]
    }

    fn params(&self) -> TopkTiesParams {
        let chunks = Self::chunks(self.len);
        let chunks_before = self.before.map_or(0, |(_, len)| Self::chunks(len));
        let workgroups = self.begins.workgroups(chunks);
        TopkTiesParams { len: self.len, workgroups, chunks, chunks_before }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("PROTECT", self.protect.is_some().into()), ("PICKS", self.begins.picks.into())]
    }

    fn grid(&self) -> [u32; 3] {
        [self.params().workgroups, 1, 1]
    }
}
