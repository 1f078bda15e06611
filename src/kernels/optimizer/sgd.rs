//! `sgd`: gradient descent on one tensor, mask applied in the same pass.
use super::weights::{Weights, masked_reference, optimizer_operands, optimizer_wgsl};
use crate::gpu::{Bound, Kernel, Operand};
use crate::kernels::{Pruned, Step};

/// `w -= rate * (g + decay * w)`
#[derive(Debug, Clone, Copy)]
pub struct Sgd {
    /// The weights, and what moves them.
    pub on: Weights,
    /// Weight decay.
    pub decay: f32,
}

crate::uniform! {
    /// Uniform of [`Sgd`].
    pub struct SgdParams {
        /// Weights in the tensor.
        len: u32,
        /// Weight decay.
        decay: f32,
    }
}

impl Kernel for Sgd {
    const NAME: &'static str = "sgd";
    const WGSL: &'static str = optimizer_wgsl!("sgd.wgsl");
    const OPERANDS: &'static [Operand] = optimizer_operands!();
    type Params = SgdParams;

    fn bind(&self) -> Vec<Bound> {
        self.on.bind([])
    }

    fn params(&self) -> SgdParams {
        SgdParams { len: self.on.len, decay: self.decay }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.on.constants()
    }

    fn grid(&self) -> [u32; 3] {
        self.on.grid()
    }
}

/// Host reference: the new weights.
pub fn sgd_reference(
    (weights, gradient): (&[f32], &[f32]),
    mask: Option<(&[u32], Pruned)>,
    decay: f32,
    step: &Step,
) -> Vec<f64> {
    let [decay, rate] = [decay, step.learning_rate].map(f64::from);
    let moved = |[w]: [f64; 1], g| [w - rate * (g + decay * w)];
    masked_reference([weights], gradient, mask, moved).into_iter().map(|[w]| w).collect()
}
