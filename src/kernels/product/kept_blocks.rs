//! A matrix of weights of which only blocks are kept, on the host.
use crate::kernels::{Layout, Units};
use crate::{Error, Result};

/// What [`BlockMatmul`](super::BlockMatmul) knows of a matrix of which only blocks are kept, each
/// `height` neighbouring inputs of `width` neighbouring outputs, on a grid from its first weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockShape {
    /// Inputs of the matrix.
    pub inputs: u32,
    /// Outputs of the matrix.
    pub outputs: u32,
    /// Inputs of a block, 1 to 32.
    pub height: u32,
    /// Outputs of a block: 4, 8, 16 or 32.
    pub width: u32,
    /// Blocks that are kept.
    pub blocks: u32,
    /// Most of them of the same outputs.
    pub most: u32,
}

impl BlockShape {
    /// Outputs of a block.
    pub const WIDTHS: [u32; 4] = [4, 8, 16, 32];
    /// Most inputs of a block.
    pub const MAX_HEIGHT: u32 = 32;

    /// Groups of outputs that have their blocks in common.
    pub fn groups(&self) -> u32 {
        self.outputs.div_ceil(self.width.max(1))
    }

    /// Weights of all blocks, those past an edge of the matrix among them.
    pub fn weights(&self) -> u64 {
        u64::from(self.blocks) * u64::from(self.height) * u64::from(self.width)
    }

    /// What no such matrix can be.
    pub(in crate::kernels) fn check(&self) -> Result<(), String> {
        let &Self { inputs, outputs, height, width, blocks, most } = self;
        if inputs == 0 || outputs == 0 {
            return Err(format!("{inputs} inputs, {outputs} outputs: none may be 0"));
        }
        if !(1..=Self::MAX_HEIGHT).contains(&height) || !Self::WIDTHS.contains(&width) {
            let heights = format!("1 to {} inputs", Self::MAX_HEIGHT);
            return Err(format!(
                "blocks of {height} inputs and {width} outputs, it takes {heights} and 4, 8, 16 or \
                 32 outputs"
            ));
        }
        let across = inputs.div_ceil(height);
        if most > across || blocks > self.groups().saturating_mul(across) {
            return Err(format!("{blocks} blocks, {most} of some outputs; there are {across}"));
        }
        if self.weights() > u64::from(u32::MAX) {
            return Err(format!("{} weights in blocks, at most 2^32 - 1", self.weights()));
        }
        Ok(())
    }
}

/// A matrix of which only blocks are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptBlocks {
    shape: BlockShape,
    begins: Vec<u32>,
    inputs: Vec<u32>,
    values: Vec<f32>,
}

impl KeptBlocks {
    /// Those of a matrix `[inputs, outputs]` in blocks of `[height, width]` of them. The outputs from
    /// `g * width` on have the blocks `begins[g]..begins[g + 1]`; block `b` begins at the input
    /// `inputs[b] * height`, and its weights are `values[b]`, `[height, width]`, zeros past an edge of
    /// the matrix. `name` is the matrix's, for errors.
    ///
    /// # Errors
    /// [`Error::Shape`] for blocks of another size, lists that do not fit each other, and blocks that
    /// are not in the order of their inputs, there twice, or past the last one.
    pub fn new(
        name: &str,
        [inputs, outputs]: [u32; 2],
        [height, width]: [u32; 2],
        (begins, of_inputs, values): (Vec<u32>, Vec<u32>, Vec<f32>),
    ) -> Result<Self> {
        let wrong = |message: String| Error::shape(name, message);
        let blocks = u32::try_from(of_inputs.len()).unwrap_or(u32::MAX);
        let mut shape = BlockShape { inputs, outputs, height, width, blocks, most: 0 };
        shape.check().map_err(wrong)?;
        let (groups, across) = (shape.groups() as usize, inputs.div_ceil(height));
        if begins.len() != groups + 1 || begins[0] != 0 || begins[groups] != blocks {
            let (first, last) = (begins.first().copied(), begins.last().copied());
            return Err(wrong(format!(
                "{} begins of lists, from {first:?} to {last:?}; {groups} groups of {width} outputs \
                 have {blocks} blocks",
                begins.len()
            )));
        }
        let want = shape.weights();
        if values.len() as u64 != want {
            let have = values.len();
            let message = format!("{have} weights, {blocks} blocks of {height} x {width} have");
            return Err(wrong(format!("{message} {want}")));
        }
        for (group, ends) in begins.windows(2).enumerate() {
            let (first, last) = (ends[0], ends[1]);
            if last < first || last > blocks {
                return Err(wrong(format!("list {group} goes from {first} to {last}")));
            }
            let list = &of_inputs[first as usize..last as usize];
            if let Some(past) = list.iter().find(|&&input| input >= across) {
                return Err(wrong(format!("block {past} of list {group}, there are {across}")));
            }
            if let Some(pair) = list.windows(2).find(|pair| pair[0] >= pair[1]) {
                let (before, behind) = (pair[0], pair[1]);
                let message = format!("block {behind} behind block {before} in list {group}");
                return Err(wrong(format!("{message}: they must rise")));
            }
            shape.most = shape.most.max(last - first);
        }
        Ok(Self { shape, begins, inputs: of_inputs, values })
    }

    /// The blocks `[height, width]` of inputs and outputs that are not all zero, of the weights
    /// `dense`, which lie as `of` says. A NaN is no zero.
    ///
    /// # Errors
    /// [`Error::Shape`] for blocks of another size, and another number of weights.
    pub fn of(name: &str, dense: &[f32], of: Units, [height, width]: [u32; 2]) -> Result<Self> {
        let Units { inputs, units: outputs, layout } = of;
        if dense.len() as u64 != of.len() {
            let message = format!("{} weights, {inputs} x {outputs} are needed", dense.len());
            return Err(Error::shape(name, message));
        }
        let shape = BlockShape { inputs, outputs, height, width, blocks: 0, most: 0 };
        shape.check().map_err(|message| Error::shape(name, message))?;
        let at = |input: u32, output: u32| match layout {
            _ if input >= inputs || output >= outputs => 0.0,
            Layout::InOut => dense[input as usize * outputs as usize + output as usize],
            Layout::OutIn => dense[output as usize * inputs as usize + input as usize],
        };
        let (mut begins, mut list, mut values) = (vec![0], Vec::new(), Vec::new());
        let mut block = vec![0.0; (height * width) as usize];
        for group in 0..shape.groups() {
            for row in 0..inputs.div_ceil(height) {
                for (i, value) in (0..).zip(&mut block) {
                    *value = at(row * height + i / width, group * width + i % width);
                }
                if block.iter().any(|&x| x != 0.0) {
                    list.push(row);
                    values.extend_from_slice(&block);
                }
            }
            begins.push(u32::try_from(list.len()).unwrap_or(u32::MAX));
        }
        Self::new(name, [inputs, outputs], [height, width], (begins, list, values))
    }

    /// What the kernel knows of it.
    pub fn shape(&self) -> BlockShape {
        self.shape
    }

    /// Where each list of blocks begins, and the end of the last.
    pub fn begins(&self) -> &[u32] {
        &self.begins
    }

    /// Which inputs each block is of, in blocks. One word where nothing is kept, as for
    /// [`values`](Self::values): a slot has at least one.
    pub fn inputs(&self) -> &[u32] {
        if self.inputs.is_empty() { &[0] } else { &self.inputs }
    }

    /// The weights of the blocks.
    pub fn values(&self) -> &[f32] {
        if self.values.is_empty() { &[0.0] } else { &self.values }
    }

    /// Bytes on the device.
    pub fn bytes(&self) -> u64 {
        4 * (self.begins().len() + self.inputs().len() + self.values().len()) as u64
    }

    /// All weights, `[inputs, outputs]`.
    pub fn dense(&self) -> Vec<f32> {
        let BlockShape { inputs, outputs, .. } = self.shape;
        let mut dense = vec![0.0; inputs as usize * outputs as usize];
        self.each(|input, output, value| {
            dense[input as usize * outputs as usize + output as usize] = value;
        });
        dense
    }

    /// Every weight of the matrix that is in a block, with its input and its output.
    fn each(&self, mut each: impl FnMut(u32, u32, f32)) {
        let BlockShape { inputs, outputs, height, width, .. } = self.shape;
        let weights = (height * width) as usize;
        for (group, ends) in (0..).zip(self.begins.windows(2)) {
            for block in ends[0] as usize..ends[1] as usize {
                let of_block = &self.values[block * weights..][..weights];
                for (i, &value) in (0..).zip(of_block) {
                    let input = self.inputs[block] * height + i / width;
                    let output = group * width + i % width;
                    if input < inputs && output < outputs {
                        each(input, output, value);
                    }
                }
            }
        }
    }
}

/// Host reference of [`BlockMatmul`](super::BlockMatmul): `a W` for `a [m, inputs]` in f64, and the
/// sum of the terms' magnitudes, which scales the rounding error of any order of summation.
pub fn block_matmul_reference(a: &[f32], weights: &KeptBlocks, m: usize) -> Vec<(f64, f64)> {
    let BlockShape { inputs, outputs, .. } = weights.shape;
    let [k, n] = [inputs, outputs].map(|extent| extent as usize);
    let mut sums = vec![(0.0, 0.0); m * n];
    weights.each(|input, output, value| {
        for row in 0..m {
            let product = f64::from(a[row * k + input as usize]) * f64::from(value);
            let (sum, magnitude) = &mut sums[row * n + output as usize];
            (*sum, *magnitude) = (*sum + product, *magnitude + product.abs());
        }
    });
    sums
}
