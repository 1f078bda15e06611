//! What a run does when several ranks train together.
mod group;
mod options;

pub(in crate::train) use group::{CHIEF, Group};
pub use options::{Carried, SyncReplicas};
