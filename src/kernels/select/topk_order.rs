//! `topk_order`: ranks the listed values one by one; [`crate::kernels::Selection`] has the whole.
use super::topk::{Selection, TOPK_STATE_WORDS};
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, write};

/// Says which of the listed values stay.
#[derive(Debug, Clone, Copy)]
pub struct TopkOrder {
    /// The values that are ranked one by one.
    pub list: Slot,
    /// [`crate::kernels::TopkState`]
    pub state: Slot,
}

crate::uniform! {
    /// Uniform of [`TopkOrder`].
    pub struct TopkOrderParams {
        /// Most values that are ranked one by one.
        most: u32,
    }
}

impl Kernel for TopkOrder {
    const NAME: &'static str = "topk_order";
    const WGSL: &'static str = crate::wgsl!(
        "common/topk.wgsl",
        "common/range.wgsl",
        "common/list.wgsl",
        "topk_order.wgsl"
    );
    const OPERANDS: &'static [Operand] = &[write("list"), write("state")];
    type Params = TopkOrderParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.list.needs(Selection::LIST_WORDS.into()),
            self.state.needs(TOPK_STATE_WORDS.into()),
        ]
    }

    fn params(&self) -> TopkOrderParams {
        TopkOrderParams { most: Selection::LISTED }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(Selection::LISTED)
    }
}
