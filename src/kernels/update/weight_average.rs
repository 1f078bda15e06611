//! `weight_average`: an average of weights that forgets, at the step's own pace.
use crate::kernels::{STEP_WORDS, Step};
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// `average = decay * average + (1 - decay) * w`, where `decay` is [`Step::average_decay`]; 0
/// starts a new average.
#[derive(Debug, Clone, Copy)]
pub struct WeightAverage {
    /// What is averaged.
    pub weights: Slot,
    /// [`Step`]
    pub step: Slot,
    /// The average so far, updated in place.
    pub average: Slot,
    /// Elements.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`WeightAverage`].
    pub struct WeightAverageParams {
        /// Elements.
        len: u32,
    }
}

impl Kernel for WeightAverage {
    const NAME: &'static str = "weight_average";
    const WGSL: &'static str =
        crate::wgsl!("common/grid.wgsl", "common/step.wgsl", "weight_average.wgsl");
    const OPERANDS: &'static [Operand] = &[read("weights"), read("step"), write("average")];
    type Params = WeightAverageParams;

    fn bind(&self) -> Vec<Bound> {
        let len = self.len.into();
        vec![self.weights.needs(len), self.step.needs(STEP_WORDS.into()), self.average.needs(len)]
    }

    fn params(&self) -> WeightAverageParams {
        WeightAverageParams { len: self.len }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

/// Host reference: the new average.
pub fn weight_average_reference(weights: &[f32], average: &[f32], step: &Step) -> Vec<f64> {
    let decay = f64::from(step.average_decay);
    let one = |(&w, &average): (&f32, &f32)| match step.average_decay {
        0.0 => f64::from(w),
        _ => decay * f64::from(average) + (1.0 - decay) * f64::from(w),
    };
    weights.iter().zip(average).map(one).collect()
}
