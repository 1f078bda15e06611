//! Tests that need no GPU.
mod checkpoint;
mod data;
mod floors;
mod memory;
mod models;
mod options;
mod planner;
mod plans;
mod pruning;
mod shaders;
mod shrink;
mod summary;
mod timeline;
mod training;
