//! Adam.
use serde::{Deserialize, Serialize};

use super::rule::{self, Rule, Update, share};
use crate::Result;
use crate::gpu::PlanBuilder;
use crate::kernels::{self, EpsilonForm};
use crate::settings::steps;

steps! {
    const
    /// Kingma and Ba 2015, algorithm 1.
    #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Adam {
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
    }
}

pub(super) const fn beta1() -> f32 {
    0.9
}
pub(super) const fn beta2() -> f32 {
    0.999
}
pub(super) const fn epsilon() -> f32 {
    1e-8
}
pub(super) fn is_default(form: &EpsilonForm) -> bool {
    *form == EpsilonForm::default()
}

impl Adam {
    /// With the defaults of its paper.
    pub const fn new(lr: f32) -> Self {
        let epsilon_form = EpsilonForm::PyTorch;
        Self { lr, beta1: beta1(), beta2: beta2(), epsilon: epsilon(), epsilon_form }
    }

    /// Appends the kernel with a decoupled weight decay besides.
    pub(super) fn push_with(
        &self,
        plan: &mut PlanBuilder,
        update: &Update,
        decay: f32,
    ) -> Result<()> {
        let &Self { beta1, beta2, epsilon, epsilon_form, .. } = self;
        let (on, l2, form) = (update.on(), update.decay, epsilon_form);
        let [first, second] = [update.slots[0], update.slots[1]];
        plan.push(kernels::Adam { on, first, second, beta1, beta2, epsilon, form, decay, l2 })
    }
}

impl Rule for Adam {
    fn slots(&self) -> &'static [&'static str] {
        &["first", "second"]
    }

    fn validate(&self) -> Result<()> {
        share("beta1", self.beta1)?;
        share("beta2", self.beta2)?;
        rule::epsilon(self.epsilon)
    }

    fn corrections(&self, t: u64) -> [f32; 2] {
        // In f64: 1 - beta^t loses its digits in f32 for small t.
        [self.beta1, self.beta2].map(|beta| (1.0 - f64::from(beta).powf(t as f64)) as f32)
    }

    fn push(&self, plan: &mut PlanBuilder, update: &Update) -> Result<()> {
        self.push_with(plan, update, 0.0)
    }
}
