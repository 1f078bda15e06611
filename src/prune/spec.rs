//! What to prune, how far and when: the settings of a pruning run.
use serde::{Deserialize, Serialize};

use super::choice::{Budget, Regrow, Schedule, Scope, Threshold};
use super::entries::{self, BlockDims, Group, TensorTarget};
use super::parse::{Field, Value};
use super::pattern::Pattern;
use super::score::Score;
use crate::kernels::{BlockPooling, Pruned};

/// All settings, each with its type and default: the struct, its builder, and what the string form
/// reads and writes.
macro_rules! settings {
    ($(
        $(#[doc = $doc:literal])* $(#[serde($($serde:tt)*)])?
        $name:ident: $type:ty = $default:expr;
    )*) => {
        /// Settings of a pruning run, under the names and defaults of TensorFlow r1.9's pruning
        /// hparams.
        ///
        /// Written as a struct, by a builder or by its fields, as TOML or JSON with any fields left
        /// out, or as one string:
        ///
        /// ```
        /// use secateur::prune::PruningSpec;
        ///
        /// let spec: PruningSpec = "target_sparsity=0.9,weight_sparsity_map=[fc1:0.5]".parse()?;
        /// assert_eq!(spec, PruningSpec::to(0.9).weight_sparsity_map(vec![("fc1", 0.5).into()]));
        ///
        /// let mut by_field = PruningSpec::default();
        /// by_field.target_sparsity = 0.9;
        /// by_field.weight_sparsity_map.push(("fc1", 0.5).into());
        /// assert_eq!(spec, by_field);
        /// # Ok::<(), secateur::Error>(())
        /// ```
        ///
        /// Steps are global steps, counted after the train step they follow. Neither the string
        /// form nor serde looks at ranges: [`PruningSpec::validate`] does.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(default, deny_unknown_fields)]
        #[non_exhaustive]
        pub struct PruningSpec {
            $($(#[doc = $doc])* $(#[serde($($serde)*)])? pub $name: $type,)*
        }

        impl Default for PruningSpec {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        /// Each field as a step of a builder: `PruningSpec::to(0.9).pruning_frequency(100)`.
        impl PruningSpec {
            /// Each setting with what it does, as files and messages say it.
            pub const HELP: &'static [(&'static str, &'static str)] =
                &[$((stringify!($name), concat!($($doc),*)),)*];

            $(
                #[doc = concat!("The same settings with this `", stringify!($name), "`.")]
                #[must_use]
                pub fn $name(self, $name: $type) -> Self {
                    Self { $name, ..self }
                }
            )*
        }

        /// In the order in which they are written.
        pub(super) const FIELDS: &[Field] = &[$(Field {
            name: stringify!($name),
            read: |spec, text| Value::read(text).map(|value| spec.$name = value),
            write: |spec| spec.$name.write(),
        }),*];
    };
}

settings! {
    /// Prefix of the summary tags: `<name>_summaries/...`.
    name: String = "model_pruning".into();
    /// First step that may update the masks.
    begin_pruning_step: u64 = 0;
    /// Last step that may update the masks, itself included; -1 = for ever.
    end_pruning_step: i64 = -1;
    /// Weights whose name contains one of these stay dense; empty strings match nothing.
    do_not_prune: Vec<String> = Vec::new();
    /// Share of the old threshold kept at an update, 0 <= decay < 1; only
    /// [`Threshold::Histogram`] uses it.
    threshold_decay: f64 = 0.9;
    /// Least number of steps from one mask update to the next.
    pruning_frequency: u64 = 10;
    /// Whether the masks are also updated, outside of the rhythm of `pruning_frequency`, at the
    /// step after which the schedule stands still, so that they end as sparse as it asks. Upstream
    /// has no such update: without it whole runs update at upstream's steps, and may end short of
    /// the target.
    final_update: bool = true;
    /// Bins of [`Threshold::Histogram`].
    nbins: u32 = 256;
    /// Rows of a block; -1 = all rows.
    block_height: i64 = 1;
    /// Columns of a block; -1 = all columns.
    block_width: i64 = 1;
    /// How the weights of a block become its one score.
    block_pooling_function: BlockPooling = BlockPooling::default();
    /// Blocks of single tensors, in place of `block_height` and `block_width`.
    #[serde(deserialize_with = "entries::list")]
    block_dims_map: Vec<BlockDims> = Vec::new();
    /// What is kept or pruned as one.
    pattern: Pattern = Pattern::default();
    /// Sparsity up to `sparsity_function_begin_step`, 0 to 1.
    initial_sparsity: f64 = 0.0;
    /// Sparsity from `sparsity_function_end_step` on, 0 to 1; may be below the initial one.
    target_sparsity: f64 = 0.5;
    /// Step at which the sparsity leaves `initial_sparsity`.
    sparsity_function_begin_step: u64 = 0;
    /// Step at which the sparsity reaches `target_sparsity`.
    sparsity_function_end_step: u64 = 100;
    /// Exponent of the way between them: 1 = straight line, above 1 = fast first, slow last.
    sparsity_function_exponent: f64 = 3.0;
    /// How the sparsity goes from the initial to the target one.
    schedule: Schedule = Schedule::default();
    /// Accepted for upstream's sake, changes nothing: upstream's two variants give the same masks.
    use_tpu: bool = false;
    /// How the weights to prune are found.
    threshold: Threshold = Threshold::default();
    /// Targets of single tensors: a tensor whose name the regular expression is found in goes to
    /// that sparsity, as fast as the others go to `target_sparsity`.
    #[serde(deserialize_with = "entries::list")]
    weight_sparsity_map: Vec<TensorTarget> = Vec::new();
    /// How the total sparsity is divided among the tensors that have no target of their own.
    budget: Budget = Budget::default();
    /// Whether the weights of a tensor are ranked among themselves, with those of all tensors, or
    /// with those of their output unit.
    scope: Scope = Scope::default();
    /// Named groups: the tensors of a group are ranked together, whatever the scope.
    #[serde(deserialize_with = "entries::list")]
    groups: Vec<Group> = Vec::new();
    /// Target of the first tensor with a mask; 0 keeps it dense.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_layer_sparsity: Option<f64> = None;
    /// Target of the last tensor with a mask; 0 keeps it dense.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_layer_sparsity: Option<f64> = None;
    /// In place of `target_sparsity`: how many parameters of the whole network, biases and dense
    /// layers included, are left in the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    target_parameters: Option<u64> = None;
    /// In place of `target_sparsity`: how many floating-point operations one example takes through
    /// the weights that are left in the end, a multiplication and an addition for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    target_flops: Option<u64> = None;
    /// Each output unit (a column) keeps its highest weight as long as the count leaves one for
    /// each: that changes which weights stay, never how many.
    keep_units: bool = true;
    /// What ranks the weights. Upstream's name for it, `prune_option`, is read too.
    #[serde(alias = "prune_option")]
    score: Score = Score::default();
    /// Share of the running mean that stays at an update, 0 <= decay < 1; of
    /// [`Score::FirstOrderGradient`] and the second order.
    gradient_decay_rate: f64 = 0.99;
    /// Whether an update also takes weights back, and by what.
    regrow: Regrow = Regrow::default();
    /// Share of the weights that stay which the first update exchanges, 0 to 1; by a cosine it
    /// falls to 0 at `end_pruning_step`.
    regrow_fraction: f64 = 0.3;
    /// What becomes of a weight while its mask bit is 0.
    pruned: Pruned = Pruned::default();
    /// With [`Pruned::Pull`] the strength of the penalty that draws weights to what the last mask
    /// update made of them: ELSA's lambda.
    penalty: f64 = 0.01;
}

impl PruningSpec {
    /// The defaults, but to `target_sparsity`.
    pub fn to(target_sparsity: f64) -> Self {
        Self { target_sparsity, ..Self::default() }
    }

    /// Whether updates read the gradients of the pruned weights, which then keep a tensor of their
    /// own: as many bytes as the weights.
    pub fn needs_gradients(&self) -> bool {
        self.regrow == Regrow::Rigl || self.score.scoring().needs_gradients()
    }

    /// Whether blocks are asked for.
    pub(super) fn has_blocks(&self) -> bool {
        [self.block_height, self.block_width] != [1, 1] || !self.block_dims_map.is_empty()
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
