//! `random_score`: scores that prune at random, the same on every adapter.
use crate::kernels::random_bits;
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// Scores in `(0, 1]`, multiples of 2^-24, as a function of seed and index alone: [`random_bits`].
/// Among millions of weights some tie, and ties go to the lowest index as always.
#[derive(Debug, Clone, Copy)]
pub struct RandomScore {
    /// A seed for each selection of the model; the host writes a fresh one for each mask update.
    pub seeds: Slot,
    /// Which of the seeds. Tensors that share one have the same scores index by index.
    pub selection: u32,
    /// `[len]`, positive.
    pub score: Slot,
    /// Weights.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`RandomScore`].
    pub struct RandomScoreParams {
        /// Weights.
        len: u32,
        /// Which of the seeds.
        selection: u32,
    }
}

impl Kernel for RandomScore {
    const NAME: &'static str = "random_score";
    const WGSL: &'static str =
        crate::wgsl!("common/grid.wgsl", "common/random.wgsl", "random_score.wgsl");
    const OPERANDS: &'static [Operand] = &[read("seeds"), write("score")];
    type Params = RandomScoreParams;

    fn bind(&self) -> Vec<Bound> {
        vec![self.seeds.needs(u64::from(self.selection) + 1), self.score.needs(self.len.into())]
    }

    fn params(&self) -> RandomScoreParams {
        RandomScoreParams { len: self.len, selection: self.selection }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

/// Host reference, exact: the scores of the first `len` weights.
pub fn random_score_reference(seed: u32, len: u32) -> Vec<f32> {
    (0..len).map(|i| ((random_bits(seed, i) >> 8) + 1) as f32 / (1 << 24) as f32).collect()
}
