//! Floor 10: how fast and how right an adapter is: its ceilings, measured, workloads against them,
//! a tuner, a self-test.
//!
//! `secateur bench` prints what [`measure`] returns; `cargo bench` runs the same [`Workload`]s
//! through criterion.
mod attention;
mod ceilings;
mod exchange;
pub mod model;
#[cfg(feature = "cli")]
mod plot;
mod replay;
mod roofline;
mod sampling;
mod selftest;
mod suite;
mod train_step;
mod tune;
mod workload;

pub use attention::CausalAttention;
pub use exchange::{Talk, Talks, exchange};
#[cfg(feature = "cli")]
pub use plot::plot;
pub use roofline::{Ceilings, Limit, Work};
pub use sampling::{Effort, Sampled, median, sample};
pub use selftest::{Check, matrices, selftest};
pub use suite::{LeftOut, Measured, Row, measure};
pub use train_step::TrainStep;
pub use tune::{TUNED_SIZES, Tuned, tune};
pub use workload::{Prepared, Weights, Workload};
