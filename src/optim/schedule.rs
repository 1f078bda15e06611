//! The learning rate as a function of the step.
use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::error::check;
use crate::settings::steps;
use crate::{Error, Result};

steps! {
    /// A factor on the learning rate, a function of the global step alone: a run that is taken up
    /// needs no state of it. The warm-up's factor and the decay's are multiplied, and both count
    /// from the run's first step.
    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(default, deny_unknown_fields)]
    pub struct Schedule {
        /// Step `t` of the first so many has the factor `t / warmup_steps`.
        #[serde(skip_serializing_if = "is_zero")]
        pub warmup_steps: u64,
        /// What follows.
        #[serde(skip_serializing_if = "Decay::is_constant")]
        pub decay: Decay,
    }
}

/// How the learning rate falls. `n` counts the steps before this one, so that the first step has
/// factor 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
pub enum Decay {
    /// Factor 1.
    #[default]
    Constant,
    /// `factor^k`, where `k` of the boundaries are at most `n`: a boundary is the last step before
    /// its change.
    Steps {
        /// Steps, ascending.
        boundaries: Vec<u64>,
        /// What each boundary multiplies the rate with.
        factor: f64,
    },
    /// `rate^(n / decay_steps)`
    Exponential {
        /// Steps that `rate` is for.
        decay_steps: u64,
        /// Factor after each so many.
        rate: f64,
        /// Whether the quotient is rounded down.
        #[serde(default)]
        staircase: bool,
    },
    /// `end + (1 - end) * (1 + cos(pi * n / steps)) / 2`, and `end` from `n = steps` on (Loshchilov
    /// and Hutter 2017).
    Cosine {
        /// Steps until `end`.
        steps: u64,
        /// Factor at the end, 0 to 1.
        #[serde(default)]
        end: f64,
    },
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Schedule {
    /// Factor of the step that makes `global_step`, counted from 1.
    pub fn factor(&self, global_step: u64) -> f64 {
        let warmup = if global_step < self.warmup_steps {
            global_step as f64 / self.warmup_steps as f64
        } else {
            1.0
        };
        warmup * self.decay.factor(global_step.saturating_sub(1))
    }

    pub(super) fn is_constant(&self) -> bool {
        *self == Self::default()
    }

    /// # Errors
    /// [`Error::Argument`] names the setting that is out of its range.
    pub fn validate(&self) -> Result<()> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        match &self.decay {
            Decay::Constant => Ok(()),
            Decay::Steps { boundaries, factor } => {
                check("schedule.factor", factor, positive(*factor), "above 0 and finite")?;
                if boundaries.first() == Some(&0) || !boundaries.is_sorted_by(|a, b| a < b) {
                    let message = format!("{boundaries:?} must be steps from 1 on, ascending");
                    return Err(Error::argument("schedule.boundaries", message));
                }
                Ok(())
            }
            Decay::Exponential { decay_steps, rate, .. } => {
                check("schedule.decay_steps", decay_steps, *decay_steps > 0, "1 or more")?;
                check("schedule.rate", rate, positive(*rate), "above 0 and finite")
            }
            Decay::Cosine { steps, end } => {
                check("schedule.steps", steps, *steps > 0, "1 or more")?;
                check("schedule.end", end, (0.0..=1.0).contains(end), "in 0 to 1")
            }
        }
    }
}

impl Decay {
    fn is_constant(&self) -> bool {
        *self == Self::Constant
    }

    /// Factor after `n` steps.
    fn factor(&self, n: u64) -> f64 {
        match *self {
            Self::Constant => 1.0,
            Self::Steps { ref boundaries, factor } => {
                factor.powf(boundaries.iter().filter(|&&b| b <= n).count() as f64)
            }
            Self::Exponential { decay_steps, rate, staircase } => {
                let times = n as f64 / decay_steps as f64;
                rate.powf(if staircase { (n / decay_steps.max(1)) as f64 } else { times })
            }
            Self::Cosine { steps, end } if n >= steps => end,
            Self::Cosine { steps, end } => {
                end + (1.0 - end) * 0.5 * (1.0 + (PI * n as f64 / steps as f64).cos())
            }
        }
    }
}
