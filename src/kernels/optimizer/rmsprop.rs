//! `rmsprop`: RMSProp with momentum on one tensor, mask applied in the same pass.
use serde::{Deserialize, Serialize};

use super::rule::{self, Moved, Rule, share};
use super::weights::{Weights, masked_reference, optimizer_operands, optimizer_variants, optimizer_wgsl};
use crate::Result;
use crate::gpu::{Bound, Kernel, Operand, PlanBuilder, Slot, Variant};
use crate::kernels::{Pruned, Step};
use crate::settings::steps;

steps! {
    const
    /// `s = decay * s + (1 - decay) * g^2`, `v = momentum * v + lr * g / sqrt(s + epsilon)`, then
    /// `w -= v`: TensorFlow's RMSProp, but that there `s` begins at 1 and here at 0.
    #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(deny_unknown_fields)]
    pub struct RmsProp {
        /// Learning rate.
        pub lr: f32,
        /// Share of the mean square that stays.
        #[serde(default = "decay")]
        pub decay: f32,
        /// Share of the velocity that stays.
        #[serde(default)]
        pub momentum: f32,
        /// Added inside the root.
        #[serde(default = "epsilon")]
        pub epsilon: f32,
    }
}

const fn decay() -> f32 {
    0.9
}
const fn epsilon() -> f32 {
    1e-10
}

impl RmsProp {
    /// With TensorFlow's defaults.
    pub const fn new(lr: f32) -> Self {
        Self { lr, decay: decay(), momentum: 0.0, epsilon: epsilon() }
    }
}

impl Rule for RmsProp {
    fn slots(&self) -> &'static [&'static str] {
        &["mean_square", "momentum"]
    }

    fn validate(&self) -> Result<()> {
        share("decay", self.decay)?;
        share("momentum", self.momentum)?;
        rule::epsilon(self.epsilon)
    }

    fn push(&self, plan: &mut PlanBuilder, update: &Moved<'_>) -> Result<()> {
        let &Self { decay, momentum, epsilon, .. } = self;
        let (on, l2) = (update.on, update.decay);
        let [mean_square, velocity] = update.slots()?;
        update.push(plan, RmsPropUpdate { on, mean_square, velocity, decay, momentum, epsilon, l2 })
    }
}

/// TensorFlow's `RMSPropOptimizer`: `s = decay * s + (1 - decay) * g^2`, `v = momentum * v + rate *
/// g / sqrt(s + epsilon)`, then `w -= v`. TensorFlow's `s` begins at 1, this one at 0 as all slots
/// do: the first steps are longer.
#[derive(Debug, Clone, Copy)]
pub struct RmsPropUpdate {
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
    /// Uniform of [`RmsPropUpdate`].
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

impl Kernel for RmsPropUpdate {
    const NAME: &'static str = "rmsprop";
    const WGSL: &'static str = optimizer_wgsl!("rmsprop.wgsl");
    const VARIANTS: &'static [Variant] = optimizer_variants!("rmsprop.wgsl");
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
