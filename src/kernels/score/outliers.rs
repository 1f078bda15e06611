//! `outliers`: the sum of scores, and how many of them are above a threshold.
use crate::kernels::elementwise::column_sum::CHUNK;
use crate::gpu::{Bound, Kernel, Operand, Slot, read, write};

/// For each chunk of the scores their sum, an f32 by its bits, and how many are above the
/// threshold. The host adds them up by [`outliers_of`], so counts are exact however many scores
/// there are.
#[derive(Debug, Clone, Copy)]
pub struct Outliers {
    /// `[len]`, as [`Wanda`](crate::kernels::Wanda) leaves them.
    pub scores: Slot,
    /// One value. NaN is above none, and nothing is above NaN.
    pub threshold: Slot,
    /// `[chunks, 2]`, see [`chunks`](Self::chunks).
    pub partials: Slot,
    /// Scores.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`Outliers`].
    pub struct OutliersParams {
        /// Scores.
        len: u32,
    }
}

impl Outliers {
    /// Pairs of a sum and a count over `len` scores.
    pub fn chunks(len: u32) -> u32 {
        len.div_ceil(CHUNK)
    }
}

impl Kernel for Outliers {
    const NAME: &'static str = "outliers";
    const WGSL: &'static str = crate::wgsl!("outliers.wgsl");
    const OPERANDS: &'static [Operand] = &[read("scores"), read("threshold"), write("partials")];
    type Params = OutliersParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.scores.needs(self.len.into()),
            self.threshold.needs(1),
            self.partials.needs(2 * u64::from(Self::chunks(self.len))),
        ]
    }

    fn params(&self) -> OutliersParams {
        OutliersParams { len: self.len }
    }

    fn grid(&self) -> [u32; 3] {
        [Self::chunks(self.len), 1, 1]
    }
}

/// The sum and the count of all chunks of `partials`.
pub fn outliers_of(partials: &[u32]) -> (f64, u64) {
    let add = |(sum, count): (f64, u64), pair: &[u32]| {
        (sum + f64::from(f32::from_bits(pair[0])), count + u64::from(pair[1]))
    };
    partials.chunks_exact(2).fold((0.0, 0), add)
}

/// Host reference: the sum of the scores, and how many are above the threshold.
pub fn outliers_reference(scores: &[f32], threshold: f32) -> (f64, u64) {
    let sum = scores.iter().map(|&s| f64::from(s)).sum();
    (sum, scores.iter().filter(|&&s| s > threshold).count() as u64)
}
