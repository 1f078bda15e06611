//! `adagrad`: Adagrad on one tensor, mask applied in the same pass.
use serde::{Deserialize, Serialize};

use super::rule::{Moved, Rule};
use super::weights::{Weights, masked_reference, optimizer_operands, optimizer_variants, optimizer_wgsl};
use crate::Result;
use crate::error::check;
use crate::gpu::{Bound, Kernel, Operand, PlanBuilder, Slot, Variant};
use crate::kernels::{Pruned, Step};
use crate::settings::steps;

steps! {
    const
    /// `s += g^2`, then `w -= lr * g / (sqrt(initial + s) + epsilon)`: Duchi et al. 2011, as
    /// TensorFlow has it.
    #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

    fn push(&self, plan: &mut PlanBuilder, update: &Moved<'_>) -> Result<()> {
        let &Self { initial, epsilon, .. } = self;
        let (on, [squares], l2) = (update.on, update.slots()?, update.decay);
        update.push(plan, AdagradUpdate { on, squares, initial, epsilon, l2 })
    }
}

/// Duchi et al. 2011: `s += g^2`, `w -= rate * g / (sqrt(initial + s) + epsilon)`. TensorFlow's
/// accumulator is `initial + s`; here `s` is kept, so that it begins at 0 as all slots do.
#[derive(Debug, Clone, Copy)]
pub struct AdagradUpdate {
    /// The weights, and what moves them.
    pub on: Weights,
    /// Sums of squared gradients, updated in place.
    pub squares: Slot,
    /// Added to the sum of squares.
    pub initial: f32,
    /// Added to the root.
    pub epsilon: f32,
    /// Coupled weight decay, which goes the way of the gradient.
    pub l2: f32,
}

crate::uniform! {
    /// Uniform of [`AdagradUpdate`].
    pub struct AdagradParams {
        /// Weights in the tensor.
        len: u32,
        /// Added to the sum of squares.
        initial: f32,
        /// Added to the root.
        epsilon: f32,
        /// Coupled weight decay, which goes the way of the gradient.
        l2: f32,
    }
}

impl Kernel for AdagradUpdate {
    const NAME: &'static str = "adagrad";
    const WGSL: &'static str = optimizer_wgsl!("adagrad.wgsl");
    const VARIANTS: &'static [Variant] = optimizer_variants!("adagrad.wgsl");
    const OPERANDS: &'static [Operand] = optimizer_operands!(squares);
    type Params = AdagradParams;

    fn bind(&self) -> Vec<Bound> {
        self.on.bind([self.squares])
    }

    fn params(&self) -> AdagradParams {
        AdagradParams { len: self.on.len, initial: self.initial, epsilon: self.epsilon, l2: self.l2 }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.on.constants()
    }

    fn grid(&self) -> [u32; 3] {
        self.on.grid()
    }
}

/// Host reference: the new weights and sums of squares.
pub fn adagrad_reference(
    (weights, gradient, squares): (&[f32], &[f32], &[f32]),
    mask: Option<(&[u32], Pruned)>,
    params: &AdagradParams,
    step: &Step,
) -> Vec<[f64; 2]> {
    let [initial, epsilon, l2, rate] =
        [params.initial, params.epsilon, params.l2, step.learning_rate].map(f64::from);
    masked_reference([weights, squares], gradient, mask, |[w, s], g| {
        let g = g + l2 * w;
        let s = s + g * g;
        [w - rate * g / ((initial + s).sqrt() + epsilon), s]
    })
}
