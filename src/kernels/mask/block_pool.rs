//! `block_pool`: one score for each block of a matrix.
use serde::{Deserialize, Serialize};

use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, grid_groups, read, write};

/// How the weights of a block become its one score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum BlockPooling {
    /// Mean of |w|, over the weights that are there in a block at the edge. Also read from `AVG`.
    #[default]
    #[serde(alias = "AVG")]
    Avg,
    /// Largest |w|. Also read from `MAX`.
    #[serde(alias = "MAX")]
    Max,
}

/// How a matrix is cut into blocks: on a grid from its first element, the last ones as they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks {
    /// Rows of the matrix.
    pub rows: u32,
    /// Columns of the matrix.
    pub columns: u32,
    /// Rows of a block.
    pub height: u32,
    /// Columns of a block.
    pub width: u32,
}

impl Blocks {
    /// Number of blocks.
    pub fn count(&self) -> u32 {
        self.rows.div_ceil(self.height) * self.columns.div_ceil(self.width)
    }

    /// Elements of the matrix.
    pub(in crate::kernels) fn len(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.columns)
    }
}

crate::uniform! {
    /// Uniform of [`BlockPool`] and [`crate::kernels::BlockMask`].
    pub struct BlocksParams {
        /// Rows of the matrix.
        rows: u32,
        /// Columns of the matrix.
        columns: u32,
        /// Rows of a block.
        height: u32,
        /// Columns of a block.
        width: u32,
    }
}

impl From<Blocks> for BlocksParams {
    fn from(Blocks { rows, columns, height, width }: Blocks) -> Self {
        Self { rows, columns, height, width }
    }
}

/// `scores[p, q]` = mean or maximum of |x|, or mean of x, in block `(p, q)` of `values`.
#[derive(Debug, Clone, Copy)]
pub struct BlockPool {
    /// `[rows, columns]`
    pub values: Slot,
    /// One score for each block.
    pub scores: Slot,
    /// The grid.
    pub blocks: Blocks,
    /// Mean or maximum.
    pub pooling: BlockPooling,
    /// x in place of |x|; only the mean of them.
    pub signed: bool,
}

impl BlockPool {
    /// Most values of a block: 256 invocations share one, and none may loop more than 30,000 times.
    pub const MAX_BLOCK: u64 = 256 * 30_000;

    fn wide(&self) -> bool {
        u64::from(self.blocks.height) * u64::from(self.blocks.width) > 64
    }
}

impl Kernel for BlockPool {
    const NAME: &'static str = "block_pool";
    const WGSL: &'static str =
        crate::wgsl!("common/grid.wgsl", "common/score.wgsl", "block_pool.wgsl");
    const OPERANDS: &'static [Operand] = &[read("values"), write("blocks")];
    type Params = BlocksParams;

    fn bind(&self) -> Vec<Bound> {
        vec![self.values.needs(self.blocks.len()), self.scores.needs(self.blocks.count().into())]
    }

    fn params(&self) -> BlocksParams {
        self.blocks.into()
    }

    fn check(&self) -> Result<(), String> {
        let size = u64::from(self.blocks.height) * u64::from(self.blocks.width);
        if size > Self::MAX_BLOCK {
            return Err(format!("blocks of {size} values, it takes {} at most", Self::MAX_BLOCK));
        }
        if self.signed && self.pooling == BlockPooling::Max {
            return Err("signed values have a mean here, and no maximum".into());
        }
        Ok(())
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let max = self.pooling == BlockPooling::Max;
        vec![("WIDE", self.wide().into()), ("MAX", max.into()), ("SIGNED", self.signed.into())]
    }

    fn grid(&self) -> [u32; 3] {
        let count = self.blocks.count();
        match self.wide() {
            true => grid_groups(count),
            false => grid_1d(count),
        }
    }
}

/// Host reference in f64, of |x|. NaN makes NaN.
pub fn block_pool_reference(values: &[f32], blocks: Blocks, pooling: BlockPooling) -> Vec<f64> {
    let magnitudes: Vec<f32> = values.iter().map(|x| x.abs()).collect();
    signed_block_pool_reference(&magnitudes, blocks, pooling)
}

/// Host reference in f64, of x; a maximum is that of 0 and x.
pub fn signed_block_pool_reference(
    values: &[f32],
    blocks: Blocks,
    pooling: BlockPooling,
) -> Vec<f64> {
    let across = blocks.columns.div_ceil(blocks.width);
    let mut pooled = vec![(0.0f64, 0.0f64); blocks.count() as usize];
    for (i, x) in (0..).zip(values) {
        let (row, column) = (i / blocks.columns, i % blocks.columns);
        let block = row / blocks.height * across + column / blocks.width;
        let (score, count) = &mut pooled[block as usize];
        let x = f64::from(*x);
        *score = match pooling {
            BlockPooling::Avg => *score + x,
            BlockPooling::Max if score.is_nan() || x.is_nan() => f64::NAN,
            BlockPooling::Max => score.max(x),
        };
        *count += 1.0;
    }
    let mean = |(sum, count)| match pooling {
        BlockPooling::Avg => sum / count,
        BlockPooling::Max => sum,
    };
    pooled.into_iter().map(mean).collect()
}
