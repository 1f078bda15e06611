//! `momentum`: gradient descent with momentum on one tensor, mask applied in the same pass.
use crate::kernels::{Pruned, STEP_WORDS, Step, bit};
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// `v = momentum * v + g + decay * w`, then `w -= rate * v`
#[derive(Debug, Clone, Copy)]
pub struct Momentum {
    /// Gradient of the weights.
    pub gradient: Slot,
    /// One bit per weight, and what becomes of the pruned ones.
    pub mask: Option<(Slot, Pruned)>,
    /// [`Step`]
    pub step: Slot,
    /// Weights, updated in place.
    pub weights: Slot,
    /// Running sum of gradients, updated in place.
    pub velocity: Slot,
    /// Weights in the tensor.
    pub len: u32,
    /// Share of the velocity that stays.
    pub momentum: f32,
    /// Weight decay.
    pub decay: f32,
    /// Nesterov's form.
    pub nesterov: bool,
}

crate::uniform! {
    /// Uniform of [`Momentum`].
    pub struct MomentumParams {
        /// Weights in the tensor.
        len: u32,
        /// Share of the velocity that stays.
        momentum: f32,
        /// Weight decay.
        decay: f32,
    }
}

impl Kernel for Momentum {
    const NAME: &'static str = "momentum";
    const WGSL: &'static str = crate::wgsl!(
        "common/grid.wgsl",
        "common/bits.wgsl",
        "common/step.wgsl",
        "common/pruned.wgsl",
        "momentum.wgsl"
    );
    const OPERANDS: &'static [Operand] =
        &[read("gradient"), read("mask"), read("step"), write("weights"), write("velocity")];
    type Params = MomentumParams;

    fn bind(&self) -> Vec<Bound> {
        let len = u64::from(self.len);
        let mut bound = vec![
            self.gradient.needs(len),
            self.mask.map_or(Bound::NONE, |(s, _)| s.needs(len.div_ceil(32))),
            self.step.needs(STEP_WORDS.into()),
        ];
        bound.extend([self.weights, self.velocity].map(|s| s.needs(len)));
        bound
    }

    fn params(&self) -> MomentumParams {
        MomentumParams { len: self.len, momentum: self.momentum, decay: self.decay }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let mut constants = vec![("PRUNED", Pruned::code(self.mask.map(|(_, mode)| mode)))];
        if self.nesterov {
            constants.push(("NESTEROV", 1.0));
        }
        constants
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

/// Host reference: the new weights and velocities.
pub fn momentum_reference(
    (weights, gradient, velocity): (&[f32], &[f32], &[f32]),
    mask: Option<(&[u32], Pruned)>,
    (momentum, decay, nesterov): (f32, f32, bool),
    step: &Step,
) -> Vec<[f64; 2]> {
    let [momentum, decay, rate] = [momentum, decay, step.learning_rate].map(f64::from);
    let one = |i: usize| {
        let [w, mut g, v] = [weights[i], gradient[i], velocity[i]].map(f64::from);
        match mask {
            Some((words, Pruned::Zero)) if !bit(words, i) => return [0.0; 2],
            Some((words, Pruned::Freeze)) if !bit(words, i) => return [w, v],
            Some((words, Pruned::Revive)) if !bit(words, i) => g = 0.0,
            _ => {}
        }
        g += decay * w;
        let v = momentum * v + g;
        [w - rate * if nesterov { g + momentum * v } else { v }, v]
    };
    (0..weights.len()).map(one).collect()
}
