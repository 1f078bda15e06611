//! Optimizers. Each updates a parameter with one fused kernel.
use serde::{Deserialize, Serialize};

use super::check;
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{Adagrad, Adam, Lion, Momentum, Pruned, RmsProp, Sgd, Step};
use crate::{Error, Result};

/// How gradients move the weights. Weight decay applies to weights of rank 2 and more, never to biases; a decay of a
/// parameter's own ([`Graph::weight_decay`](crate::graph::Graph::weight_decay)) is part of its gradient `g` here.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
pub enum Optimizer {
    /// `w -= lr * (g + weight_decay * w)`
    Sgd {
        /// Learning rate.
        lr: f32,
        /// Weight decay.
        #[serde(default)]
        weight_decay: f32,
    },
    /// `v = momentum * v + g + weight_decay * w`, then `w -= lr * v`.
    Momentum {
        /// Learning rate.
        lr: f32,
        /// Share of the velocity that stays.
        #[serde(default = "momentum")]
        momentum: f32,
        /// Nesterov's form.
        #[serde(default)]
        nesterov: bool,
        /// Weight decay.
        #[serde(default)]
        weight_decay: f32,
    },
    /// Kingma and Ba 2015, algorithm 1.
    Adam {
        /// Learning rate.
        lr: f32,
        /// Decay of the first moment.
        #[serde(default = "beta1")]
        beta1: f32,
        /// Decay of the second moment.
        #[serde(default = "beta2")]
        beta2: f32,
        /// Added to the root of the second moment.
        #[serde(default = "epsilon")]
        epsilon: f32,
    },
    /// Adam with decoupled weight decay, Loshchilov and Hutter 2019.
    AdamW {
        /// Learning rate.
        lr: f32,
        /// Decay of the first moment.
        #[serde(default = "beta1")]
        beta1: f32,
        /// Decay of the second moment.
        #[serde(default = "beta2")]
        beta2: f32,
        /// Added to the root of the second moment.
        #[serde(default = "epsilon")]
        epsilon: f32,
        /// Weight decay, times the learning rate.
        #[serde(default = "decay")]
        weight_decay: f32,
    },
    /// `s = decay * s + (1 - decay) * g^2`, `v = momentum * v + lr * g / sqrt(s + epsilon)`, then `w -= v`: TensorFlow's
    /// RMSProp, but that there `s` begins at 1 and here at 0.
    RmsProp {
        /// Learning rate.
        lr: f32,
        /// Share of the mean square that stays.
        #[serde(default = "rms_decay")]
        decay: f32,
        /// Share of the velocity that stays.
        #[serde(default)]
        momentum: f32,
        /// Added inside the root.
        #[serde(default = "rms_epsilon")]
        epsilon: f32,
    },
    /// `s += g^2`, then `w -= lr * g / (sqrt(initial + s) + epsilon)`: Duchi et al. 2011, as TensorFlow has it.
    Adagrad {
        /// Learning rate.
        lr: f32,
        /// What the sum of squares begins at.
        #[serde(default = "initial")]
        initial: f32,
        /// Added to the root.
        #[serde(default)]
        epsilon: f32,
    },
    /// `w -= lr * (sign(beta1 * m + (1 - beta1) * g) + weight_decay * w)`, then `m = beta2 * m + (1 - beta2) * g`:
    /// Chen et al. 2023.
    Lion {
        /// Learning rate.
        lr: f32,
        /// Share of the mean in the direction.
        #[serde(default = "beta1")]
        beta1: f32,
        /// Share of the mean that stays.
        #[serde(default = "lion_beta2")]
        beta2: f32,
        /// Weight decay, times the learning rate.
        #[serde(default)]
        weight_decay: f32,
    },
}

fn momentum() -> f32 {
    0.9
}
fn beta1() -> f32 {
    0.9
}
fn beta2() -> f32 {
    0.999
}
fn epsilon() -> f32 {
    1e-8
}
fn decay() -> f32 {
    0.01
}
fn rms_decay() -> f32 {
    0.9
}
fn rms_epsilon() -> f32 {
    1e-10
}
fn initial() -> f32 {
    0.1
}
fn lion_beta2() -> f32 {
    0.99
}

/// One parameter as an optimizer sees it.
#[derive(Debug, Clone)]
pub struct Update {
    /// The parameter's name, for the plan.
    pub name: String,
    /// The weights.
    pub weights: Slot,
    /// Their gradient, changed in place where it is clipped.
    pub gradient: Slot,
    /// Factor on it.
    pub multiplier: f32,
    /// Their mask, and what becomes of the pruned ones.
    pub mask: Option<(Slot, Pruned)>,
    /// The optimizer's own tensors, in the order of [`Optimizer::slots`]; what follows is left alone.
    pub slots: Vec<Slot>,
    /// The step's scalars.
    pub step: Slot,
    /// Elements.
    pub len: u32,
    /// Whether the optimizer's weight decay applies.
    pub decays: bool,
    /// Weight decay of the parameter's own, part of its gradient: `decay * weight`.
    pub decay: f32,
}

impl Optimizer {
    /// The optimizer `name` with learning rate `lr` and the defaults of its paper.
    ///
    /// # Errors
    /// [`Error::Argument`] for an unknown name.
    pub fn named(name: &str, lr: f32) -> Result<Self> {
        match name {
            "sgd" => Ok(Self::Sgd { lr, weight_decay: 0.0 }),
            "momentum" => {
                Ok(Self::Momentum { lr, momentum: momentum(), nesterov: false, weight_decay: 0.0 })
            }
            "adam" => Ok(Self::adam(lr)),
            "adamw" => Ok(Self::AdamW {
                lr,
                beta1: beta1(),
                beta2: beta2(),
                epsilon: epsilon(),
                weight_decay: decay(),
            }),
            "rmsprop" => {
                Ok(Self::RmsProp { lr, decay: rms_decay(), momentum: 0.0, epsilon: rms_epsilon() })
            }
            "adagrad" => Ok(Self::Adagrad { lr, initial: initial(), epsilon: 0.0 }),
            "lion" => Ok(Self::Lion { lr, beta1: beta1(), beta2: lion_beta2(), weight_decay: 0.0 }),
            other => {
                let message = format!(
                    "`{other}` is not one of sgd, momentum, adam, adamw, rmsprop, adagrad, lion"
                );
                Err(Error::argument("optimizer", message))
            }
        }
    }

    /// Adam with the defaults of its paper.
    pub fn adam(lr: f32) -> Self {
        Self::Adam { lr, beta1: beta1(), beta2: beta2(), epsilon: epsilon() }
    }

    /// Names of the tensors that it keeps beside each parameter.
    pub fn slots(&self) -> &'static [&'static str] {
        match self {
            Self::Sgd { .. } => &[],
            Self::Momentum { .. } => &["velocity"],
            Self::Adam { .. } | Self::AdamW { .. } => &["first", "second"],
            Self::RmsProp { .. } => &["mean_square", "momentum"],
            Self::Adagrad { .. } => &["squares"],
            Self::Lion { .. } => &["first"],
        }
    }

    /// Learning rate.
    pub fn learning_rate(&self) -> f32 {
        match *self {
            Self::Sgd { lr, .. }
            | Self::Momentum { lr, .. }
            | Self::Adam { lr, .. }
            | Self::AdamW { lr, .. }
            | Self::RmsProp { lr, .. }
            | Self::Adagrad { lr, .. }
            | Self::Lion { lr, .. } => lr,
        }
    }

    /// The same optimizer with another learning rate.
    pub fn with_learning_rate(mut self, rate: f32) -> Self {
        match &mut self {
            Self::Sgd { lr, .. }
            | Self::Momentum { lr, .. }
            | Self::Adam { lr, .. }
            | Self::AdamW { lr, .. }
            | Self::RmsProp { lr, .. }
            | Self::Adagrad { lr, .. }
            | Self::Lion { lr, .. } => *lr = rate,
        }
        self
    }

    /// Checks every hyperparameter.
    ///
    /// # Errors
    /// [`Error::Argument`] names the one that is out of its range.
    pub fn validate(&self) -> Result<()> {
        let lr = self.learning_rate();
        check("lr", lr, lr.is_finite() && lr > 0.0, "above 0 and finite")?;
        let share = |name, value: f32| {
            check(name, value, (0.0..1.0).contains(&value), "at least 0 and below 1")
        };
        let decay = |value: f32| {
            check("weight_decay", value, value.is_finite() && value >= 0.0, "at least 0")
        };
        let small =
            |value: f32, ok: bool, range| check("epsilon", value, value.is_finite() && ok, range);
        match *self {
            Self::Sgd { weight_decay, .. } => decay(weight_decay),
            Self::Momentum { momentum, weight_decay, .. } => {
                share("momentum", momentum).and_then(|()| decay(weight_decay))
            }
            Self::Adam { beta1, beta2, epsilon, .. }
            | Self::AdamW { beta1, beta2, epsilon, .. } => {
                share("beta1", beta1)?;
                share("beta2", beta2)?;
                small(epsilon, epsilon > 0.0, "above 0")?;
                match *self {
                    Self::AdamW { weight_decay, .. } => decay(weight_decay),
                    _ => Ok(()),
                }
            }
            Self::RmsProp { decay, momentum, epsilon, .. } => {
                share("decay", decay)?;
                share("momentum", momentum)?;
                small(epsilon, epsilon > 0.0, "above 0")
            }
            Self::Adagrad { initial, epsilon, .. } => {
                check("initial", initial, initial.is_finite() && initial >= 0.0, "at least 0")?;
                // A gradient of 0 would be divided by 0.
                let range = "at least 0, and above 0 where `initial` is 0";
                small(epsilon, epsilon >= 0.0 && initial + epsilon > 0.0, range)
            }
            Self::Lion { beta1, beta2, weight_decay, .. } => {
                share("beta1", beta1)?;
                share("beta2", beta2)?;
                decay(weight_decay)
            }
        }
    }

    /// The scalars of the step that makes `global_step`, counted from 1, over `rows` valid rows.
    pub fn step(&self, global_step: u64, rows: u32) -> Step {
        // In f64: 1 - beta^t loses its digits in f32 for small t.
        let correction = |beta: f32| (1.0 - f64::from(beta).powf(global_step as f64)) as f32;
        let (correction1, correction2) = match *self {
            Self::Adam { beta1, beta2, .. } | Self::AdamW { beta1, beta2, .. } => {
                (correction(beta1), correction(beta2))
            }
            _ => (1.0, 1.0),
        };
        let learning_rate = self.learning_rate();
        Step { rows, learning_rate, correction1, correction2, share: 1.0, ..Step::default() }
    }

    /// Appends the update of one parameter to `plan`.
    ///
    /// # Errors
    /// [`Error::Plan`] from the kernel.
    pub fn push(&self, plan: &mut PlanBuilder, update: &Update) -> Result<()> {
        let &Update { weights, gradient, mask, ref slots, step, len, decays, decay: l2, .. } =
            update;
        let decay = |value: f32| if decays { value } else { 0.0 };
        match *self {
            Self::Sgd { weight_decay, .. } => {
                let decay = l2 + decay(weight_decay);
                plan.push(Sgd { gradient, mask, step, weights, len, decay })
            }
            Self::Momentum { momentum, nesterov, weight_decay, .. } => plan.push(Momentum {
                gradient,
                mask,
                step,
                weights,
                velocity: slots[0],
                len,
                momentum,
                decay: l2 + decay(weight_decay),
                nesterov,
            }),
            Self::Adam { beta1, beta2, epsilon, .. }
            | Self::AdamW { beta1, beta2, epsilon, .. } => {
                let weight_decay = match *self {
                    Self::AdamW { weight_decay, .. } => decay(weight_decay),
                    _ => 0.0,
                };
                plan.push(Adam {
                    gradient,
                    mask,
                    step,
                    weights,
                    first: slots[0],
                    second: slots[1],
                    len,
                    beta1,
                    beta2,
                    epsilon,
                    decay: weight_decay,
                    l2,
                })
            }
            Self::RmsProp { decay, momentum, epsilon, .. } => plan.push(RmsProp {
                gradient,
                mask,
                step,
                weights,
                mean_square: slots[0],
                velocity: slots[1],
                len,
                decay,
                momentum,
                epsilon,
                l2,
            }),
            Self::Adagrad { initial, epsilon, .. } => plan.push(Adagrad {
                gradient,
                mask,
                step,
                weights,
                squares: slots[0],
                len,
                initial,
                epsilon,
                l2,
            }),
            Self::Lion { beta1, beta2, weight_decay, .. } => plan.push(Lion {
                gradient,
                mask,
                step,
                weights,
                first: slots[0],
                len,
                beta1,
                beta2,
                decay: decay(weight_decay),
                l2,
            }),
        }
    }
}
