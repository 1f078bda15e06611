//! `obs_score`: what pruning each weight of a block of inputs would cost.
use super::obs_sweep::InputBlock;
use crate::gpu::{Bound, Kernel, Operand, Slot, read, write};

/// `score[j, r] = |weights[first + j, r]| / factor[j, j]`, the root of what pruning that weight
/// alone adds to the squared error of the outputs (LeCun et al. 1990, Hassibi and Stork 1993).
#[derive(Debug, Clone, Copy)]
pub struct ObsScore {
    /// `[inputs, units]`
    pub weights: Slot,
    /// See [`InputBlock`].
    pub factor: Slot,
    /// `[count, units]`, not negative; 0 of inputs that were never seen.
    pub score: Slot,
    /// Units.
    pub units: u32,
    /// Which inputs.
    pub block: InputBlock,
}

crate::uniform! {
    /// Uniform of [`ObsScore`].
    pub struct ObsScoreParams {
        /// Units.
        units: u32,
        /// First input of the block.
        first: u32,
        /// Inputs of the block.
        count: u32,
        /// Where its triangle begins in the factor.
        diagonal: u32,
    }
}

impl Kernel for ObsScore {
    const NAME: &'static str = "obs_score";
    const WGSL: &'static str = crate::wgsl!("obs_score.wgsl");
    const OPERANDS: &'static [Operand] = &[read("weights"), read("factor"), write("score")];
    type Params = ObsScoreParams;

    fn bind(&self) -> Vec<Bound> {
        let (block, units) = (self.block, u64::from(self.units));
        vec![
            self.weights.needs(block.end() * units),
            self.factor.needs(block.triangle_end()),
            self.score.needs(u64::from(block.count) * units),
        ]
    }

    fn params(&self) -> ObsScoreParams {
        let InputBlock { first, count, diagonal } = self.block;
        ObsScoreParams { units: self.units, first, count, diagonal }
    }

    fn grid(&self) -> [u32; 3] {
        [self.units.div_ceil(64), self.block.count, 1]
    }

    fn check(&self) -> Result<(), String> {
        self.block.check()
    }
}

/// Host reference of one block: `weights [count, units]` and its triangle `[count, count]`.
pub fn obs_score_reference(weights: &[f32], triangle: &[f32], count: usize) -> Vec<f64> {
    let units = weights.len() / count;
    let one = |(at, &w): (usize, &f32)| match triangle[at / units * (count + 1)] {
        root if root > 0.0 => f64::from(w.abs()) / f64::from(root),
        _ => 0.0,
    };
    weights.iter().enumerate().map(one).collect()
}
