//! Floor 5: which weights to prune, how many, and when.
mod choice;
mod mask_update;
mod names;
mod op;
mod parse;
mod pattern;
mod picture;
mod rank;
mod report;
mod schedule;
mod score;
mod spec;
mod targets;
mod validate;

pub use crate::kernels::BlockPooling;
pub use choice::{Budget, Regrow, Schedule, Scope, Score, Threshold};
pub use mask_update::{MaskUpdate, PrunedTensor};
pub use op::{MaskUpdateOp, Pruning};
pub use pattern::Pattern;
pub use picture::mask_picture;
pub use report::{LayerSparsity, total_sparsity};
pub use schedule::pruned_count;
pub use spec::PruningSpec;
pub use targets::Targets;
