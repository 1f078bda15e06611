//! Adam with decoupled weight decay.
use serde::{Deserialize, Serialize};

use super::adam::{Adam, beta1, beta2, epsilon, is_default};
use super::rule::{self, Moved, Rule};
use crate::Result;
use crate::gpu::PlanBuilder;
use crate::kernels::EpsilonForm;
use crate::settings::steps;

steps! {
    const
    /// Adam with decoupled weight decay, Loshchilov and Hutter 2019.
    #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(deny_unknown_fields)]
    pub struct AdamW {
        /// Learning rate.
        pub lr: f32,
        /// Decay of the first moment.
        #[serde(default = "beta1")]
        pub beta1: f32,
        /// Decay of the second moment.
        #[serde(default = "beta2")]
        pub beta2: f32,
        /// Added to the root of the second moment.
        #[serde(default = "epsilon")]
        pub epsilon: f32,
        /// Whether that is before or after the root's bias is corrected.
        #[serde(default, skip_serializing_if = "is_default")]
        pub epsilon_form: EpsilonForm,
        /// Weight decay, times the learning rate.
        #[serde(default = "decay")]
        pub weight_decay: f32,
    }
}

const fn decay() -> f32 {
    0.01
}

impl AdamW {
    /// With Adam's defaults and a weight decay of 0.01.
    pub const fn new(lr: f32) -> Self {
        let Adam { beta1, beta2, epsilon, epsilon_form, .. } = Adam::new(lr);
        Self { lr, beta1, beta2, epsilon, epsilon_form, weight_decay: decay() }
    }

    /// The same without the decay.
    fn adam(&self) -> Adam {
        let &Self { lr, beta1, beta2, epsilon, epsilon_form, .. } = self;
        Adam { lr, beta1, beta2, epsilon, epsilon_form }
    }
}

impl Rule for AdamW {
    fn slots(&self) -> &'static [&'static str] {
        self.adam().slots()
    }

    fn weight_decay(&self) -> f32 {
        self.weight_decay
    }

    fn validate(&self) -> Result<()> {
        self.adam().validate()?;
        rule::weight_decay(self.weight_decay)
    }

    fn corrections(&self, t: u64) -> [f32; 2] {
        self.adam().corrections(t)
    }

    fn push(&self, plan: &mut PlanBuilder, update: &Moved<'_>) -> Result<()> {
        self.adam().push_with(plan, update, update.decay_by(self.weight_decay))
    }
}
