//! What the system does to a run that trains. Without an adapter these tests say so, or fail where
//! `SECATEUR_REQUIRE_GPU=1`.
#[cfg(target_os = "linux")]
mod clock;
#[cfg(target_os = "linux")]
mod disk;
#[cfg(all(target_os = "linux", feature = "cli"))]
mod held;
mod kills;
mod nan;
#[cfg(feature = "cli")]
mod signals;
mod trainee;
