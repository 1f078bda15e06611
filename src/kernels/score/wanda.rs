//! `wanda`: weights by what they carry, magnitude times the length of their input.
use crate::kernels::Units;
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// `score[i, u] = |weights[i, u]| * sqrt(norm[i])` of input `i` and unit `u` (Sun et al. 2023, "A
/// Simple and Effective Pruning Approach for Large Language Models"), which compares the weights of
/// one output with each other; what is compared here is up to the selection.
#[derive(Debug, Clone, Copy)]
pub struct Wanda {
    /// The weights.
    pub weights: Slot,
    /// `[inputs]` sums of squares, see [`InputNorm`](crate::kernels::InputNorm).
    pub norm: Slot,
    /// One a weight, not negative.
    pub score: Slot,
    /// How they lie.
    pub of: Units,
}

crate::uniform! {
    /// Uniform of [`Wanda`].
    pub struct WandaParams {
        /// Inputs of the layer.
        inputs: u32,
        /// Outputs of the layer.
        units: u32,
    }
}

impl Kernel for Wanda {
    const NAME: &'static str = "wanda";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "common/units.wgsl", "wanda.wgsl");
    const OPERANDS: &'static [Operand] = &[read("weights"), read("norm"), write("score")];
    type Params = WandaParams;

    fn bind(&self) -> Vec<Bound> {
        let (len, inputs) = (self.of.len(), u64::from(self.of.inputs));
        vec![self.weights.needs(len), self.norm.needs(inputs), self.score.needs(len)]
    }

    fn params(&self) -> WandaParams {
        WandaParams { inputs: self.of.inputs, units: self.of.units }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.of.constants()
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(u32::try_from(self.of.len()).unwrap_or(u32::MAX))
    }

    fn check(&self) -> Result<(), String> {
        self.of.check()
    }
}

/// Host reference: the scores.
pub fn wanda_reference(weights: &[f32], norm: &[f32]) -> Vec<f64> {
    let columns = weights.len() / norm.len();
    let one = |(at, &w): (usize, &f32)| f64::from(w.abs()) * f64::from(norm[at / columns]).sqrt();
    weights.iter().enumerate().map(one).collect()
}
