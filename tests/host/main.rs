//! Tests that need no GPU.
mod floors;
mod planner;
mod shaders;
