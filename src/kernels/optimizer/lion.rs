//! `lion`: Lion on one tensor, mask applied in the same pass.
use serde::{Deserialize, Serialize};

use super::adam::beta1;
use super::rule::{self, Moved, Rule, share};
use super::weights::{Weights, masked_reference, optimizer_operands, optimizer_variants, optimizer_wgsl};
use crate::Result;
use crate::gpu::{Bound, Kernel, Operand, PlanBuilder, Slot, Variant};
use crate::kernels::{Pruned, Step};
use crate::settings::steps;

steps! {
    const
    /// `w -= lr * (sign(beta1 * m + (1 - beta1) * g) + weight_decay * w)`, then
    /// `m = beta2 * m + (1 - beta2) * g`: Chen et al. 2023.
    #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(deny_unknown_fields)]
    pub struct Lion {
        /// Learning rate.
        pub lr: f32,
        /// Share of the mean in the direction.
        #[serde(default = "beta1")]
        pub beta1: f32,
        /// Share of the mean that stays.
        #[serde(default = "beta2")]
        pub beta2: f32,
        /// Weight decay, times the learning rate.
        #[serde(default)]
        pub weight_decay: f32,
    }
}

const fn beta2() -> f32 {
    0.99
}

impl Lion {
    /// With the defaults of its paper, without weight decay.
    pub const fn new(lr: f32) -> Self {
        Self { lr, beta1: beta1(), beta2: beta2(), weight_decay: 0.0 }
    }
}

impl Rule for Lion {
    fn slots(&self) -> &'static [&'static str] {
        &["first"]
    }

    fn weight_decay(&self) -> f32 {
        self.weight_decay
    }

    fn validate(&self) -> Result<()> {
        share("beta1", self.beta1)?;
        share("beta2", self.beta2)?;
        rule::weight_decay(self.weight_decay)
    }

    fn push(&self, plan: &mut PlanBuilder, update: &Moved<'_>) -> Result<()> {
        let &Self { beta1, beta2, .. } = self;
        let decay = update.decay_by(self.weight_decay);
        let (on, [first], l2) = (update.on, update.slots()?, update.decay);
        update.push(plan, LionUpdate { on, first, beta1, beta2, decay, l2 })
    }
}

/// Chen et al. 2023, algorithm 2: `w -= rate * (sign(beta1 * m + (1 - beta1) * g) + decay * w)`,
/// then `m = beta2 * m + (1 - beta2) * g`.
#[derive(Debug, Clone, Copy)]
pub struct LionUpdate {
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
    /// Uniform of [`LionUpdate`].
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

impl Kernel for LionUpdate {
    const NAME: &'static str = "lion";
    const WGSL: &'static str = optimizer_wgsl!("lion.wgsl");
    const VARIANTS: &'static [Variant] = optimizer_variants!("lion.wgsl");
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
