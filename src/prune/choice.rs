//! The settings that are one of a few names.
use serde::{Deserialize, Serialize};

/// How the weights to prune are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Threshold {
    /// Exactly [`pruned_count`](super::pruned_count) weights of each tensor, smallest |w| first;
    /// of equal ones the lowest index is kept first.
    #[default]
    Exact,
    /// As r1.9 does: `nbins` bins over 0..max|w|, smoothed by `threshold_decay`.
    Histogram,
}

/// How the sparsity goes from `initial_sparsity` to `target_sparsity`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", schemars(rename = "PruningSchedule"))]
pub enum Schedule {
    /// Upstream's: fast first, slow last, by `sparsity_function_exponent` (Zhu and Gupta 2017).
    #[default]
    Polynomial,
    /// Half a cosine between the same two steps: slow at both ends.
    Cosine,
    /// The target from `sparsity_function_begin_step` on.
    Constant,
    /// The target in one update, at `begin_pruning_step`; the masks stay from then on.
    OneShot,
}

/// How the total sparsity is divided among the tensors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Budget {
    /// Each tensor to the same sparsity.
    #[default]
    Uniform,
    /// Erdős-Rényi-kernel (Evci et al. 2020): the density of a tensor goes with the sum of its
    /// extents over their product, so that small layers stay denser; the total is as asked.
    Erk,
}

/// What the weights of a tensor are ranked with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Each other.
    #[default]
    Layer,
    /// The weights of all tensors that have no target of their own.
    Global,
    /// Those of the same output unit: each unit to the same sparsity.
    Unit,
}

/// Whether an update also takes weights back: dynamic sparse training. Each update then drops the
/// lowest |w| of those that stay, and grows as many of those that do not, from 0, with optimizer
/// slots of 0; one that was dropped by the same update may be grown again, with its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Regrow {
    /// No: a pruned weight returns only when the sparsity falls.
    #[default]
    None,
    /// Any, at random, as a function of the step (SET: Mocanu et al. 2018).
    Set,
    /// Those with the highest |gradient| of the last batch (RigL: Evci et al. 2020).
    Rigl,
}
