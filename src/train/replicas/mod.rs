//! What a run does when several ranks train together.
pub mod aggregate;
pub mod agree;
pub mod cards;
mod group;
mod options;
mod watchdog;

pub(in crate::train) use group::{CHIEF, Group};
pub use options::{Carried, SyncReplicas};
pub use watchdog::{Pause, WATCHDOG_CODE, Watchdog};
