//! Floor 3: the kernels, in groups. One file each, named as its WGSL file, with a host reference in
//! f64 beside it.
//!
//! A group's `mod.rs` lists its files, and beside each the kernels in it with their uniforms: a new
//! kernel is one line there.
mod list;

pub use list::{KernelInfo, all};
use list::{kernels, parts};

mod elementwise;
mod layerwise;
mod loss;
mod mask;
mod norm;
mod optimizer;
mod pooling;
mod probe;
mod product;
mod recurrent;
mod score;
mod select;
mod sequence;
mod update;

pub use elementwise::*;
pub use layerwise::*;
pub use loss::*;
pub use mask::*;
pub use norm::*;
pub use optimizer::*;
pub(crate) use optimizer::{Moved, settings};
pub use pooling::*;
pub use probe::*;
pub use product::*;
pub use recurrent::*;
pub use score::*;
pub use select::*;
pub use sequence::*;
pub use update::*;
