//! What the system does to files: kills, power cuts, full disks, flipped bits. Only `training`
//! needs a GPU.
//!
//! What the machine cannot do is skipped with a line on stderr, or fails where
//! `SECATEUR_REQUIRE_TOOLS=1`. `docs/reliability.md` has the figures.
#[cfg(unix)]
mod child;
#[cfg(target_os = "linux")]
mod disk;
#[cfg(target_os = "linux")]
mod events;
mod fixture;
#[cfg(unix)]
mod kills;
#[cfg(unix)]
mod lock;
#[cfg(target_os = "linux")]
mod mount;
mod mutations;
#[path = "../common/needs.rs"]
mod needs;
#[cfg(target_os = "linux")]
mod order;
#[cfg(target_os = "linux")]
mod patch;
#[path = "../common/paths.rs"]
mod paths;
#[cfg(target_os = "linux")]
mod power;
#[cfg(unix)]
mod training;
