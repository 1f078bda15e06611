//! `moving_average`: an average that forgets, of running statistics and of weights.
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// `average = decay * average + (1 - decay) * x`, the rounding of one difference.
#[derive(Debug, Clone, Copy)]
pub struct MovingAverage {
    /// What is averaged.
    pub x: Slot,
    /// The average so far.
    pub average: Slot,
    /// Elements.
    pub len: u32,
    /// Share of the average that stays, 0 to 1.
    pub decay: f32,
}

crate::uniform! {
    /// Uniform of [`MovingAverage`].
    pub struct MovingAverageParams {
        /// Elements.
        len: u32,
        /// `1 - decay`
        share: f32,
    }
}

impl Kernel for MovingAverage {
    const NAME: &'static str = "moving_average";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "moving_average.wgsl");
    const OPERANDS: &'static [Operand] = &[read("x"), write("average")];
    type Params = MovingAverageParams;

    fn bind(&self) -> Vec<Bound> {
        [self.x, self.average].map(|s| s.needs(self.len.into())).to_vec()
    }

    fn params(&self) -> MovingAverageParams {
        MovingAverageParams { len: self.len, share: 1.0 - self.decay }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

/// Host reference.
pub fn moving_average_reference(x: &[f64], average: &[f64], decay: f32) -> Vec<f64> {
    let share = f64::from(1.0 - decay);
    x.iter().zip(average).map(|(x, a)| a + share * (x - a)).collect()
}
