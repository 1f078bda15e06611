//! Blocks on a grid from the first element: they are ranked by their pooled scores, and the mask of
//! blocks is spread over their weights.
use std::sync::Arc;

use super::element::Element;
use super::{Among, Form, Structure, mask_words};
use crate::Result;
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{BlockMask, BlockPool, BlockPooling, Blocks, Layout, MaskBegin, Units};
use crate::prune::PrunedTensor;

/// `[height, width]` blocks, -1 for the whole extent, on a matrix.
pub(super) fn on(matrix: Units, [height, width]: [i64; 2]) -> Structure {
    let [rows, columns] = match matrix.layout {
        Layout::InOut => [matrix.inputs, matrix.units],
        Layout::OutIn => [matrix.units, matrix.inputs],
    };
    let extent = |wanted: i64, whole: u32| {
        u32::try_from(wanted).map_or(whole, |wanted| wanted.min(whole)).max(1)
    };
    let (height, width) = (extent(height, rows), extent(width, columns));
    match (height, width) {
        (1, 1) => Arc::new(Element),
        _ => Arc::new(Blocks { rows, columns, height, width }),
    }
}

impl Form for Blocks {
    fn units(&self, _: u32) -> u32 {
        self.count()
    }

    fn among(&self) -> Among<'_> {
        Among::All
    }

    fn together(&self) -> [u32; 2] {
        [self.height, self.width]
    }

    fn pool(
        &self,
        plan: &mut PlanBuilder,
        name: String,
        pooling: BlockPooling,
        values: Slot,
        signed: bool,
    ) -> Result<Slot> {
        let scores = plan.scratch(name, self.count());
        plan.push(BlockPool { values, scores, blocks: *self, pooling, signed })?;
        Ok(scores)
    }

    fn select(&self, plan: &mut PlanBuilder, t: &PrunedTensor) -> (Units, Slot) {
        // Of blocks the highest of the tensor stays, not of each unit.
        let one = Units::new([self.count(), 1]);
        (one, plan.scratch(format!("{}.block_mask", t.name()), mask_words(self.count())))
    }

    fn spread(&self, plan: &mut PlanBuilder, t: &PrunedTensor, selected: Slot) -> Result<()> {
        let (mask_state, mask) = (t.state, t.mask());
        plan.push(MaskBegin { mask_state, keep_nan: true })?;
        BlockMask { block_mask: selected, mask_state, mask, blocks: *self }.push(plan)
    }
}
