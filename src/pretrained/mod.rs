//! Floor 9: networks that others have trained, as the field's folders have them: `config.json`,
//! safetensors and a tokenizer become a network by its `model_type`, and a pruned one becomes such
//! a folder again.
//!
//! A model is never on the device as a whole unless it is trained: what goes through it is taken
//! block after block, and each block's weights are read from the file when their turn comes.
pub mod architectures;
mod class_names;
mod classified;
mod config;
mod cut;
mod data;
mod distill;
mod evaluate;
mod generate;
mod head;
mod latency;
mod layers;
mod model;
mod network;
mod pooling;
mod positions;
mod preparation;
mod prune;
mod removal;
mod rows;
mod save;
mod stage;
mod stream;
#[cfg(feature = "text")]
mod table;
mod training;
mod window;

pub use architectures::{Answer, Architecture, Input};
pub use class_names::{Matched, MatchedBy};
pub use classified::Classified;
pub use config::Config;
pub use cut::{Cut, CutGraph};
pub use distill::Distill;
pub use evaluate::{Evaluated, Progress};
pub use generate::{GenerateOptions, Generation, Generator, Sampler, Sampling, Stop, TokenWeight};
pub use layers::{Arranged, Layers, Source};
pub use model::Pretrained;
pub use pooling::{Pool, Pooling};
pub use preparation::Preparation;
pub use prune::{
    ALLOCATION, Allocate, BlockReport, Method, OutlierReport, PruneEvent, PruneOptions,
    PruneReport, Sink, Told, WeightReport,
};
pub use removal::{
    Amount, BlockRemoved, Kind, Left, Removal, RemoveOptions, RemoveReport, Size, ToldRemoved,
    UnitsKept,
};
pub use rows::{Outputs, Rows};
pub use training::Trained;
pub use window::{PaddedText, Window};
