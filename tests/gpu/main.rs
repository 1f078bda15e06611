//! Tests that need an adapter; without one they say so, or fail where `SECATEUR_REQUIRE_GPU=1`.
#[path = "../common/mod.rs"]
mod common;
mod foreign;
mod fusions;
mod goldens;
mod gradients;
mod interpreter;
mod kernels;
mod launches;
mod layerwise;
mod mask_update;
#[path = "../common/models.rs"]
mod models;
#[path = "../common/needs.rs"]
mod needs;
mod network;
mod oneshot;
mod packed;
mod packed_layers;
#[path = "../common/paths.rs"]
mod paths;
mod pretrained;
mod selftest;
mod session;
#[path = "../common/shared.rs"]
mod shared;
mod shared_device;
mod shrunk;
mod small_tensors;
mod training;
mod tuning;
