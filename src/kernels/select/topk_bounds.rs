//! `topk_bounds`: the range that a sample suggests; [`crate::kernels::Selection`] has the whole.
use super::topk::TOPK_STATE_WORDS;
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// Guesses the range by the sample.
#[derive(Debug, Clone, Copy)]
pub struct TopkBounds {
    /// Number of values to prune, of each selection.
    pub counts: Slot,
    /// `[samples]`, in whole sixteens.
    pub sample: Slot,
    /// [`crate::kernels::TopkState`]
    pub state: Slot,
    /// Which of the counts.
    pub selection: u32,
    /// Ranks in the sample.
    pub samples: u32,
    /// Values in all tensors.
    pub total: u32,
}

crate::uniform! {
    /// Uniform of [`TopkBounds`].
    pub struct TopkBoundsParams {
        /// Which of the counts.
        selection: u32,
        /// Ranks in the sample.
        samples: u32,
        /// Values in all tensors.
        total: u32,
    }
}

impl Kernel for TopkBounds {
    const NAME: &'static str = "topk_bounds";
    const WGSL: &'static str = crate::wgsl!("common/topk.wgsl", "topk_bounds.wgsl");
    const OPERANDS: &'static [Operand] = &[read("counts"), read("sample"), write("state")];
    type Params = TopkBoundsParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.counts.needs(u64::from(self.selection) + 1),
            self.sample.needs(self.samples.next_multiple_of(16).into()),
            self.state.needs(TOPK_STATE_WORDS.into()),
        ]
    }

    fn params(&self) -> TopkBoundsParams {
        let Self { selection, samples, total, .. } = *self;
        TopkBoundsParams { selection, samples, total }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.samples)
    }
}
