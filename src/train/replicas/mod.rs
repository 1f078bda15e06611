//! What a run does when several ranks train together.
pub mod agree;
pub mod cards;
mod options;
mod watchdog;

pub use options::{Carried, SyncReplicas};
pub use watchdog::{Pause, WATCHDOG_CODE, Watchdog};
