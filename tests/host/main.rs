//! Tests that need no GPU.
mod adapters;
mod bench;
mod checkpoint;
mod comm;
mod data;
mod floors;
mod gguf;
mod kept_blocks;
mod layerwise;
mod memory;
#[path = "../common/models.rs"]
mod model_folders;
mod models;
#[path = "../common/needs.rs"]
mod needs;
mod options;
mod packed;
#[path = "../common/paths.rs"]
mod paths;
mod pictures;
mod planner;
mod plans;
mod pretrained;
mod pruning;
#[path = "../common/ranks.rs"]
mod rank_checks;
mod ranks;
mod replace;
mod replicas;
mod report;
mod server;
mod settings;
mod shaders;
mod shrink;
mod storage;
mod stored;
mod summary;
mod tied;
mod timeline;
mod training;
