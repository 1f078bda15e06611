//! What a crate of its own can add to `secateur`. One file each; this crate depends on nothing but
//! `secateur`.
mod clipped_exp;
mod signed;
mod waves;

pub use clipped_exp::{ClippedExp, clipped_exp_reference};
pub use signed::Signed;
pub use waves::Waves;
