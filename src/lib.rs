#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

// Macros name the crate as their callers do.
extern crate self as secateur;

pub mod bench;
pub mod checkpoint;
pub mod comm;
pub mod data;
pub mod error;
pub mod gguf;
pub mod gpu;
pub mod graph;
pub mod kernels;
pub mod nn;
pub mod oneshot;
mod onnx;
pub mod optim;
pub mod pretrained;
pub mod prune;
pub mod raw;
pub mod report;
pub mod session;
pub mod settings;
pub mod storage;
pub mod train;

pub use data::{Batches, digits};
pub use error::{Error, Result};
pub use gpu::{Gpu, GpuOptions};
pub use nn::Model;
pub use optim::{Optimizer, Training};
pub use prune::{MaskUpdateOp, Pruning, PruningSpec};
pub use session::Session;
pub use train::{TrainOp, TrainOptions, TrainOutcome, train};

pub(crate) use gpu::{uniform, wgsl};

/// The programs of the documents, which must compile.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../docs/library.md")]
    struct Library;
    #[doc = include_str!("../docs/guide/own-parts.md")]
    struct OwnParts;
}
