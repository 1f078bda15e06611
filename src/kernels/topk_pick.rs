//! `topk_pick`: finds one digit of the rank of the last value to prune; [`super::Selection`] has the whole.
use super::topk::{BINS, TOPK_STATE_WORDS};
use crate::gpu::{Bound, Kernel, Operand, Slot, read, write};

/// Finds one digit of the score of the last weight to prune.
#[derive(Debug, Clone, Copy)]
pub struct TopkPick {
    /// Number of weights to prune, of each selection.
    pub counts: Slot,
    /// Counts to read and clear.
    pub histogram: Slot,
    /// [`super::TopkState`]
    pub state: Slot,
    /// Which of the counts.
    pub selection: u32,
    /// 0, 1 or 2; highest first.
    pub digit: u32,
}

crate::uniform! {
    /// Uniform of [`TopkPick`].
    pub struct TopkPickParams {
        /// Which of the counts.
        selection: u32,
    }
}

impl Kernel for TopkPick {
    const NAME: &'static str = "topk_pick";
    const WGSL: &'static str = crate::wgsl!("common/topk.wgsl", "topk_pick.wgsl");
    const OPERANDS: &'static [Operand] = &[read("counts"), write("histogram"), write("state")];
    type Params = TopkPickParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.counts.needs(u64::from(self.selection) + 1),
            self.histogram.needs(BINS.into()),
            self.state.needs(TOPK_STATE_WORDS.into()),
        ]
    }

    fn params(&self) -> TopkPickParams {
        TopkPickParams { selection: self.selection }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("DIGIT", self.digit.into())]
    }

    fn grid(&self) -> [u32; 3] {
        [1, 1, 1]
    }
}
