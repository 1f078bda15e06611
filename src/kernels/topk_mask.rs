//! `topk_mask`: packs the mask; [`super::Selection`] has the whole.
use super::topk::{CHUNK, TOPK_STATE_WORDS, protect};
use super::{MASK_STATE_WORDS, mask_words};
use crate::gpu::{Bound, Kernel, Operand, Slot, read, write};

/// Packs the mask.
#[derive(Debug, Clone, Copy)]
pub struct TopkMask {
    /// `[len]`
    pub values: Slot,
    /// One bit per value; where it is set, the value ranks above all others.
    pub protect: Option<Slot>,
    /// Ties before each chunk.
    pub ties: Slot,
    /// [`super::TopkState`]
    pub state: Slot,
    /// Whether the values are scores of the weights: then the state's threshold is theirs.
    pub scores: bool,
    /// [`MaskState`](super::MaskState), its counts zero.
    pub mask_state: Slot,
    /// One bit per value.
    pub mask: Slot,
    /// Values.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`TopkMask`].
    pub struct TopkMaskParams {
        /// Values.
        len: u32,
    }
}

impl Kernel for TopkMask {
    const NAME: &'static str = "topk_mask";
    const WGSL: &'static str = crate::wgsl!(
        "common/bits.wgsl",
        "common/score.wgsl",
        "common/topk.wgsl",
        "common/mask_state.wgsl",
        "common/rank.wgsl",
        "topk_mask.wgsl"
    );
    const OPERANDS: &'static [Operand] = &[
        read("values"),
        read("protect"),
        read("ties"),
        read("state"),
        write("mask_state"),
        write("mask"),
    ];
    type Params = TopkMaskParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.values.needs(self.len.into()),
            protect(self.protect, self.len),
            self.ties.needs(self.len.div_ceil(CHUNK).into()),
            self.state.needs(TOPK_STATE_WORDS.into()),
            self.mask_state.needs(MASK_STATE_WORDS.into()),
            self.mask.needs(mask_words(self.len).into()),
        ]
    }

    fn params(&self) -> TopkMaskParams {
        TopkMaskParams { len: self.len }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("PROTECT", self.protect.is_some().into()), ("SCORES", self.scores.into())]
    }

    fn grid(&self) -> [u32; 3] {
        [self.len.div_ceil(CHUNK), 1, 1]
    }
}
