//! Floor 1: files: safetensors as checkpoints, exports and one-shot pruning share them, and the one
//! way to replace a file.
mod dtype;
mod floats;
mod folder;
mod foreign;
mod header;
mod index;
mod input;
mod output;
mod positioned;
mod replace;
mod tensors;
mod unfinished;
mod weights;

pub use dtype::Dtype;
pub use folder::Folder;
pub use foreign::{FIRST, looks_like};
pub use header::{Header, MAX_HEADER, PREFIX, TensorInfo};
pub use index::Index;
pub use output::{check_folder, check_output};
pub use replace::{Replace, replace};
pub use tensors::{Encoding, Floats, Tensor, TensorData, read_floats, read_tensors};

pub(crate) use floats::{is_float, widen};
pub(crate) use input::open_plain;
pub(crate) use tensors::tensors_from;
pub use unfinished::{Held, MadeFolder, TEMPORARY, discard_unfinished, sweep};
pub use weights::Weights;
