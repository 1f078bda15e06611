//! RMSProp with momentum.
use serde::{Deserialize, Serialize};

use super::rule::{self, Rule, Update, share};
use crate::Result;
use crate::gpu::PlanBuilder;
use crate::kernels;
use crate::settings::steps;

steps! {
    const
    /// `s = decay * s + (1 - decay) * g^2`, `v = momentum * v + lr * g / sqrt(s + epsilon)`, then
    /// `w -= v`: TensorFlow's RMSProp, but that there `s` begins at 1 and here at 0.
    #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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

    fn push(&self, plan: &mut PlanBuilder, update: &Update) -> Result<()> {
        let &Self { decay, momentum, epsilon, .. } = self;
        let (on, l2) = (update.on(), update.decay);
        let [mean_square, velocity] = [update.slots[0], update.slots[1]];
        plan.push(kernels::RmsProp { on, mean_square, velocity, decay, momentum, epsilon, l2 })
    }
}
