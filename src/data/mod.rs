//! Data sets in memory, and the batches drawn from them.
mod batches;
mod cifar10;
mod dataset;
mod digits;
mod file;
mod idx;
mod images;
mod prefetch;
mod shuffle;
mod source;
mod text;

pub use batches::Batches;
pub use cifar10::cifar10;
pub use dataset::{Dataset, Split};
pub use digits::digits;
pub use idx::idx_folder;
pub use images::{Augment, Images};
pub use prefetch::Prefetch;
pub use shuffle::permutation;
pub use source::{Batch, BatchSource, Cursor};
pub use text::text;
