//! Data sets in memory, and the batches drawn from them.
mod batches;
mod dataset;
mod digits;
mod idx;
mod shuffle;

pub use batches::{Batch, BatchSource, Batches, Cursor};
pub use dataset::{Dataset, Split};
pub use digits::digits;
pub use idx::idx_folder;
pub use shuffle::permutation;
