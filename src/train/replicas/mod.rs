//! What a run does when several ranks train together.
mod exchange;
mod fold;
mod header;
mod options;

pub use exchange::Exchange;
pub(super) use fold::share;
pub use header::Header;
pub use options::{Carried, SyncReplicas};
