//! Figures of an evaluation, as JSON and as people read them.
use secateur::nn::{Figures, Metric};
use serde::{Serialize, Serializer};

use super::output;

/// Figures under names like `test_accuracy`.
#[derive(Debug)]
pub struct Figured(Vec<(String, f64)>);

impl Figured {
    /// `figures` of what `of` says: `test`, `train`, `dense_test`.
    pub fn new(of: &str, figures: &Figures) -> Self {
        let named = |(metric, value): (Metric, f64)| (format!("{of}_{}", metric.name()), value);
        Self(figures.iter().map(named).collect())
    }
}

impl Serialize for Figured {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// `test accuracy` and `97.22 %`; an error as a number.
pub fn line_of(of: &str, (metric, value): (Metric, f64)) -> (String, String) {
    let value = match metric.is_share() {
        true => output::percent(value),
        false => format!("{value:.6}"),
    };
    (format!("{of} {}", metric.name().replace('_', " ")), value)
}
