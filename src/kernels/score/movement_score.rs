//! `movement_score`: signed numbers as scores that rank by magnitude, lowest first.
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// A score that is not negative and orders as the signed `movement` does.
///
/// It is half the number of floats below the movement, as bits, and a quantity in no other way. The
/// half costs one bit: neighbouring floats may tie, among them -0 and 0, and each infinity with the
/// largest finite number of its sign. Infinity is the highest score (`0x7f800000`), minus infinity
/// is 0; NaN stays NaN.
#[derive(Debug, Clone, Copy)]
pub struct MovementScore {
    /// `[len]`, see [`Movement`](crate::kernels::Movement).
    pub movement: Slot,
    /// `[len]`
    pub score: Slot,
    /// Weights.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`MovementScore`].
    pub struct MovementScoreParams {
        /// Weights.
        len: u32,
    }
}

impl Kernel for MovementScore {
    const NAME: &'static str = "movement_score";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "movement_score.wgsl");
    const OPERANDS: &'static [Operand] = &[read("movement"), write("score")];
    type Params = MovementScoreParams;

    fn bind(&self) -> Vec<Bound> {
        [self.movement, self.score].map(|s| s.needs(self.len.into())).into()
    }

    fn params(&self) -> MovementScoreParams {
        MovementScoreParams { len: self.len }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

/// The lower of the two movements that have the score of these bits: what a threshold means.
pub fn movement_of_score(score: u32) -> f32 {
    const LOWEST: u32 = 0x007f_ffff;
    if score > 0x7f80_0000 {
        return f32::from_bits(score);
    }
    let order = (score << 1) + LOWEST;
    f32::from_bits(if order >> 31 == 1 { order ^ (1 << 31) } else { !order })
}

/// Host reference: the scores' bits.
///
/// Counted from the middle: a float of magnitude bits `m` is the `m`-th one above 0 or below -0,
/// and minus infinity, the first, is `0x7f800000` below -0.
pub fn movement_score_reference(movement: &[f32]) -> Vec<u32> {
    let one = |&x: &f32| {
        let magnitude = i64::from(x.abs().to_bits());
        let below = match x {
            _ if x.is_nan() => return x.abs().to_bits(),
            _ if x.is_sign_negative() => 0x7f80_0000 - magnitude,
            _ => 0x7f80_0001 + magnitude,
        };
        (below / 2) as u32
    };
    movement.iter().map(one).collect()
}
