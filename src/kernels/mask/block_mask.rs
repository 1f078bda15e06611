//! `block_mask`: the mask of a matrix from that of its blocks.
use super::block_pool::{Blocks, BlocksParams};
use crate::kernels::{MASK_STATE_WORDS, bit, mask_words};
use super::tallied;
use crate::gpu::{Bound, Kernel, Operand, PlanBuilder, Slot, grid_1d, read, write};

/// Each weight stays with its block.
#[derive(Debug, Clone, Copy)]
pub struct BlockMask {
    /// One bit per block.
    pub block_mask: Slot,
    /// [`crate::kernels::MaskState`], its counts zero; threshold and NaN are those of the blocks.
    pub mask_state: Slot,
    /// One bit per weight.
    pub mask: Slot,
    /// The grid.
    pub blocks: Blocks,
}

impl BlockMask {
    /// Appends it to `plan`; on a GPU its workgroups count for themselves first.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] for extents that do not fit the slots.
    pub fn push(self, plan: &mut PlanBuilder) -> crate::Result<()> {
        tallied::push(self, plan)
    }
}

impl Kernel for BlockMask {
    const NAME: &'static str = "block_mask";
    const WGSL: &'static str = crate::wgsl!(
        "common/grid.wgsl",
        "common/bits.wgsl",
        "common/mask_state.wgsl",
        "common/tally.wgsl",
        "block_mask.wgsl"
    );
    const OPERANDS: &'static [Operand] = &[read("blocks"), write("mask_state"), write("mask")];
    type Params = BlocksParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.block_mask.needs(mask_words(self.blocks.count()).into()),
            self.mask_state.needs(MASK_STATE_WORDS.into()),
            self.mask.needs(self.blocks.len().div_ceil(32)),
        ]
    }

    fn params(&self) -> BlocksParams {
        self.blocks.into()
    }

    fn grid(&self) -> [u32; 3] {
        // At most 2^27 words.
        grid_1d(self.blocks.len().div_ceil(32) as u32)
    }
}

/// Host reference.
pub fn block_mask_reference(block_mask: &[u32], blocks: Blocks) -> Vec<u32> {
    let across = blocks.columns.div_ceil(blocks.width);
    let mut mask = vec![0; blocks.len().div_ceil(32) as usize];
    for i in 0..blocks.rows * blocks.columns {
        let (row, column) = (i / blocks.columns, i % blocks.columns);
        let block = row / blocks.height * across + column / blocks.width;
        mask[i as usize / 32] |= u32::from(bit(block_mask, block as usize)) << (i % 32);
    }
    mask
}
