//! What a crate of its own can add to `secateur`. One file each; this crate depends on nothing but `secateur`.
mod clipped_exp;

pub use clipped_exp::{ClippedExp, clipped_exp_reference};
