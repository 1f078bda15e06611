//! Tensors of many zeros in fewer bytes: in layouts that others read, PyTorch's sparse tensors and
//! a bit for each element beside the values, and in smaller ones of this crate's own.
//! `docs/format.md` says what is where.
mod bitmask;
mod bits;
mod columns;
mod contents;
mod folder;
mod gaps;
mod groups;
mod int8;
mod layout;
mod matrix;
mod options;
mod packing;
mod rounding;
mod sparse;
mod write;

pub use folder::{check_pack_folder, pack_folder};
pub use options::{PackOptions, Values};
pub use packing::{Format, Packing};
pub use rounding::Loss;
pub use write::{PackedTensor, pack, packed_sizes, smallest_bytes};

pub(crate) use contents::{Content, Contents};
