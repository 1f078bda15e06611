//! Floor 1: files: safetensors as checkpoints, exports and one-shot pruning share them, and the one
//! way to replace a file.
mod header;
mod replace;
mod tensors;

pub use header::{Header, MAX_HEADER, PREFIX, TensorInfo, nonzero};
pub use replace::{Replace, TEMPORARY, replace};
pub use tensors::{Encoding, Floats, Tensor, TensorData, read_floats, read_tensors};
