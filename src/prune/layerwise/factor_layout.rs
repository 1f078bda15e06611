//! How a factor lies in memory, block by block.
use crate::kernels::{InputBlock, ObsSweep};

/// How a [`Factor`](super::Factor) lies in memory: for each block of inputs its triangle `[count,
/// count]`, then what joins it to the inputs behind it, `[count, rest]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FactorLayout {
    /// Inputs of the matrix.
    pub inputs: u32,
    /// Inputs of a block; the last one may have fewer.
    pub width: u32,
}

/// A block of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) block: InputBlock,
    /// Where it is joined to the inputs behind it.
    pub(super) tail: u32,
    /// Inputs behind it.
    pub(super) rest: u32,
}

impl FactorLayout {
    /// Of `inputs` inputs, in groups of `m` where there are such.
    pub fn new(inputs: u32, m: Option<u32>) -> Self {
        Self { inputs, width: ObsSweep::width(m) }
    }

    /// Words of all blocks.
    pub fn words(&self) -> u64 {
        self.counts().map(|[first, count]| count * (u64::from(self.inputs) - first)).sum()
    }

    /// Number of blocks.
    pub fn blocks(&self) -> u32 {
        self.inputs.div_ceil(self.width)
    }

    /// First input and inputs of each block.
    pub(super) fn counts(&self) -> impl Iterator<Item = [u64; 2]> + use<> {
        let [inputs, width] = [self.inputs, self.width].map(u64::from);
        (0..self.blocks().into()).map(move |b| [b * width, width.min(inputs - b * width)])
    }

    /// The blocks, of a factor whose words an index of 32 bits can count.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part> + use<> {
        let (inputs, mut at) = (self.inputs, 0);
        self.counts().map(move |sizes| {
            let [first, count] = sizes.map(|size| size as u32);
            let (diagonal, rest) = (at, inputs - first - count);
            let tail = diagonal + count * count;
            at = tail + count * rest;
            Part { block: InputBlock { first, count, diagonal }, tail, rest }
        })
    }

    /// The words of the triangle whose element in row `i` and column `j` is `upper(i, j)`.
    pub(super) fn pack(&self, upper: impl Fn(usize, usize) -> f32) -> Vec<f32> {
        let mut words = Vec::with_capacity(self.words() as usize);
        let inputs = self.inputs as usize;
        for [first, count] in self.counts() {
            let [first, end] = [first, first + count].map(|i| i as usize);
            for columns in [first..end, end..inputs] {
                for i in first..end {
                    let at = |j: usize| if j < i { 0.0 } else { upper(i, j) };
                    words.extend(columns.clone().map(at));
                }
            }
        }
        words
    }
}
