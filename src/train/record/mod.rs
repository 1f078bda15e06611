//! What a run leaves behind besides checkpoints: events, summaries, traces.
pub mod event;
pub mod histogram;
pub(super) mod scalars;
pub(super) mod stats;
pub mod summary;
pub mod timeline;
pub(super) mod trace;
