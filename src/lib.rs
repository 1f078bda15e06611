//! Train and prune neural networks on any GPU.
pub mod error;
pub mod gpu;
pub mod kernels;
pub use error::{Error, Result};
