//! The ranges of the settings, and which of them exclude each other.
use std::fmt;

use super::choice::{Budget, Regrow, Schedule, Scope, Threshold};
use super::pattern::Pattern;
use super::spec::PruningSpec;
use crate::kernels::Pruned;
use crate::{Error, Result};

impl PruningSpec {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Argument`] for the first field outside its range, with its value and the range, or
    /// that another one excludes.
    pub fn validate(&self) -> Result<()> {
        let s = self;
        let fraction = |x: f64| (0.0..=1.0).contains(&x);
        let block = |n: i64| n == -1 || n >= 1;
        let end_ok = u64::try_from(s.end_pruning_step)
            .map_or(s.end_pruning_step == -1, |end| end >= s.begin_pruning_step);

        check(is_plain(&s.name), "name", &s.name, PLAIN)?;
        let end_range = format!("-1 or at least begin_pruning_step ({})", s.begin_pruning_step);
        check(end_ok, "end_pruning_step", s.end_pruning_step, end_range)?;
        let decay_ok = (0.0..1.0).contains(&s.threshold_decay);
        check(decay_ok, "threshold_decay", s.threshold_decay, "at least 0 and below 1")?;
        check(s.pruning_frequency >= 1, "pruning_frequency", s.pruning_frequency, "at least 1")?;
        check((2..=65_536).contains(&s.nbins), "nbins", s.nbins, "in 2 to 65536")?;
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

        for (field, value) in [
            ("first_layer_sparsity", s.first_layer_sparsity),
            ("last_layer_sparsity", s.last_layer_sparsity),
        ] {
            let value = value.unwrap_or(0.0);
            check(fraction(value), field, value, "in 0 to 1")?;
        }
        s.validate_entries()?;
        check(fraction(s.regrow_fraction), "regrow_fraction", s.regrow_fraction, "in 0 to 1")?;
        let rate = s.gradient_decay_rate;
        let rate_ok = (0.0..1.0).contains(&rate);
        check(rate_ok, "gradient_decay_rate", rate, "at least 0 and below 1")?;
        s.validate_together()
    }

    /// Settings that exclude each other.
    fn validate_together(&self) -> Result<()> {
        let together = self.scope == Scope::Global || !self.groups.is_empty();
        let refuse = |field, message: &str| Err(Error::argument(field, message));
        if self.target_parameters.is_some() && self.target_flops.is_some() {
            return refuse("target_flops", "target_parameters is given too; leave one out");
        }
        if together && self.budget == Budget::Erk {
            return refuse(
                "budget",
                "erk divides among tensors that a ranking of several would divide by score; write budget=uniform, or scope=layer without groups",
            );
        }
        if together && self.threshold == Threshold::Histogram {
            return refuse(
                "threshold",
                "histogram is of one tensor; write scope=layer and no groups, or threshold=exact",
            );
        }
        self.pattern.check(self)?;
        let blocks = self.pattern != Pattern::Element || self.has_blocks();
        if self.regrow != Regrow::None && blocks {
            return refuse(
                "regrow",
                "it exchanges single weights: write pattern=element, 1x1 blocks",
            );
        }
        self.score.check_name()?;
        self.score.scoring().check(self)?;
        if self.pruned == Pruned::Pull {
            self.validate_pull()?;
        }
        if self.regrow != Regrow::None {
            if self.pruned != Pruned::Zero {
                return refuse("regrow", "weights grow from 0: write pruned=zero");
            }
            if self.threshold == Threshold::Histogram {
                return refuse("regrow", "it exchanges exact numbers: write threshold=exact");
            }
            if self.end_pruning_step < 0 {
                return refuse(
                    "regrow",
                    "the exchange fades out towards end_pruning_step; give one",
                );
            }
        }
        Ok(())
    }
}

impl PruningSpec {
    /// Settings that `pruned=pull` excludes.
    fn validate_pull(&self) -> Result<()> {
        let refuse = |field, message: &str| Err(Error::argument(field, message));
        let penalty = self.penalty;
        check(penalty.is_finite() && penalty > 0.0, "penalty", penalty, "finite and above 0")?;
        if self.threshold == Threshold::Histogram {
            return refuse(
                "threshold",
                "pull projects weights on an exact number of them: write threshold=exact",
            );
        }
        if self.schedule == Schedule::OneShot {
            return refuse(
                "schedule",
                "pull draws weights to their projection from update to update, and one_shot has \
                 one; write another schedule, or pruned=zero",
            );
        }
        Ok(())
    }
}

fn check(ok: bool, field: &str, value: impl fmt::Display, range: impl fmt::Display) -> Result<()> {
    if ok { Ok(()) } else { Err(Error::argument(field, format!("{value}: must be {range}"))) }
}

pub(super) const PLAIN: &str = "non-empty text without `,`, `[`, `]` or a space at its ends";

/// Whether the string form can carry the text as a value.
pub(super) fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && !text.contains([',', '[', ']'])
}
