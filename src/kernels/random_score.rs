//! `random_score`: scores that prune at random, the same on every adapter.
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// Scores in `(0, 1]`, multiples of 2^-24, as a function of seed and index alone: murmur3's 32-bit
/// finaliser (Appleby, MurmurHash3) over both. Among millions of weights some tie, and ties go to
/// the lowest index as always.
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
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "random_score.wgsl");
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
    let mix = |x: u32| {
        let x = (x ^ x >> 16).wrapping_mul(0x85eb_ca6b);
        let x = (x ^ x >> 13).wrapping_mul(0xc2b2_ae35);
        x ^ x >> 16
    };
    let key = mix(seed.wrapping_add(0x9e37_79b9));
    let hash = |i: u32| mix(mix(i ^ key).wrapping_add(seed));
    (0..len).map(|i| ((hash(i) >> 8) + 1) as f32 / (1 << 24) as f32).collect()
}
