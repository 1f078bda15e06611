//! Train neural networks and prune them while they learn, on any GPU, through wgpu compute shaders.
//!
//! ```no_run
//! use secateur::{Batches, Gpu, GpuOptions, Model, Optimizer, Pruning, PruningSpec};
//! use secateur::{Result, TrainOp, TrainOptions, digits, train};
//!
//! fn main() -> Result<()> {
//!     let gpu = Gpu::open(&GpuOptions::from_env()?)?;
//!     let data = digits();
//!     let batches = Batches::new(data.train, 64, Some(1))?;
//!     let model = Model::mlp(&[128, 64]);
//!     let train_op = TrainOp::new(&gpu, &model, Optimizer::adam(0.002), batches, 1)?;
//!     let masks = Pruning::new(PruningSpec::to(0.9).over(1800))?;
//!     let options = TrainOptions::default().number_of_steps(Some(1800));
//!     let outcome = train(train_op, None, masks.conditional_mask_update_op(), options)?;
//!     println!("accuracy {:?}", outcome.session.evaluate(&data.test)?.accuracy());
//!     outcome.session.model_file()?.write("digits.safetensors".as_ref())
//! }
//! ```
//!
//! # Where to begin
//!
//! | to | see |
//! |---|---|
//! | train, with or without pruning | [`train()`], [`TrainOp`], [`TrainOptions`] |
//! | say what is pruned, when and how far | [`PruningSpec`], [`Pruning`], [`prune::Scoring`] |
//! | bring rows | [`data::Dataset`], [`data::BatchSource`], [`data::open()`] |
//! | stack layers, or build a graph | [`Model`], [`nn::layers`], [`graph::Graph`] |
//! | evaluate, predict, read and write weights | [`Session`], [`session::ModelFile`] |
//! | prune files without training | [`oneshot`] |
//! | prune and train models of others | [`pretrained::Pretrained`] |
//! | train on several devices | [`comm`], [`train::SyncReplicas`] |
//! | write kernels | [`raw`] |
//! | measure an adapter | [`mod@bench`] |
//!
//! Names and defaults are those of `tf.contrib.model_pruning` wherever it has one.
//!
//! # Features
//!
//! - `cli`, on by default: the program `secateur`. Without it the library has no terminal
//!   dependencies: `default-features = false`.
//! - `text`: texts as the tokens of pretrained models. `cli` has it.
//! - `schema`: a JSON schema of recipes. `cli` has it.
//! - `mpi`: ranks that are processes of an MPI job.
//!
//! The package's folder `docs` has a guide with tutorials (`docs/README.md`), and the reference of
//! the command line, of recipes and of files.
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
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/library.md")]
    struct Library;
    #[doc = include_str!("../docs/guide/own-parts.md")]
    struct OwnParts;
}
