//! `topk_pick`: narrows the range to one bin; [`crate::kernels::Selection`] has the whole.
use super::topk::{Selection, TOPK_STATE_WORDS};
use crate::gpu::{Bound, Kernel, Operand, Slot, write};

/// Narrows the range to the bin that the last value to prune is in.
#[derive(Debug, Clone, Copy)]
pub struct TopkPick {
    /// Counts to read and clear.
    pub histogram: Slot,
    /// [`crate::kernels::TopkState`]
    pub state: Slot,
}

crate::uniform! {
    /// Uniform of [`TopkPick`].
    pub struct TopkPickParams {
        /// Most values that are ranked one by one.
        most: u32,
    }
}

impl Kernel for TopkPick {
    const NAME: &'static str = "topk_pick";
    const WGSL: &'static str =
        crate::wgsl!("common/topk.wgsl", "common/range.wgsl", "topk_pick.wgsl");
    const OPERANDS: &'static [Operand] = &[write("histogram"), write("state")];
    type Params = TopkPickParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.histogram.needs(Selection::HISTOGRAM_WORDS.into()),
            self.state.needs(TOPK_STATE_WORDS.into()),
        ]
    }

    fn params(&self) -> TopkPickParams {
        TopkPickParams { most: Selection::LISTED }
    }

    fn grid(&self) -> [u32; 3] {
        [1, 1, 1]
    }
}
