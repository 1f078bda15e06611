//! `lion`: Lion on one tensor, mask applied in the same pass.
use super::weights::{Weights, masked_reference, optimizer_operands, optimizer_wgsl};
use crate::gpu::{Bound, Kernel, Operand, Slot};
use crate::kernels::{Pruned, Step};

/// Chen et al. 2023, algorithm 2: `w -= rate * (sign(beta1 * m + (1 - beta1) * g) + decay * w)`,
/// then `m = beta2 * m + (1 - beta2) * g`.
#[derive(Debug, Clone, Copy)]
pub struct Lion {
    /// The weights, and what moves them.
    pub on: Weights,
    /// Running means of gradients, updated in place.
    pub first: Slot,
    /// Share of the mean in the direction.
    pub beta1: f32,
    /// Share of the mean that stays.
    pub beta2: f32,
    /// Decoupled weight decay.
    pub decay: f32,
    /// Coupled weight decay, which goes the way of the gradient.
    pub l2: f32,
}

crate::uniform! {
    /// Uniform of [`Lion`].
    pub struct LionParams {
        /// Weights in the tensor.
        len: u32,
        /// Share of the mean in the direction.
        beta1: f32,
        /// Share of the mean that stays.
        beta2: f32,
        /// Decoupled weight decay.
        decay: f32,
        /// Coupled weight decay, which goes the way of the gradient.
        l2: f32,
    }
}

impl Kernel for Lion {
    const NAME: &'static str = "lion";
    const WGSL: &'static str = optimizer_wgsl!("lion.wgsl");
    const OPERANDS: &'static [Operand] = optimizer_operands!(first);
    type Params = LionParams;

    fn bind(&self) -> Vec<Bound> {
        self.on.bind([self.first])
    }

    fn params(&self) -> LionParams {
        LionParams {
            len: self.on.len,
            beta1: self.beta1,
            beta2: self.beta2,
            decay: self.decay,
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

/// Host reference: the new weights and means.
pub fn lion_reference(
    (weights, gradient, first): (&[f32], &[f32], &[f32]),
    mask: Option<(&[u32], Pruned)>,
    params: &LionParams,
    step: &Step,
) -> Vec<[f64; 2]> {
    let [beta1, beta2, decay] = [params.beta1, params.beta2, params.decay].map(f64::from);
    let [l2, rate] = [params.l2, step.learning_rate].map(f64::from);
    masked_reference([weights, first], gradient, mask, |[w, m], g| {
        let g = g + l2 * w;
        let towards = beta1 * m + (1.0 - beta1) * g;
        let sign = if towards == 0.0 { 0.0 } else { towards.signum() };
        [w - rate * (sign + decay * w), beta2 * m + (1.0 - beta2) * g]
    })
}
