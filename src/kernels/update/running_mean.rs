//! `running_mean`: the mean of gradients over several batches, one batch at a time.
use crate::kernels::{STEP_WORDS, Step};
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// `mean += share * (x - mean)`, where `share` is the step's; a share of 1 starts a new mean.
#[derive(Debug, Clone, Copy)]
pub struct RunningMean {
    /// What is averaged.
    pub x: Slot,
    /// [`Step`]
    pub step: Slot,
    /// The mean so far, updated in place.
    pub mean: Slot,
    /// Elements.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`RunningMean`].
    pub struct RunningMeanParams {
        /// Elements.
        len: u32,
    }
}

impl Kernel for RunningMean {
    const NAME: &'static str = "running_mean";
    const WGSL: &'static str =
        crate::wgsl!("common/grid.wgsl", "common/step.wgsl", "running_mean.wgsl");
    const OPERANDS: &'static [Operand] = &[read("x"), read("step"), write("mean")];
    type Params = RunningMeanParams;

    fn bind(&self) -> Vec<Bound> {
        let len = self.len.into();
        vec![self.x.needs(len), self.step.needs(STEP_WORDS.into()), self.mean.needs(len)]
    }

    fn params(&self) -> RunningMeanParams {
        RunningMeanParams { len: self.len }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

/// Host reference: the new mean.
pub fn running_mean_reference(x: &[f32], mean: &[f32], step: &Step) -> Vec<f64> {
    let share = f64::from(step.share);
    let one = |(&x, &mean): (&f32, &f32)| match step.share {
        1.0 => f64::from(x),
        _ => f64::from(mean) + share * (f64::from(x) - f64::from(mean)),
    };
    x.iter().zip(mean).map(one).collect()
}
