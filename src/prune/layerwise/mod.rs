//! One matrix of weights pruned by the second moments of its inputs, `G = X^T X`: launches on slots
//! of the caller's, and what the host does between them.
//!
//! [`Gram`] sums up `G` on the device. The host makes a [`Factor`] of it, by which [`SparseGpt`]
//! chooses weights and updates those that stay, or [`Multipliers`], by which [`Admm`] finds the best
//! weights for a mask.
mod admm;
mod factor;
mod factor_layout;
mod gram;
mod multipliers;
mod sparse_gpt;
mod turn;

pub use admm::{Admm, Kept};
pub use factor::Factor;
pub use factor_layout::FactorLayout;
pub use gram::Gram;
pub use multipliers::Multipliers;
pub use sparse_gpt::{Chosen, SparseGpt};
