//! `topk_mask`: packs the mask; [`crate::kernels::Selection`] has the whole.
use super::topk_ties;
use super::topk::{CHUNK, Selection, TOPK_STATE_WORDS, fours, protect};
use crate::kernels::{MASK_STATE_WORDS, TopkTies, mask_words};
use crate::gpu::{Bound, Kernel, Operand, Slot, read, write};

/// Packs the mask, and lists what is ranked one by one.
#[derive(Debug, Clone, Copy)]
pub struct TopkMask {
    /// `[len]`
    pub values: Slot,
    /// One bit per value; where it is set, the value ranks above all others.
    pub protect: Option<Slot>,
    /// What [`TopkTies`] leaves, where values need numbers; what is beside the counts is written.
    pub ties: Slot,
    /// [`crate::kernels::TopkState`]
    pub state: Slot,
    /// The values that are ranked one by one.
    pub list: Slot,
    /// [`MaskState`](crate::kernels::MaskState), its counts zero.
    pub mask_state: Slot,
    /// One bit per value.
    pub mask: Slot,
    /// Values.
    pub len: u32,
    /// Values of the tensors before.
    pub first: u32,
}

crate::uniform! {
    /// Uniform of [`TopkMask`].
    pub struct TopkMaskParams {
        /// Values.
        len: u32,
        /// Values of the tensors before.
        first: u32,
        /// Chunks of the tensor.
        chunks: u32,
    }
}

impl Kernel for TopkMask {
    const NAME: &'static str = "topk_mask";
    const WGSL: &'static str = crate::wgsl!(
        "common/bits.wgsl",
        "common/score.wgsl",
        "common/topk.wgsl",
        "common/range.wgsl",
        "common/list.wgsl",
        "common/mask_state.wgsl",
        "common/rank.wgsl",
        "common/sums.wgsl",
        "topk_mask.wgsl"
    );
    const OPERANDS: &'static [Operand] = &[
        read("values4"),
        read("values"),
        read("protect"),
        write("ties"),
        read("state"),
        write("list"),
        write("mask_state"),
        write("mask"),
    ];
    type Params = TopkMaskParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            fours(self.values, self.len),
            self.values.needs(self.len.into()),
            protect(self.protect, self.len),
            topk_ties::bound(self.ties, self.len),
            self.state.needs(TOPK_STATE_WORDS.into()),
            self.list.needs(Selection::LIST_WORDS.into()),
            self.mask_state.needs(MASK_STATE_WORDS.into()),
            self.mask.needs(mask_words(self.len).into()),
        ]
    }

    fn params(&self) -> TopkMaskParams {
        TopkMaskParams { len: self.len, first: self.first, chunks: TopkTies::chunks(self.len) }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("PROTECT", self.protect.is_some().into())]
    }

    fn grid(&self) -> [u32; 3] {
        [self.len.div_ceil(CHUNK), 1, 1]
    }
}
