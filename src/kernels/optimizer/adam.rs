//! `adam`: Adam and AdamW on one tensor, mask applied in the same pass.
use serde::{Deserialize, Serialize};

use super::rule::{self, Moved, Rule, share};
use super::weights::{Weights, masked_reference, optimizer_operands, optimizer_variants, optimizer_wgsl};
use crate::Result;
use crate::gpu::{Bound, Kernel, Operand, PlanBuilder, Slot, Variant};
use crate::kernels::{Pruned, Step};
use crate::settings::steps;

steps! {
    const
    /// Kingma and Ba 2015, algorithm 1.
    #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
        update: &Moved<'_>,
        decay: f32,
    ) -> Result<()> {
        let &Self { beta1, beta2, epsilon, epsilon_form, .. } = self;
        let (on, l2, form) = (update.on, update.decay, epsilon_form);
        let [first, second] = update.slots()?;
        update.push(plan, AdamUpdate { on, first, second, beta1, beta2, epsilon, form, decay, l2 })
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

    fn push(&self, plan: &mut PlanBuilder, update: &Moved<'_>) -> Result<()> {
        self.push_with(plan, update, 0.0)
    }
}

/// Adam with bias correction (Kingma and Ba 2015, algorithm 1); with `decay` it is AdamW
/// (Loshchilov and Hutter 2019), whose decay does not pass through the moments.
#[derive(Debug, Clone, Copy)]
pub struct AdamUpdate {
    /// The weights, and what moves them.
    pub on: Weights,
    /// First moments, updated in place.
    pub first: Slot,
    /// Second moments, updated in place.
    pub second: Slot,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root.
    pub epsilon: f32,
    /// Whether that is before or after the root's bias is corrected.
    pub form: EpsilonForm,
    /// Decoupled weight decay (AdamW); 0 is Adam.
    pub decay: f32,
    /// Coupled weight decay, which passes through the moments.
    pub l2: f32,
}

/// Where Adam adds its epsilon. The two differ in early steps, while `1 - beta2^t` is far below 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum EpsilonForm {
    /// To the corrected root, `m / c1 / (sqrt(v / c2) + epsilon)`: Kingma and Ba's algorithm 1, and
    /// PyTorch's.
    #[default]
    PyTorch,
    /// To the root as it is, `sqrt(c2) / c1 * m / (sqrt(v) + epsilon)`: TensorFlow's, the end of
    /// Kingma and Ba's section 2.
    TensorFlow,
}

crate::uniform! {
    /// Uniform of [`AdamUpdate`].
    pub struct AdamParams {
        /// Weights in the tensor.
        len: u32,
        /// Decay of the first moment.
        beta1: f32,
        /// Decay of the second moment.
        beta2: f32,
        /// Added to the root.
        epsilon: f32,
        /// Decoupled weight decay (AdamW); 0 is Adam.
        decay: f32,
        /// Coupled weight decay.
        l2: f32,
    }
}

impl Kernel for AdamUpdate {
    const NAME: &'static str = "adam";
    const WGSL: &'static str = optimizer_wgsl!("adam.wgsl");
    const VARIANTS: &'static [Variant] = optimizer_variants!("adam.wgsl");
    const OPERANDS: &'static [Operand] = optimizer_operands!(first, second);
    type Params = AdamParams;

    fn bind(&self) -> Vec<Bound> {
        self.on.bind([self.first, self.second])
    }

    fn params(&self) -> AdamParams {
        AdamParams {
            len: self.on.len,
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
            decay: self.decay,
            l2: self.l2,
        }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let mut constants = self.on.constants();
        if self.form == EpsilonForm::TensorFlow {
            constants.push(("TENSORFLOW", 1.0));
        }
        constants
    }

    fn grid(&self) -> [u32; 3] {
        self.on.grid()
    }
}

/// Host reference: the new weights, first and second moments.
pub fn adam_reference(
    (weights, gradient): (&[f32], &[f32]),
    (first, second): (&[f32], &[f32]),
    mask: Option<(&[u32], Pruned)>,
    (params, form): (&AdamParams, EpsilonForm),
    step: &Step,
) -> Vec<[f64; 3]> {
    let [beta1, beta2, epsilon] = [params.beta1, params.beta2, params.epsilon].map(f64::from);
    let [decay, l2] = [params.decay, params.l2].map(f64::from);
    let [rate, c1, c2] = [step.learning_rate, step.correction1, step.correction2].map(f64::from);
    masked_reference([weights, first, second], gradient, mask, |[w, m, v], g| {
        let g = g + l2 * w;
        let m = beta1 * m + (1.0 - beta1) * g;
        let v = beta2 * v + (1.0 - beta2) * g * g;
        let move_by = match form {
            EpsilonForm::PyTorch => m / c1 / ((v / c2).sqrt() + epsilon),
            EpsilonForm::TensorFlow => c2.sqrt() / c1 * m / (v.sqrt() + epsilon),
        };
        [w - rate * (move_by + decay * w), m, v]
    })
}
