//! A matrix of weights of which only blocks are kept, on the host.
use std::collections::BTreeMap;

use super::packed::KeptRows;
use crate::kernels::Units;

/// What [`BlockMatmul`](super::BlockMatmul) knows of a matrix of which only blocks are kept, each
/// `height` neighbouring inputs of `width` neighbouring units, on a grid from its first weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct BlockShape {
    /// Inputs of the matrix.
    pub inputs: u32,
    /// Output units of the matrix.
    pub units: u32,
    /// Inputs of a block, 1 to 32.
    pub height: u32,
    /// Units of a block: 4, 8, 16 or 32.
    pub width: u32,
    /// Blocks that are kept.
    pub blocks: u32,
    /// Most of them of the same units.
    pub most: u32,
}

impl BlockShape {
    /// Units of a block.
    pub const WIDTHS: [u32; 4] = [4, 8, 16, 32];
    /// Most inputs of a block.
    pub const MAX_HEIGHT: u32 = 32;

    /// Lists of blocks: one for each `width` units.
    pub fn lists(&self) -> u32 {
        self.units.div_ceil(self.width.max(1))
    }

    /// Weights of all blocks, those past an edge of the matrix among them.
    pub fn weights(&self) -> u64 {
        u64::from(self.blocks) * u64::from(self.height) * u64::from(self.width)
    }

    /// Blocks of a list in which nothing is left out.
    fn whole(&self) -> u32 {
        self.inputs.div_ceil(self.height.max(1))
    }

    /// What no such matrix can be.
    pub(super) fn check(&self) -> Result<(), String> {
        let &Self { inputs, units, height, width, blocks, most } = self;
        if inputs == 0 || units == 0 {
            return Err(format!("{inputs} inputs, {units} units: none may be 0"));
        }
        if !(1..=Self::MAX_HEIGHT).contains(&height) || !Self::WIDTHS.contains(&width) {
            let most = Self::MAX_HEIGHT;
            return Err(format!(
                "blocks of {height} inputs and {width} units, it takes 1 to {most} inputs and 4, 8, \
                 16 or 32 units"
            ));
        }
        let whole = self.whole();
        if most > whole || blocks > self.lists().saturating_mul(whole) {
            return Err(format!("{blocks} blocks, {most} in a list; a whole one has {whole}"));
        }
        if self.weights() > u64::from(u32::MAX) {
            return Err(format!("{} weights in blocks, at most 2^32 - 1", self.weights()));
        }
        Ok(())
    }
}

/// A matrix of which only blocks are kept: lists that fit it, whoever made them.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptBlocks {
    shape: BlockShape,
    begins: Vec<u32>,
    inputs: Vec<u32>,
    values: Vec<f32>,
}

impl KeptBlocks {
    /// Those of a matrix of `[inputs, units]` in blocks of `[height, width]` of them. The units from
    /// `l * width` on have the blocks `begins[l]..begins[l + 1]`; block `b` begins at the input
    /// `inputs[b] * height`, and its weights are `values[b]`, `[height, width]`, of which those past
    /// an edge of the matrix mean nothing.
    ///
    /// # Errors
    /// What is wrong with them: blocks of another size, lists that do not fit each other, and blocks
    /// that are not in the order of their inputs, there twice, or past the last one.
    pub fn new(
        [inputs, units]: [u32; 2],
        [height, width]: [u32; 2],
        (begins, of_inputs, mut values): (Vec<u32>, Vec<u32>, Vec<f32>),
    ) -> Result<Self, String> {
        let blocks = u32::try_from(of_inputs.len()).unwrap_or(u32::MAX);
        let mut shape = BlockShape { inputs, units, height, width, blocks, most: 0 };
        shape.check()?;
        let (lists, whole) = (shape.lists() as usize, shape.whole());
        let ends = begins.first().copied().zip(begins.last().copied());
        if begins.len() != lists + 1 || ends != Some((0, blocks)) {
            let have = format!("{} begins of lists, the first and last {ends:?}", begins.len());
            return Err(format!("{have}; {units} units have {lists} lists, and {blocks} blocks"));
        }
        let (have, want) = (values.len() as u64, shape.weights());
        if have != want {
            let message = format!("{have} weights, {blocks} blocks of {height} x {width}");
            return Err(format!("{message} have {want}"));
        }
        for (list, ends) in begins.windows(2).enumerate() {
            let (first, last) = (ends[0], ends[1]);
            if last < first || last > blocks {
                return Err(format!("list {list} goes from {first} to {last} of {blocks}"));
            }
            let of_list = &of_inputs[first as usize..last as usize];
            if let Some(past) = of_list.iter().find(|&&block| block >= whole) {
                return Err(format!("list {list} has block {past}, a whole one {whole}"));
            }
            if let Some(pair) = of_list.windows(2).find(|pair| pair[0] >= pair[1]) {
                let (before, behind) = (pair[0], pair[1]);
                return Err(format!("list {list} has block {behind} behind {before}"));
            }
            shape.most = shape.most.max(last - first);
        }
        // Past an edge nothing may be multiplied with, whatever a file has there.
        let this = Self { shape, begins, inputs: of_inputs, values: Vec::new() };
        let mut inside = vec![false; values.len()];
        this.each(|at, _, _| inside[at] = true);
        values.iter_mut().zip(inside).filter(|(_, inside)| !inside).for_each(|(v, _)| *v = 0.0);
        Ok(Self { values, ..this })
    }

    /// The blocks of `[height, width]` inputs and units that are not all zero, of the weights `dense`,
    /// which lie as `of` says. A NaN is no zero.
    ///
    /// # Errors
    /// For blocks of another size, and another number of weights.
    pub fn of(dense: &[f32], of: Units, size: [u32; 2]) -> Result<Self, String> {
        let Units { inputs, units, .. } = of;
        if dense.len() as u64 != of.len() {
            return Err(format!("{} weights for {units} units of {inputs} inputs", dense.len()));
        }
        Self::gathered(&KeptRows { of, weights: dense }, [inputs, units], size)
    }

    /// The same of the weights that `rows` has, unit by unit.
    pub(super) fn gathered(
        rows: &KeptRows<'_>,
        [inputs, units]: [u32; 2],
        [height, width]: [u32; 2],
    ) -> Result<Self, String> {
        let shape = BlockShape { inputs, units, height, width, blocks: 0, most: 0 };
        shape.check()?;
        let (mut begins, mut list, mut values) = (vec![0], Vec::new(), Vec::new());
        for first in (0..units).step_by(width as usize) {
            let mut blocks: BTreeMap<u32, Vec<f32>> = BTreeMap::new();
            for unit in first..units.min(first + width) {
                for (input, weight) in rows.kept(unit) {
                    let block = blocks.entry(input / height);
                    let block = block.or_insert_with(|| vec![0.0; (height * width) as usize]);
                    block[(input % height * width + unit - first) as usize] = weight;
                }
            }
            for (block, weights) in blocks {
                list.push(block);
                values.extend(weights);
            }
            begins.push(u32::try_from(list.len()).unwrap_or(u32::MAX));
        }
        Self::new([inputs, units], [height, width], (begins, list, values))
    }

    /// What the kernel knows of it.
    pub fn shape(&self) -> BlockShape {
        self.shape
    }

    /// Where each list begins among the blocks, and where the last one ends.
    pub fn begins(&self) -> &[u32] {
        &self.begins
    }

    /// Which inputs each block is of, in blocks.
    pub fn inputs(&self) -> &[u32] {
        &self.inputs
    }

    /// The weights of each block.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Calls `each` with the place among the values, the input and the unit of each weight of the
    /// matrix that is in a block.
    fn each(&self, each: impl FnMut(usize, u32, u32)) {
        visit(self.shape, &self.begins, &self.inputs, each);
    }
}

/// [`KeptBlocks::each`] of lists that fit `shape`.
pub(super) fn visit(
    shape: BlockShape,
    begins: &[u32],
    of_inputs: &[u32],
    mut each: impl FnMut(usize, u32, u32),
) {
    let BlockShape { inputs, units, height, width, .. } = shape;
    let weights = height * width;
    for (list, ends) in (0..).zip(begins.windows(2)) {
        for block in ends[0]..ends[1] {
            let first = of_inputs[block as usize] * height;
            for i in 0..weights {
                let (input, unit) = (first + i / width, list * width + i % width);
                if input < inputs && unit < units {
                    each(block as usize * weights as usize + i as usize, input, unit);
                }
            }
        }
    }
}

/// Host reference of a product with blocks: for `a [m, inputs]` and each of `[m, units]` the sum in
/// f64, and the sum of its terms' magnitudes, which scales the rounding error of any order of
/// summation.
pub fn block_matmul_reference(a: &[f32], weights: &KeptBlocks, m: usize) -> Vec<(f64, f64)> {
    let [k, n] = [weights.shape.inputs, weights.shape.units].map(|extent| extent as usize);
    let mut sums = vec![(0.0, 0.0); m * n];
    weights.each(|at, input, unit| {
        for row in 0..m {
            let product =
                f64::from(a[row * k + input as usize]) * f64::from(weights.values[at]);
            let (sum, magnitude) = &mut sums[row * n + unit as usize];
            (*sum, *magnitude) = (*sum + product, *magnitude + product.abs());
        }
    });
    sums
}
