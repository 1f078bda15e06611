//! Floor 10: how fast and how right an adapter is: its ceilings, measured, workloads against them,
//! a tuner, a self-test.
//!
//! `secateur bench` prints what [`measure`] returns; `cargo bench` runs the same [`Workload`]s
//! through criterion.
mod attention;
mod ceilings;
mod exchange;
pub mod model;
mod packed;
#[cfg(feature = "cli")]
mod plot;
mod replay;
mod roofline;
mod sampling;
mod selftest;
mod sparse;
#[cfg(feature = "cli")]
mod sparse_plot;
mod suite;
mod train_step;
mod tune;
mod workload;

pub use attention::CausalAttention;
pub use exchange::{Talk, Talks, exchange};
pub use packed::{PackedCase, PackedTime, PackedTimes};
#[cfg(feature = "cli")]
pub use plot::plot;
pub use roofline::{Ceilings, Limit, Work};
pub use sampling::{Effort, Sampled, median, sample};
pub use selftest::{Check, Worst, matrices, selftest, selftest_all};
pub use sparse::{PaysFrom, Sparse, SparseLeftOut, SparseRow, pays_from, sparse};
#[cfg(feature = "cli")]
pub use sparse_plot::plot_sparse;
pub use suite::{LeftOut, Measured, Row, measure};
pub use train_step::TrainStep;
pub use tune::{TUNED_SIZES, Tuned, tune};
pub use workload::{Prepared, Weights, Workload};
