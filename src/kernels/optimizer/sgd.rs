//! `sgd`: gradient descent on one tensor, mask applied in the same pass.
use serde::{Deserialize, Serialize};

use super::rule::{Moved, Rule, weight_decay};
use super::weights::{Weights, masked_reference, optimizer_operands, optimizer_variants, optimizer_wgsl};
use crate::Result;
use crate::gpu::{Bound, Kernel, Operand, PlanBuilder, Variant};
use crate::kernels::{Pruned, Step};
use crate::settings::steps;

steps! {
    const
    /// `w -= lr * (g + weight_decay * w)`
    #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(deny_unknown_fields)]
    pub struct Sgd {
        /// Learning rate.
        pub lr: f32,
        /// Weight decay.
        #[serde(default)]
        pub weight_decay: f32,
    }
}

impl Sgd {
    /// Without weight decay.
    pub const fn new(lr: f32) -> Self {
        Self { lr, weight_decay: 0.0 }
    }
}

impl Rule for Sgd {
    fn weight_decay(&self) -> f32 {
        self.weight_decay
    }

    fn validate(&self) -> Result<()> {
        weight_decay(self.weight_decay)
    }

    fn push(&self, plan: &mut PlanBuilder, update: &Moved<'_>) -> Result<()> {
        let decay = update.decay + update.decay_by(self.weight_decay);
        update.push(plan, SgdUpdate { on: update.on, decay })
    }
}

/// `w -= rate * (g + decay * w)`
#[derive(Debug, Clone, Copy)]
pub struct SgdUpdate {
    /// The weights, and what moves them.
    pub on: Weights,
    /// Weight decay.
    pub decay: f32,
}

crate::uniform! {
    /// Uniform of [`SgdUpdate`].
    pub struct SgdParams {
        /// Weights in the tensor.
        len: u32,
        /// Weight decay.
        decay: f32,
    }
}

impl Kernel for SgdUpdate {
    const NAME: &'static str = "sgd";
    const WGSL: &'static str = optimizer_wgsl!("sgd.wgsl");
    const VARIANTS: &'static [Variant] = optimizer_variants!("sgd.wgsl");
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
