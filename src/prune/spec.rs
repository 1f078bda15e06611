//! What to prune, how far and when: the settings of a pruning run.
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::kernels::Pruned;
use crate::{Error, Result};

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
    /// Bins of [`Threshold::Histogram`].
    pub nbins: u32,
    /// Rows of a block; -1 = all rows.
    pub block_height: i64,
    /// Columns of a block; -1 = all columns.
    pub block_width: i64,
    /// How the weights of a block become its one score.
    pub block_pooling_function: BlockPooling,
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
    /// Accepted for upstream's sake, changes nothing: upstream's two variants give the same masks.
    pub use_tpu: bool,
    /// How the weights to prune are found.
    pub threshold: Threshold,
    /// What becomes of a weight while its mask bit is 0.
    pub pruned: Pruned,
}

/// How the weights to prune are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Threshold {
    /// Exactly [`pruned_count`](super::pruned_count) weights of each tensor, smallest |w| first;
    /// of equal ones the lowest index is kept first.
    #[default]
    Exact,
    /// As r1.9 does: `nbins` bins over 0..max|w|, smoothed by `threshold_decay`.
    Histogram,
}

/// How the weights of a block become its one score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlockPooling {
    /// Mean of |w|, over the weights that are there in a block at the edge. Also read from `AVG`.
    #[default]
    #[serde(alias = "AVG")]
    Avg,
    /// Largest |w|. Also read from `MAX`.
    #[serde(alias = "MAX")]
    Max,
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
            nbins: 256,
            block_height: 1,
            block_width: 1,
            block_pooling_function: BlockPooling::default(),
            initial_sparsity: 0.0,
            target_sparsity: 0.5,
            sparsity_function_begin_step: 0,
            sparsity_function_end_step: 100,
            sparsity_function_exponent: 3.0,
            use_tpu: false,
            threshold: Threshold::default(),
            pruned: Pruned::default(),
        }
    }
}

impl PruningSpec {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Argument`] for the first field outside its range, with its value and the range,
    /// or that asks for what this version does not have: `threshold=histogram`, blocks other than
    /// 1x1.
    pub fn validate(&self) -> Result<()> {
        let s = self;
        let fraction = |x: f64| (0.0..=1.0).contains(&x);
        let block = |n: i64| n == -1 || n >= 1;
        let end_ok = u64::try_from(s.end_pruning_step)
            .map_or(s.end_pruning_step == -1, |end| end >= s.begin_pruning_step);

        let plain = "text without `,`, `[`, `]` or a space at its ends";
        check(
            !s.name.is_empty() && is_plain(&s.name),
            "name",
            &s.name,
            format!("non-empty {plain}"),
        )?;
        for entry in &s.do_not_prune {
            check(is_plain(entry), "do_not_prune", entry, plain)?;
        }
        let end_range = format!("-1 or at least begin_pruning_step ({})", s.begin_pruning_step);
        check(end_ok, "end_pruning_step", s.end_pruning_step, end_range)?;
        let decay_ok = (0.0..1.0).contains(&s.threshold_decay);
        check(decay_ok, "threshold_decay", s.threshold_decay, "at least 0 and below 1")?;
        check(s.pruning_frequency >= 1, "pruning_frequency", s.pruning_frequency, "at least 1")?;
        check(s.nbins >= 2, "nbins", s.nbins, "at least 2")?;
        check(block(s.block_height), "block_height", s.block_height, "-1 or at least 1")?;
        check(block(s.block_width), "block_width", s.block_width, "-1 or at least 1")?;
        let (initial, target) = (s.initial_sparsity, s.target_sparsity);
        check(fraction(initial), "initial_sparsity", initial, "in 0 to 1")?;
        check(fraction(target), "target_sparsity", target, "in 0 to 1")?;
        let (from, to) = (s.sparsity_function_begin_step, s.sparsity_function_end_step);
        let from_range = format!("below sparsity_function_end_step ({to})");
        check(from < to, "sparsity_function_begin_step", from, from_range)?;
        let exponent = s.sparsity_function_exponent;
        let exponent_ok = exponent > 0.0 && exponent.is_finite();
        check(exponent_ok, "sparsity_function_exponent", exponent, "finite and above 0")?;

        if s.threshold == Threshold::Histogram {
            let message =
                "histogram: this version has only exact thresholds; write threshold=exact";
            return Err(Error::argument("threshold", message));
        }
        for (field, value) in [("block_height", s.block_height), ("block_width", s.block_width)] {
            if value != 1 {
                let message = format!("{value}: this version has only 1x1 blocks; write {field}=1");
                return Err(Error::argument(field, message));
            }
        }
        Ok(())
    }

    /// Whether `do_not_prune` keeps the weight of this name dense.
    pub fn excludes(&self, weight_name: &str) -> bool {
        self.do_not_prune.iter().any(|part| !part.is_empty() && weight_name.contains(part.as_str()))
    }
}

fn check(ok: bool, field: &str, value: impl fmt::Display, range: impl fmt::Display) -> Result<()> {
    if ok { Ok(()) } else { Err(Error::argument(field, format!("{value}: must be {range}"))) }
}

/// Whether the string form can carry the text unquoted.
fn is_plain(text: &str) -> bool {
    text.trim() == text && !text.contains([',', '[', ']'])
}
