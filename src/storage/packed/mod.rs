//! Matrices of many zeros in fewer bytes, in layouts that others read: PyTorch's sparse tensors, and
//! a bit for each element beside the values. `docs/format.md` says what is where.
mod bitmask;
mod contents;
mod folder;
mod matrix;
mod packing;
mod sparse;
mod write;

pub use folder::pack_folder;
pub use packing::{Format, Packing};
pub use write::{PackedTensor, pack, packed_sizes};

pub(crate) use contents::{Content, Contents};
