//! Gradient descent with momentum.
use serde::{Deserialize, Serialize};

use super::rule::{Rule, Update, share, weight_decay};
use crate::Result;
use crate::gpu::PlanBuilder;
use crate::kernels;
use crate::settings::steps;

steps! {
    const
    /// `v = momentum * v + g + weight_decay * w`, then `w -= lr * v`.
    #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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

    fn validate(&self) -> Result<()> {
        share("momentum", self.momentum)?;
        weight_decay(self.weight_decay)
    }

    fn push(&self, plan: &mut PlanBuilder, update: &Update) -> Result<()> {
        plan.push(kernels::Momentum {
            on: update.on(),
            velocity: update.slots[0],
            momentum: self.momentum,
            decay: update.decay + update.decay_by(self.weight_decay),
            nesterov: self.nesterov,
        })
    }
}
