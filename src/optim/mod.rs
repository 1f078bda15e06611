//! Floor 5: how gradients move weights: optimizers, learning rates by step, clipped gradients,
//! averages.
mod clip;
mod optimizer;
mod schedule;
mod training;

pub use crate::kernels::EpsilonForm;
pub use clip::{Clip, Multiplier};
pub use optimizer::{Adagrad, Adam, AdamW, Lion, Momentum, Optimizer, RmsProp, Sgd, Update};
pub use schedule::{Decay, Schedule};
pub use training::{AVERAGE, Training};

use crate::{Error, Result};

/// # Errors
/// [`Error::Argument`] unless `ok`: `value` of `name` must be `range`.
fn check(name: &str, value: impl std::fmt::Display, ok: bool, range: &str) -> Result<()> {
    if ok { Ok(()) } else { Err(Error::argument(name, format!("{value} must be {range}"))) }
}
