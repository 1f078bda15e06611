//! Which checkpoints a save leaves standing.
use std::collections::HashSet;

const SECONDS_PER_HOUR: f64 = 3600.0;

/// Which checkpoints stay once newer ones are there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retention {
    /// Newest checkpoints that stay, the one just written included; 0 counts as 1.
    pub max_to_keep: usize,
    /// Of the older ones, the first of every so many hours since the run began stays for good, but
    /// for the first such stretch. A number that is not finite and above 0 counts as `None`.
    pub keep_every_n_hours: Option<f64>,
}

impl Retention {
    /// Only the newest `max_to_keep`.
    pub fn newest(max_to_keep: usize) -> Self {
        Self { max_to_keep, keep_every_n_hours: None }
    }

    /// The steps to delete among `checkpoints`, each a step and when it was written; all times in
    /// seconds since 1970. Newest first.
    ///
    /// Steps say which is older, never the clock: a clock that jumps may keep more, but what goes
    /// is always among those that `max_to_keep` alone would delete, and what stays once stays.
    pub fn outdated(&self, begun_unix: u64, checkpoints: &[(u64, u64)]) -> Vec<u64> {
        let mut older = checkpoints.to_vec();
        older.sort_unstable_by_key(|&(step, _)| step);
        older.truncate(older.len().saturating_sub(self.max_to_keep.max(1)));
        if let Some(hours) = self.keep_every_n_hours.filter(|n| n.is_finite() && *n > 0.0) {
            let window = |time: u64| {
                let age = time.saturating_sub(begun_unix);
                (age as f64 / (hours * SECONDS_PER_HOUR)) as u64
            };
            let mut kept = HashSet::from([0]);
            older.retain(|&(_, time)| !kept.insert(window(time)));
        }
        older.into_iter().rev().map(|(step, _)| step).collect()
    }
}
