//! The command line as users run it: each test in a temporary folder of its own.
mod bench;
#[cfg(target_os = "linux")]
mod cache;
#[cfg(target_os = "linux")]
mod dashboard;
mod data;
mod distill;
mod errors;
mod export;
mod fastest;
mod files;
mod folder;
mod generate;
mod inspect;
mod launchers;
#[cfg(unix)]
mod leftovers;
mod models;
#[path = "../common/needs.rs"]
mod needs;
mod own_data;
mod own_roles;
mod papercuts;
mod past;
#[path = "../common/paths.rs"]
mod paths;
mod pretrained;
mod pretrained_rows;
mod prune;
mod recover;
mod removal;
mod report;
mod roles;
mod schema;
mod selftest;
mod shell;
#[cfg(unix)]
mod signals;
mod sweep;
mod tensors;
mod train;
mod usage;
mod weights;
