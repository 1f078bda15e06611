//! Train and prune neural networks on any GPU.
pub mod data;
pub mod error;
pub mod gpu;
pub mod graph;
pub mod kernels;
pub mod nn;
pub mod optim;
pub mod prune;
pub mod train;
pub use error::{Error, Result};
