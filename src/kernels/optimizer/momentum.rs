//! `momentum`: gradient descent with momentum on one tensor, mask applied in the same pass.
use serde::{Deserialize, Serialize};

use super::rule::{Moved, Rule, share, weight_decay};
use super::weights::{Weights, masked_reference, optimizer_operands, optimizer_variants, optimizer_wgsl};
use crate::Result;
use crate::gpu::{Bound, Kernel, Operand, PlanBuilder, Slot, Variant};
use crate::kernels::{Pruned, Step};
use crate::settings::steps;

steps! {
    const
    /// `v = momentum * v + g + weight_decay * w`, then `w -= lr * v`.
    #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(deny_unknown_fields)]
    pub struct Momentum {
        /// Learning rate.
        pub lr: f32,
        /// Share of the velocity that stays.
        #[serde(default = "momentum")]
        pub momentum: f32,
        /// Nesterov's form.
        #[serde(default)]
        pub nesterov: bool,
        /// Weight decay.
        #[serde(default)]
        pub weight_decay: f32,
    }
}

const fn momentum() -> f32 {
    0.9
}

impl Momentum {
    /// With a momentum of 0.9, without weight decay.
    pub const fn new(lr: f32) -> Self {
        Self { lr, momentum: momentum(), nesterov: false, weight_decay: 0.0 }
    }
}

impl Rule for Momentum {
    fn slots(&self) -> &'static [&'static str] {
        &["velocity"]
    }

    fn weight_decay(&self) -> f32 {
        self.weight_decay
    }

    fn validate(&self) -> Result<()> {
        share("momentum", self.momentum)?;
        weight_decay(self.weight_decay)
    }

    fn push(&self, plan: &mut PlanBuilder, update: &Moved<'_>) -> Result<()> {
        let [velocity] = update.slots()?;
        update.push(plan, MomentumUpdate {
            on: update.on,
            velocity,
            momentum: self.momentum,
            decay: update.decay + update.decay_by(self.weight_decay),
            nesterov: self.nesterov,
        })
    }
}

/// `v = momentum * v + g + decay * w`, then `w -= rate * v`
#[derive(Debug, Clone, Copy)]
pub struct MomentumUpdate {
    /// The weights, and what moves them.
    pub on: Weights,
    /// Running sum of gradients, updated in place.
    pub velocity: Slot,
    /// Share of the velocity that stays.
    pub momentum: f32,
    /// Weight decay.
    pub decay: f32,
    /// Nesterov's form.
    pub nesterov: bool,
}

crate::uniform! {
    /// Uniform of [`MomentumUpdate`].
    pub struct MomentumParams {
        /// Weights in the tensor.
        len: u32,
        /// Share of the velocity that stays.
        momentum: f32,
        /// Weight decay.
        decay: f32,
    }
}

impl Kernel for MomentumUpdate {
    const NAME: &'static str = "momentum";
    const WGSL: &'static str = optimizer_wgsl!("momentum.wgsl");
    const VARIANTS: &'static [Variant] = optimizer_variants!("momentum.wgsl");
    const OPERANDS: &'static [Operand] = optimizer_operands!(velocity);
    type Params = MomentumParams;

    fn bind(&self) -> Vec<Bound> {
        self.on.bind([self.velocity])
    }

    fn params(&self) -> MomentumParams {
        MomentumParams { len: self.on.len, momentum: self.momentum, decay: self.decay }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let mut constants = self.on.constants();
        if self.nesterov {
            constants.push(("NESTEROV", 1.0));
        }
        constants
    }

    fn grid(&self) -> [u32; 3] {
        self.on.grid()
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
    masked_reference([weights, velocity], gradient, mask, |[w, v], g| {
        let g = g + decay * w;
        let v = momentum * v + g;
        [w - rate * if nesterov { g + momentum * v } else { v }, v]
    })
}
