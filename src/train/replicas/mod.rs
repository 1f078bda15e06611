//! What a run does when several ranks train together.
mod options;

pub use options::{Carried, SyncReplicas};
