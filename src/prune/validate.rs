//! The ranges of the settings, and which of them exclude each other.
use std::fmt;

use super::choice::{Budget, Regrow, Scope, Score, Threshold};
use super::pattern::Pattern;
use super::spec::PruningSpec;
use crate::kernels::{BlockPooling, Pruned};
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
        for entry in s.weight_sparsity_map() {
            let (entry, target) = entry?;
            check(
                fraction(target),
                "weight_sparsity_map",
                entry,
                "regex:target, the target in 0 to 1",
            )?;
        }
        for entry in s.block_dims_map() {
            let (entry, [height, width]) = entry?;
            let ok = block(height) && block(width);
            check(ok, "block_dims_map", entry, "regex:HxW, each -1 or at least 1")?;
        }
        s.groups().try_for_each(|group| group.map(|_| ()))?;
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
        if self.scope == Scope::Unit {
            let plain = self.pattern == Pattern::Element && !self.has_blocks();
            let exact = self.threshold == Threshold::Exact && self.regrow == Regrow::None;
            if !(plain && exact && self.groups.is_empty()) {
                return refuse(
                    "scope",
                    "unit ranks the weights of each output unit: write pattern=element, 1x1 blocks, no groups, threshold=exact, regrow=none",
                );
            }
        }
        self.validate_pattern()?;
        if self.score == Score::Movement && self.threshold == Threshold::Histogram {
            return refuse(
                "score",
                "movement is signed, and a histogram is of magnitudes: write threshold=exact",
            );
        }
        if self.score == Score::Movement
            && self.block_pooling_function == BlockPooling::Max
            && (self.has_blocks() || self.pattern == Pattern::Channel)
        {
            return refuse(
                "block_pooling_function",
                "max: movement is signed, a block moves by the mean of its weights; write avg",
            );
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

    fn validate_pattern(&self) -> Result<()> {
        let refuse = |field, message: String| Err(Error::argument(field, message));
        let blocks = self.has_blocks();
        if self.pattern != Pattern::Element && blocks {
            return refuse(
                "pattern",
                format!("{}: blocks are a pattern too; choose one", self.pattern),
            );
        }
        if self.regrow != Regrow::None && (self.pattern != Pattern::Element || blocks) {
            return refuse(
                "regrow",
                "it exchanges single weights: write pattern=element, 1x1 blocks".into(),
            );
        }
        let Pattern::Nm { n, m } = self.pattern else { return Ok(()) };
        if !(1..=32).contains(&m) || n == 0 || n >= m {
            return refuse(
                "pattern",
                format!("{n}:{m}: must be N:M, N at least 1 and below M, M at most 32"),
            );
        }
        if self.target_parameters.is_some() || self.target_flops.is_some() {
            let message = format!("{n}:{m}: it says itself how much is left; leave out the target");
            return refuse("pattern", message);
        }
        let target = 1.0 - f64::from(n) / f64::from(m);
        if (self.target_sparsity - target).abs() > 1e-9 {
            let have = self.target_sparsity;
            return refuse(
                "target_sparsity",
                format!("{have}: pattern {n}:{m} ends at {target}; write that"),
            );
        }
        if self.threshold == Threshold::Histogram
            || self.scope == Scope::Global
            || !self.groups.is_empty()
        {
            return refuse(
                "pattern",
                format!(
                    "{n}:{m}: it ranks within its groups: write threshold=exact, scope=layer, no groups"
                ),
            );
        }
        Ok(())
    }

    pub(super) fn has_blocks(&self) -> bool {
        [self.block_height, self.block_width] != [1, 1] || !self.block_dims_map.is_empty()
    }
}

fn check(ok: bool, field: &str, value: impl fmt::Display, range: impl fmt::Display) -> Result<()> {
    if ok { Ok(()) } else { Err(Error::argument(field, format!("{value}: must be {range}"))) }
}

/// Whether the string form can carry the text unquoted.
fn is_plain(text: &str) -> bool {
    text.trim() == text && !text.contains([',', '[', ']'])
}
