//! Floor 5: how gradients move weights: optimizers, learning rates by step, clipped gradients,
//! averages.
mod clip;
mod schedule;
mod training;
mod update;

pub use crate::kernels::settings::*;
pub use crate::kernels::{EpsilonForm, Optimizer};
pub use clip::{Clip, Multiplier};
pub use schedule::{Decay, Schedule};
pub use training::{AVERAGE, Training};
pub use update::Update;
