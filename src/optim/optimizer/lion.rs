//! Lion.
use serde::{Deserialize, Serialize};

use super::adam::beta1;
use super::rule::{self, Rule, Update, share};
use crate::Result;
use crate::gpu::PlanBuilder;
use crate::kernels;
use crate::settings::steps;

steps! {
    const
    /// `w -= lr * (sign(beta1 * m + (1 - beta1) * g) + weight_decay * w)`, then `m = beta2 * m + (1
    /// - beta2) * g`: Chen et al. 2023.
    #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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

    fn validate(&self) -> Result<()> {
        share("beta1", self.beta1)?;
        share("beta2", self.beta2)?;
        rule::weight_decay(self.weight_decay)
    }

    fn push(&self, plan: &mut PlanBuilder, update: &Update) -> Result<()> {
        let &Self { beta1, beta2, .. } = self;
        let decay = update.decay_by(self.weight_decay);
        let (on, first, l2) = (update.on(), update.slots[0], update.decay);
        plan.push(kernels::Lion { on, first, beta1, beta2, decay, l2 })
    }
}
