//! Gradient descent.
use serde::{Deserialize, Serialize};

use super::rule::{Rule, Update, weight_decay};
use crate::Result;
use crate::gpu::PlanBuilder;
use crate::kernels;
use crate::settings::steps;

steps! {
    const
    /// `w -= lr * (g + weight_decay * w)`
    #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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
    fn validate(&self) -> Result<()> {
        weight_decay(self.weight_decay)
    }

    fn push(&self, plan: &mut PlanBuilder, update: &Update) -> Result<()> {
        let decay = update.decay + update.decay_by(self.weight_decay);
        plan.push(kernels::Sgd { on: update.on(), decay })
    }
}
