//! A driver that fails: a Vulkan layer (`vkfault.c`) loses devices, hangs them and finds no memory,
//! under runs of programs of their own.
#![cfg(target_os = "linux")]
mod child;
mod hung;
mod layer;
mod lost;
mod memory;
#[path = "../common/needs.rs"]
mod needs;
#[path = "../common/paths.rs"]
mod paths;
