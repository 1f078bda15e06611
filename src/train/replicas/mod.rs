//! What a run does when several ranks train together. Public for tests only, but for what `train`
//! hands on.
pub mod aggregate;
pub mod agree;
pub mod cards;
mod exchange;
mod fold;
mod group;
mod header;
mod in_step;
mod options;
pub mod token;
mod watchdog;

pub use exchange::Exchange;
pub(super) use fold::share;
pub(in crate::train) use group::{CHIEF, Group};
pub use header::Header;
pub(in crate::train) use in_step::InStep;
pub use options::{Carried, SyncReplicas};
pub use watchdog::{Pause, WATCHDOG_CODE, Watchdog};
