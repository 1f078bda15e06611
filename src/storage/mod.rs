//! Floor 1: files: safetensors as checkpoints, exports and pruning share them, and the one way to
//! replace a file.
mod companions;
mod dtype;
mod floats;
mod folder;
mod foreign;
mod header;
mod index;
mod input;
mod job;
mod journal;
mod output;
mod packed;
mod patch;
mod place;
mod positioned;
mod replace;
mod reserve;
mod rewrite;
mod spill;
mod tensors;
mod unfinished;
mod weights;

pub use companions::Companions;
pub use dtype::Dtype;
pub use folder::Folder;
pub use foreign::{FIRST, looks_like};
pub use header::{Header, MAX_HEADER, PREFIX, TensorInfo};
pub use index::Index;
pub use output::{check_folder, check_output};
pub use packed::{
    Format, Loss, PackOptions, PackedTensor, Packing, Values, check_pack_folder, pack, pack_folder,
    packed_sizes, smallest_bytes,
};
pub use patch::Patch;
pub use replace::{Replace, replace};
pub use rewrite::Rewrite;
pub use tensors::{Encoding, Floats, Tensor, TensorData, read_floats, read_tensors};

pub(crate) use floats::{is_float, misfit, narrow, rounded, widen};
pub(crate) use folder::packed as packed_error;
pub(crate) use input::open_plain;
pub(crate) use output::{check_apart, check_is_folder};
pub(crate) use packed::Contents;
pub(crate) use reserve::reserve;
pub(crate) use spill::Spill;
pub(crate) use tensors::tensors_from;
pub use unfinished::{Held, MadeFolder, TEMPORARY, discard_unfinished, sweep};
pub use weights::Weights;
