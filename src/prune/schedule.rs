//! How far to prune at which step, and which steps update the masks.
use std::iter;

use super::choice::{Regrow, Schedule};
use super::spec::PruningSpec;
use crate::kernels::Pruned;
use crate::{Error, Result};

impl PruningSpec {
    /// Sparsity that the schedule asks for after global step `step`: `initial_sparsity` up to
    /// `sparsity_function_begin_step`, `target_sparsity` from `sparsity_function_end_step` on,
    /// and between them `(initial - target) * (1 - p)^exponent + target`, where `p` is the share
    /// of the way done.
    ///
    /// The other schedules are said with [`Schedule`].
    ///
    /// Computed in f64. Upstream computes in f32, where the sparsity is off by up to
    /// `2^-24 * (|initial - target| * (exponent + 4) + 2)` for exponents from 1 on, to first
    /// order: `exponent` for the roundings of `p` and `1 - p`, 4 for power, difference and
    /// product, 2 for the two sparsities and the sum. The bound is absolute, so close to sparsity
    /// 0 the two may agree in few digits.
    pub fn sparsity_at(&self, step: u64) -> f64 {
        let (begin, end) = (self.sparsity_function_begin_step, self.sparsity_function_end_step);
        let (initial, target) = (self.initial_sparsity, self.target_sparsity);
        let way = || (step - begin) as f64 / (end - begin) as f64;
        let left = match self.schedule {
            Schedule::OneShot => 0.0,
            Schedule::Constant if step >= begin => 0.0,
            _ if step <= begin => return initial,
            _ if step >= end => 0.0,
            Schedule::Polynomial => (1.0 - way()).powf(self.sparsity_function_exponent),
            Schedule::Cosine => (1.0 + (std::f64::consts::PI * way()).cos()) / 2.0,
            Schedule::Constant => 1.0,
        };
        if left == 0.0 { target } else { (initial - target) * left + target }
    }

    /// The same with a schedule that fits a run of `steps`: the sparsity leaves the initial one
    /// after a ninth of them, reaches the target after two thirds, and is updated 90 times in a
    /// run, so that a third is left to train with what stays.
    #[must_use]
    pub fn over(self, steps: u64) -> Self {
        let part = |share: f64| (steps as f64 * share).round() as u64;
        let begin = part(1.0 / 9.0);
        self.sparsity_function_begin_step(begin)
            .sparsity_function_end_step(part(2.0 / 3.0).max(begin + 1))
            .pruning_frequency(part(1.0 / 90.0).max(1))
    }

    /// The same for weights that a penalty draws to their projection ([`Pruned::Pull`]): the target
    /// is reached after half of the steps, and the last projection is after two thirds, from where
    /// on what stays trains alone.
    #[must_use]
    pub fn pulled_over(self, penalty: f64, steps: u64) -> Self {
        let part = |share: f64| (steps as f64 * share).round() as u64;
        let spec = self.over(steps);
        let end = part(0.5).max(spec.sparsity_function_begin_step + 1);
        let last = part(2.0 / 3.0).max(end) as i64;
        let spec = spec.pruned(Pruned::Pull).penalty(penalty);
        spec.sparsity_function_end_step(end).end_pruning_step(last)
    }

    /// Sparsity that the last mask update of a run asks for, which starts at global step
    /// `first_step`, its last update at `last_update` (0 = none yet), and ends at `last_step`.
    pub fn sparsity_reached(&self, first_step: u64, last_step: u64, last_update: u64) -> f64 {
        let first = self.next_update(first_step, last_update).filter(|&step| step <= last_step);
        match (first, last_update) {
            (Some(first), _) => self.sparsity_at(self.last_update_until(first, last_step)),
            (None, 0) => 0.0,
            (None, last_update) => self.sparsity_at(last_update),
        }
    }

    /// Whether global step `step` updates the masks, when the last update was at `last_update`
    /// (0 = none yet).
    ///
    /// It does inside `begin_pruning_step..=end_pruning_step` once `pruning_frequency` steps have
    /// passed since the last update, and, with `final_update`, whatever the frequency, at the step
    /// after which the schedule stands still (`sparsity_function_end_step`, or `end_pruning_step`
    /// where that comes first), so that the last mask is as sparse as the schedule asks.
    pub fn is_update_due(&self, step: u64, last_update: u64) -> bool {
        step > 0 && self.next_update(step - 1, last_update) == Some(step)
    }

    /// First step after `step` that updates the masks, when the last update was at `last_update`.
    pub fn next_update(&self, step: u64, last_update: u64) -> Option<u64> {
        let next = step.max(last_update).checked_add(1)?;
        if self.schedule == Schedule::OneShot {
            let due = self.begin_pruning_step.max(next);
            return (last_update == 0 && due <= self.last_step()).then_some(due);
        }
        let regular = last_update.saturating_add(self.pruning_frequency);
        let due = regular.max(self.begin_pruning_step).max(next);
        let last = self.forced_update().filter(|&last| last >= self.begin_pruning_step);
        let due = last.filter(|last| (next..due).contains(last)).unwrap_or(due);
        (due <= self.last_step()).then_some(due)
    }

    /// Share of the weights that stay which an update at `step` exchanges for others: from
    /// `regrow_fraction` at step 0 to 0 at `end_pruning_step`, by half a cosine.
    pub fn regrow_fraction_at(&self, step: u64) -> f64 {
        let end = self.last_step();
        if self.regrow == Regrow::None || step >= end {
            return 0.0;
        }
        let way = step as f64 / end as f64;
        self.regrow_fraction * (1.0 + (std::f64::consts::PI * way).cos()) / 2.0
    }

    /// All steps in `after + 1 ..= until` that update the masks, when the last update before them
    /// was at `last_update`.
    pub fn update_steps(
        &self,
        after: u64,
        until: u64,
        last_update: u64,
    ) -> impl Iterator<Item = u64> {
        let first = self.next_update(after, last_update);
        iter::successors(first, |&step| self.next_update(step, step))
            .take_while(move |&step| step <= until)
    }

    /// Checks that a run prunes at all when it starts at global step `first_step`, its last mask
    /// update at `last_update`, and runs until global step `last_step`.
    ///
    /// Nothing to find where no step is run, where the spec asks for sparsity 0 throughout, or
    /// where an earlier update has already pruned.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) that says why no update in
    /// `first_step + 1 ..= last_step` would have a sparsity above 0.
    pub fn check_fires(&self, first_step: u64, last_step: u64, last_update: u64) -> Result<()> {
        let dense = self.initial_sparsity == 0.0 && self.target_sparsity == 0.0;
        let pruned = last_update > 0 && self.sparsity_at(last_update) > 0.0;
        if last_step <= first_step || dense || pruned {
            return Ok(());
        }
        let fail = |message| Err(Error::argument("pruning", message));
        let Some(first) = self.next_update(first_step, last_update) else {
            return fail(format!(
                "the run starts at step {first_step}, and no mask update follows up to \
                 end_pruning_step {}; raise end_pruning_step",
                self.end_pruning_step
            ));
        };
        if first > last_step {
            return fail(format!(
                "first mask update would be at step {first} (begin_pruning_step {}, \
                 pruning_frequency {}) but the run ends at step {last_step}; run longer or \
                 prune earlier",
                self.begin_pruning_step, self.pruning_frequency
            ));
        }
        // The schedule rises or falls throughout, so its largest value is at one of the ends.
        let last = self.last_update_until(first, last_step);
        if self.sparsity_at(first) > 0.0 || self.sparsity_at(last) > 0.0 {
            return Ok(());
        }
        let zero = if self.target_sparsity > 0.0 {
            format!("up to sparsity_function_begin_step {}", self.sparsity_function_begin_step)
        } else {
            format!("from sparsity_function_end_step {} on", self.sparsity_function_end_step)
        };
        fail(format!(
            "no mask update from step {first} to {last} would prune anything, since the sparsity \
             is 0 {zero}; let the schedule overlap the updates"
        ))
    }

    /// Last mask update up to `until`, when there is one at `first`.
    fn last_update_until(&self, first: u64, until: u64) -> u64 {
        let until = until.min(self.last_step());
        let forced = self.forced_update().filter(|last| (first..=until).contains(last));
        let base = forced.unwrap_or(first);
        let frequency = self.pruning_frequency.max(1);
        base + (until - base) / frequency * frequency
    }

    /// Step that updates whatever the frequency, if `begin_pruning_step` is not after it.
    fn forced_update(&self) -> Option<u64> {
        let still = match self.schedule {
            Schedule::Constant => self.sparsity_function_begin_step,
            _ => self.sparsity_function_end_step,
        };
        self.final_update.then(|| still.min(self.last_step()))
    }

    /// Last step that may update.
    fn last_step(&self) -> u64 {
        u64::try_from(self.end_pruning_step).unwrap_or(u64::MAX)
    }
}

/// How many of `len` weights are pruned at this sparsity: `len * sparsity`, rounded half to even.
///
/// One f64 product, so a half counts as the product has it: 15 * 0.9 is 13.5 and gives 14, 45 * 0.7
/// is 31.499999999999996 and gives 31, as in any IEEE 754 arithmetic. For `len` up to 2^53 the
/// product is off by at most half a unit in its last place; sparsity 0 gives 0 and sparsity 1 gives
/// `len`. A sparsity outside 0 to 1 counts as the nearer end, NaN as 0.
pub fn pruned_count(len: u64, sparsity: f64) -> u64 {
    ((len as f64 * sparsity).round_ties_even() as u64).min(len)
}
