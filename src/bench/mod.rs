//! Floor 7: how fast an adapter is, and how near to that the kernels come: its ceilings, measured, and workloads against them.
//!
//! `secateur bench` prints what [`measure`] returns; `cargo bench` runs the same [`Workload`]s through criterion.
mod ceilings;
#[cfg(feature = "cli")]
mod plot;
mod replay;
mod roofline;
mod sampling;
mod suite;
mod train_step;
mod workload;

#[cfg(feature = "cli")]
pub use plot::plot;
pub use roofline::{Ceilings, Limit, Work};
pub use sampling::{Effort, Sampled, median, sample};
pub use suite::{LeftOut, Measured, Row, measure};
pub use train_step::TrainStep;
pub use workload::{Prepared, Weights, Workload};
