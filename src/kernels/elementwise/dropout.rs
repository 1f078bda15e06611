//! `dropout`: elements left out at random, and the others scaled so that the mean stays.
use super::random::{random_bits, stream_seed};
use crate::kernels::{STEP_WORDS, Step};
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// `out = x / (1 - rate)` with the chance `1 - rate`, else 0 (Srivastava et al. 2014). What is left
/// out is a function of [`Step::noise`], `stream` and index, so a gradient goes through the same
/// elements.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    /// Input, or the gradient of the result.
    pub x: Slot,
    /// [`Step`]
    pub step: Slot,
    /// Result, or the gradient of the input.
    pub out: Slot,
    /// Elements.
    pub len: u32,
    /// Tells the layers of a network apart.
    pub stream: u32,
    /// Chance to be left out, at least 0 and below 1, in steps of 2^-24.
    pub rate: f32,
}

crate::uniform! {
    /// Uniform of [`Dropout`].
    pub struct DropoutParams {
        /// Elements.
        len: u32,
        /// Tells the layers of a network apart.
        stream: u32,
        /// Of 2^24 random numbers those below this leave an element out.
        dropped: u32,
        /// What the others are multiplied with.
        scale: f32,
    }
}

fn dropped(rate: f32) -> u32 {
    (f64::from(rate) * f64::from(1 << 24)).round() as u32
}

impl Kernel for Dropout {
    const NAME: &'static str = "dropout";
    const WGSL: &'static str =
        crate::wgsl!("common/grid.wgsl", "common/random.wgsl", "common/step.wgsl", "dropout.wgsl");
    const OPERANDS: &'static [Operand] = &[read("x"), read("step"), write("out")];
    type Params = DropoutParams;

    fn bind(&self) -> Vec<Bound> {
        let len = u64::from(self.len);
        vec![self.x.needs(len), self.step.needs(STEP_WORDS.into()), self.out.needs(len)]
    }

    fn params(&self) -> DropoutParams {
        let (len, stream, dropped) = (self.len, self.stream, dropped(self.rate));
        DropoutParams { len, stream, dropped, scale: 1.0 / (1.0 - self.rate) }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }

    fn check(&self) -> Result<(), String> {
        match (0.0..1.0).contains(&self.rate) {
            true => Ok(()),
            false => Err(format!("rate {} must be at least 0 and below 1", self.rate)),
        }
    }
}

/// Host reference.
pub fn dropout_reference(x: &[f64], step: &Step, stream: u32, rate: f32) -> Vec<f64> {
    let seed = stream_seed(step.noise, stream);
    let kept = |i: usize| random_bits(seed, i as u32) >> 8 >= dropped(rate);
    let one = |(i, x): (usize, &f64)| if kept(i) { x / (1.0 - f64::from(rate)) } else { 0.0 };
    x.iter().enumerate().map(one).collect()
}
