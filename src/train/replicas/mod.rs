//! What a run does when several ranks train together.
pub mod aggregate;
mod options;
pub mod token;

pub use options::{Carried, SyncReplicas};
