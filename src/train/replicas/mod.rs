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

/// Bytes of a bucket: one large message is slower than several, and nothing overlaps with it.
pub(crate) const BUCKET: u64 = 4 << 20;

pub use exchange::Exchange;
pub(in crate::train) use fold::{fold, share};
pub(in crate::train) use group::{CHIEF, Group};
pub use header::Header;
pub(in crate::train) use in_step::InStep;
pub use options::{Carried, SyncReplicas};
pub use watchdog::{Pause, WATCHDOG_CODE, Watchdog};
