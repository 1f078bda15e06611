//! `rmsprop`: RMSProp with momentum on one tensor, mask applied in the same pass.
use super::weights::{Weights, masked_reference, optimizer_operands, optimizer_wgsl};
use crate::gpu::{Bound, Kernel, Operand, Slot};
use crate::kernels::{Pruned, Step};

/// TensorFlow's `RMSPropOptimizer`: `s = decay * s + (1 - decay) * g^2`, `v = momentum * v + rate *
/// g / sqrt(s + epsilon)`, then `w -= v`. TensorFlow's `s` begins at 1, this one at 0 as all slots
/// do: the first steps are longer.
#[derive(Debug, Clone, Copy)]
pub struct RmsProp {
    /// The weights, and what moves them.
    pub on: Weights,
    /// Running means of squared gradients, updated in place.
    pub mean_square: Slot,
    /// Running sums of moves, updated in place.
    pub velocity: Slot,
    /// Share of the mean square that stays.
    pub decay: f32,
    /// Share of the velocity that stays.
    pub momentum: f32,
    /// Added inside the root.
    pub epsilon: f32,
    /// Coupled weight decay, which goes the way of the gradient.
    pub l2: f32,
}

crate::uniform! {
    /// Uniform of [`RmsProp`].
    pub struct RmsPropParams {
        /// Weights in the tensor.
        len: u32,
        /// Share of the mean square that stays.
        decay: f32,
        /// Share of the velocity that stays.
        momentum: f32,
        /// Added inside the root.
        epsilon: f32,
        /// Coupled weight decay, which goes the way of the gradient.
        l2: f32,
    }
}

impl Kernel for RmsProp {
    const NAME: &'static str = "rmsprop";
    const WGSL: &'static str = optimizer_wgsl!("rmsprop.wgsl");
    const OPERANDS: &'static [Operand] = optimizer_operands!(mean_square, velocity);
    type Params = RmsPropParams;

    fn bind(&self) -> Vec<Bound> {
        self.on.bind([self.mean_square, self.velocity])
    }

    fn params(&self) -> RmsPropParams {
        RmsPropParams {
            len: self.on.len,
            decay: self.decay,
            momentum: self.momentum,
            epsilon: self.epsilon,
            l2: self.l2,
        }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.on.constants()
    }

    fn grid(&self) -> [u32; 3] {
        self.on.grid()
    }
}

/// Host reference: the new weights, mean squares and velocities.
pub fn rmsprop_reference(
    (weights, gradient): (&[f32], &[f32]),
    (mean_square, velocity): (&[f32], &[f32]),
    mask: Option<(&[u32], Pruned)>,
    params: &RmsPropParams,
    step: &Step,
) -> Vec<[f64; 3]> {
    let [decay, momentum, epsilon] = [params.decay, params.momentum, params.epsilon].map(f64::from);
    let [l2, rate] = [params.l2, step.learning_rate].map(f64::from);
    masked_reference([weights, mean_square, velocity], gradient, mask, |[w, s, v], g| {
        let g = g + l2 * w;
        let s = decay * s + (1.0 - decay) * g * g;
        let v = momentum * v + rate * g / (s + epsilon).sqrt();
        [w - v, s, v]
    })
}
