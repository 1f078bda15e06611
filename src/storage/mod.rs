//! Floor 1: the safetensors files that checkpoints, exports and one-shot pruning share.
mod header;

pub use header::{Header, MAX_HEADER, PREFIX, TensorInfo, nonzero};
