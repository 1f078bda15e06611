//! Adagrad.
use serde::{Deserialize, Serialize};

use super::check;
use super::rule::{Rule, Update};
use crate::Result;
use crate::gpu::PlanBuilder;
use crate::kernels;
use crate::settings::steps;

steps! {
    const
    /// `s += g^2`, then `w -= lr * g / (sqrt(initial + s) + epsilon)`: Duchi et al. 2011, as
    /// TensorFlow has it.
    #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Adagrad {
        /// Learning rate.
        pub lr: f32,
        /// What the sum of squares begins at.
        #[serde(default = "initial")]
        pub initial: f32,
        /// Added to the root.
        #[serde(default)]
        pub epsilon: f32,
    }
}

const fn initial() -> f32 {
    0.1
}

impl Adagrad {
    /// With TensorFlow's defaults.
    pub const fn new(lr: f32) -> Self {
        Self { lr, initial: initial(), epsilon: 0.0 }
    }
}

impl Rule for Adagrad {
    fn slots(&self) -> &'static [&'static str] {
        &["squares"]
    }

    fn validate(&self) -> Result<()> {
        let &Self { initial, epsilon, .. } = self;
        check("initial", initial, initial.is_finite() && initial >= 0.0, "at least 0")?;
        // A gradient of 0 would be divided by 0.
        let ok = epsilon.is_finite() && epsilon >= 0.0 && initial + epsilon > 0.0;
        check("epsilon", epsilon, ok, "at least 0, and above 0 where `initial` is 0")
    }

    fn push(&self, plan: &mut PlanBuilder, update: &Update) -> Result<()> {
        let &Self { initial, epsilon, .. } = self;
        let (on, squares, l2) = (update.on(), update.slots[0], update.decay);
        plan.push(kernels::Adagrad { on, squares, initial, epsilon, l2 })
    }
}
