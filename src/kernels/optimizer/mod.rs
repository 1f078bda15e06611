//! Optimizers. Each updates a parameter with one fused kernel, or on a GPU several of them; each is
//! a file here, with settings, kernel and reference, and a line in the list below.
mod rule;
mod together;
mod weights;

use serde::{Deserialize, Serialize};

use super::kernels;
pub(crate) use rule::Moved;
use rule::Rule;
use together::Together;
pub use weights::Weights;

use crate::error::check;
use crate::gpu::PlanBuilder;
use crate::kernels::Step;
use crate::{Error, Result};

/// Declares [`Optimizer`] with a variant for each file, which is called as recipes call the
/// optimizer, and the kernel with its uniform where the optimizer has one of its own.
macro_rules! optimizers {
    ($($(#[$doc:meta])* $file:ident: $name:ident $(, $kernel:ident($params:ident))?;)+) => {
        kernels! { $($file $(: $kernel($params))?;)+ }
        $($(crate::kernels::parts! { Together<$kernel>: $params })?)+

        /// The settings of each, without kernels and references.
        pub(crate) mod settings {
            $(pub use super::$file::$name;)+
        }

        $(
            impl From<$name> for Optimizer {
                fn from(rule: $name) -> Self {
                    Self::$name(rule)
                }
            }
        )+

        /// How gradients move the weights. Weight decay applies to weights of rank 2 and more,
        /// never to biases; a decay of a parameter's own
        /// ([`Graph::weight_decay`](crate::graph::Graph::weight_decay)) is part of its gradient `g`
        /// here.
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(tag = "name", rename_all = "lowercase")]
        #[non_exhaustive]
        pub enum Optimizer {
            $($(#[$doc])* $name($name)),+
        }

        impl Optimizer {
            /// The optimizer `name` with learning rate `lr` and the defaults of its paper.
            ///
            /// # Errors
            /// [`Error::Argument`] for an unknown name.
            pub fn named(name: &str, lr: f32) -> Result<Self> {
                match name {
                    $(stringify!($file) => Ok($name::new(lr).into()),)+
                    other => {
                        let known = [$(stringify!($file)),+].join(", ");
                        let message = format!("`{other}` is not one of {known}");
                        Err(Error::argument("optimizer", message))
                    }
                }
            }

            fn rule(&self) -> &dyn Rule {
                match self {
                    $(Self::$name(rule) => rule),+
                }
            }

            /// Learning rate.
            pub fn learning_rate(&self) -> f32 {
                match self {
                    $(Self::$name(rule) => rule.lr),+
                }
            }

            /// The same optimizer with another learning rate.
            pub fn with_learning_rate(mut self, lr: f32) -> Self {
                match &mut self {
                    $(Self::$name(rule) => rule.lr = lr),+
                }
                self
            }
        }
    };
}

optimizers! {
    /// Gradient descent.
    sgd: Sgd, SgdUpdate(SgdParams);
    /// Gradient descent with momentum.
    momentum: Momentum, MomentumUpdate(MomentumParams);
    /// Adam.
    adam: Adam, AdamUpdate(AdamParams);
    /// Adam with decoupled weight decay.
    adamw: AdamW;
    /// RMSProp with momentum.
    rmsprop: RmsProp, RmsPropUpdate(RmsPropParams);
    /// Adagrad.
    adagrad: Adagrad, AdagradUpdate(AdagradParams);
    /// Lion.
    lion: Lion, LionUpdate(LionParams);
}

impl Optimizer {
    /// Gradient descent without weight decay.
    pub const fn sgd(lr: f32) -> Self {
        Self::Sgd(Sgd::new(lr))
    }

    /// Adam with the defaults of its paper.
    pub const fn adam(lr: f32) -> Self {
        Self::Adam(Adam::new(lr))
    }

    /// Names of the tensors that it keeps beside each parameter.
    pub fn slots(&self) -> &'static [&'static str] {
        self.rule().slots()
    }

    /// Checks every hyperparameter.
    ///
    /// # Errors
    /// [`Error::Argument`] names the one that is out of its range.
    pub fn validate(&self) -> Result<()> {
        let lr = self.learning_rate();
        check("lr", lr, lr.is_finite() && lr > 0.0, "above 0 and finite")?;
        self.rule().validate()
    }

    /// The scalars of the step that makes `global_step`, counted from 1, over `rows` valid rows.
    pub fn step(&self, global_step: u64, rows: u32) -> Step {
        let [correction1, correction2] = self.rule().corrections(global_step);
        let learning_rate = self.learning_rate();
        Step { rows, learning_rate, correction1, correction2, share: 1.0, ..Step::default() }
    }

    /// Appends the kernel that moves one parameter.
    pub(crate) fn launch(&self, plan: &mut PlanBuilder, moved: &Moved<'_>) -> Result<()> {
        self.rule().push(plan, moved)
    }

    /// Appends what moves all of them: the same kernel, in as few launches as pay.
    pub(crate) fn launch_all(&self, plan: &mut PlanBuilder, moved: &[Moved<'_>]) -> Result<()> {
        together::push_all(self.rule(), plan, moved)
    }
}
