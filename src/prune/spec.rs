//! What to prune, how far and when: the settings of a pruning run.
use serde::{Deserialize, Serialize};

use super::choice::{Budget, Regrow, Schedule, Scope, Score, Threshold};
use super::pattern::Pattern;
use crate::kernels::{BlockPooling, Pruned};

/// Settings of a pruning run, under the names and defaults of TensorFlow r1.9's pruning hparams.
///
/// Written as a struct, as TOML or JSON with any fields left out, or as one string:
///
/// ```
/// use secateur::prune::PruningSpec;
///
/// let spec: PruningSpec = "target_sparsity=0.9,do_not_prune=[fc3,embed]".parse()?;
/// assert_eq!(spec, PruningSpec {
///     target_sparsity: 0.9,
///     do_not_prune: vec!["fc3".into(), "embed".into()],
///     ..Default::default()
/// });
/// # Ok::<(), secateur::Error>(())
/// ```
///
/// Steps are global steps, counted after the train step they follow. Neither the string form nor
/// serde looks at ranges: [`PruningSpec::validate`] does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PruningSpec {
    /// Prefix of the summary tags: `<name>_summaries/...`.
    pub name: String,
    /// First step that may update the masks.
    pub begin_pruning_step: u64,
    /// Last step that may update the masks, itself included; -1 = for ever.
    pub end_pruning_step: i64,
    /// Weights whose name contains one of these stay dense; empty strings match nothing.
    pub do_not_prune: Vec<String>,
    /// Share of the old threshold kept at an update, 0 <= decay < 1; only
    /// [`Threshold::Histogram`] uses it.
    pub threshold_decay: f64,
    /// Least number of steps from one mask update to the next.
    pub pruning_frequency: u64,
    /// Whether the masks are also updated, outside of the rhythm of `pruning_frequency`, at the step after which
    /// the schedule stands still, so that they end as sparse as it asks. Upstream has no such update: without it
    /// whole runs update at upstream's steps, and may end short of the target.
    pub final_update: bool,
    /// Bins of [`Threshold::Histogram`].
    pub nbins: u32,
    /// Rows of a block; -1 = all rows.
    pub block_height: i64,
    /// Columns of a block; -1 = all columns.
    pub block_width: i64,
    /// How the weights of a block become its one score.
    pub block_pooling_function: BlockPooling,
    /// Blocks of single tensors, `regex:HxW`, in place of `block_height` and `block_width`.
    pub block_dims_map: Vec<String>,
    /// What is kept or pruned as one.
    pub pattern: Pattern,
    /// Sparsity up to `sparsity_function_begin_step`, 0 to 1.
    pub initial_sparsity: f64,
    /// Sparsity from `sparsity_function_end_step` on, 0 to 1; may be below the initial one.
    pub target_sparsity: f64,
    /// Step at which the sparsity leaves `initial_sparsity`.
    pub sparsity_function_begin_step: u64,
    /// Step at which the sparsity reaches `target_sparsity`.
    pub sparsity_function_end_step: u64,
    /// Exponent of the way between them: 1 = straight line, above 1 = fast first, slow last.
    pub sparsity_function_exponent: f64,
    /// How the sparsity goes from the initial to the target one.
    pub schedule: Schedule,
    /// Accepted for upstream's sake, changes nothing: upstream's two variants give the same masks.
    pub use_tpu: bool,
    /// How the weights to prune are found.
    pub threshold: Threshold,
    /// Targets of single tensors, `regex:target`: a tensor whose name the regular expression is
    /// found in goes to that sparsity, as fast as the others go to `target_sparsity`.
    pub weight_sparsity_map: Vec<String>,
    /// How the total sparsity is divided among the tensors that have no target of their own.
    pub budget: Budget,
    /// Whether the weights of a tensor are ranked among themselves, with those of all tensors, or with
    /// those of their output unit.
    pub scope: Scope,
    /// Named groups, `name:regex`: the tensors of a group are ranked together, whatever the scope.
    pub groups: Vec<String>,
    /// Target of the first tensor with a mask; 0 keeps it dense.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_layer_sparsity: Option<f64>,
    /// Target of the last tensor with a mask; 0 keeps it dense.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_layer_sparsity: Option<f64>,
    /// In place of `target_sparsity`: how many parameters of the whole network, biases and dense
    /// layers included, are left in the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_parameters: Option<u64>,
    /// In place of `target_sparsity`: how many floating-point operations one example takes through
    /// the weights that are left in the end, a multiplication and an addition for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_flops: Option<u64>,
    /// Each output unit (a column) keeps its highest weight as long as the count leaves one for
    /// each: that changes which weights stay, never how many.
    pub keep_units: bool,
    /// What ranks the weights. Upstream's name for it, `prune_option`, is read too.
    #[serde(alias = "prune_option")]
    pub score: Score,
    /// Share of the running mean that stays at an update, 0 <= decay < 1; of
    /// [`Score::FirstOrderGradient`] and the second order.
    pub gradient_decay_rate: f64,
    /// Whether an update also takes weights back, and by what.
    pub regrow: Regrow,
    /// Share of the weights that stay which the first update exchanges, 0 to 1; by a cosine it falls
    /// to 0 at `end_pruning_step`.
    pub regrow_fraction: f64,
    /// What becomes of a weight while its mask bit is 0.
    pub pruned: Pruned,
}

impl Default for PruningSpec {
    fn default() -> Self {
        Self {
            name: "model_pruning".into(),
            begin_pruning_step: 0,
            end_pruning_step: -1,
            do_not_prune: Vec::new(),
            threshold_decay: 0.9,
            pruning_frequency: 10,
            final_update: true,
            nbins: 256,
            block_height: 1,
            block_width: 1,
            block_pooling_function: BlockPooling::default(),
            block_dims_map: Vec::new(),
            pattern: Pattern::default(),
            initial_sparsity: 0.0,
            target_sparsity: 0.5,
            sparsity_function_begin_step: 0,
            sparsity_function_end_step: 100,
            sparsity_function_exponent: 3.0,
            schedule: Schedule::default(),
            use_tpu: false,
            threshold: Threshold::default(),
            weight_sparsity_map: Vec::new(),
            budget: Budget::default(),
            scope: Scope::default(),
            groups: Vec::new(),
            first_layer_sparsity: None,
            last_layer_sparsity: None,
            target_parameters: None,
            target_flops: None,
            keep_units: true,
            score: Score::default(),
            gradient_decay_rate: 0.99,
            regrow: Regrow::default(),
            regrow_fraction: 0.3,
            pruned: Pruned::default(),
        }
    }
}

impl PruningSpec {
    /// Whether updates read the gradients of the pruned weights, which then keep a tensor of their
    /// own: as many bytes as the weights.
    pub fn needs_gradients(&self) -> bool {
        self.regrow == Regrow::Rigl || self.score == Score::Saliency
    }

    /// Whether all weights of a tensor are ranked with each other: no blocks, channels, N:M, units.
    pub(crate) fn ranks_weights(&self) -> bool {
        self.pattern == Pattern::Element && !self.has_blocks() && self.scope != Scope::Unit
    }

    /// Whether `do_not_prune` keeps the weight of this name dense.
    pub fn excludes(&self, weight_name: &str) -> bool {
        self.do_not_prune.iter().any(|part| !part.is_empty() && weight_name.contains(part.as_str()))
    }
}
