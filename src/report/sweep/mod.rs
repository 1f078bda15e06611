//! Runs of one recipe with other settings: what they came to, by sparsity and by bytes.
mod files;
mod page;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::chart::Point;
use super::number::{Unit, digits, percent, seconds};
use crate::nn::Metric;
use crate::{Error, Result};

pub(super) use page::page;

/// File name of a sweep's results in its folder.
pub const SWEEP_FILE: &str = "sweep.json";

/// A grid of runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sweep {
    /// What it is called: its folder.
    pub name: String,
    /// The recipe that all runs share.
    pub recipe: String,
    /// Settings that differ, without the seed.
    pub axes: Vec<String>,
    /// Each run, in the order of the grid.
    pub trials: Vec<Trial>,
}

/// A run of a sweep.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Trial {
    /// Its folder within the sweep's.
    pub name: String,
    /// Its value on each axis.
    pub settings: BTreeMap<String, String>,
    /// Its seed.
    pub seed: u64,
    /// What it came to, where it came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<TrialOutcome>,
    /// Why it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TrialOutcome {
    /// What its network is measured by, like `test_accuracy`.
    pub figure: String,
    /// The figure on all test rows.
    pub value: f64,
    /// Share of zeros over the weights that have masks.
    pub sparsity: f64,
    /// Bytes of the weights as the smallest exact file.
    pub bytes: u64,
    /// Bytes of the weights as a dense file.
    pub dense_bytes: u64,
    /// Seconds that its steps took.
    pub seconds: f64,
}

/// Runs that differ in their seed only.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Group {
    /// Their value on each axis.
    pub settings: BTreeMap<String, String>,
    /// What their network is measured by; empty where none has come to its end.
    pub figure: String,
    /// Runs that have come to their end, and all.
    pub runs: [usize; 2],
    /// Figures of the runs that have.
    pub values: Vec<f64>,
    /// Their mean; `None` of none.
    pub mean: Option<f64>,
    /// Standard deviation around it, by n - 1; `None` of fewer than two.
    pub deviation: Option<f64>,
    /// Mean share of zeros.
    pub sparsity: Option<f64>,
    /// Mean bytes of the weights, packed.
    pub bytes: Option<f64>,
    /// Mean seconds of the steps.
    pub seconds: Option<f64>,
}

impl Sweep {
    /// A sweep called `name`, of a recipe, over `axes`, with no run yet.
    pub fn new(name: &str, recipe: &str, axes: Vec<String>) -> Self {
        Self { name: name.into(), recipe: recipe.into(), axes, trials: Vec::new() }
    }

    /// Reads the results in `folder`.
    ///
    /// # Errors
    /// [`Error::Io`] where they cannot be read, [`Error::File`] where they are none.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(SWEEP_FILE);
        let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
        let wrong = |e| Error::file(&path, format!("is no sweep's result: {e}"));
        serde_json::from_slice(&bytes).map_err(wrong)
    }

    /// Runs by their settings without the seed, in the order of the grid.
    pub fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<(&BTreeMap<String, String>, Vec<&Trial>)> = Vec::new();
        for trial in &self.trials {
            match groups.iter_mut().find(|(settings, _)| **settings == trial.settings) {
                Some((_, trials)) => trials.push(trial),
                None => groups.push((&trial.settings, vec![trial])),
            }
        }
        groups.into_iter().map(|(settings, trials)| Group::of(settings, &trials)).collect()
    }
}

impl Trial {
    /// A run called `name` with these settings, not yet at its end.
    pub fn new(name: &str, settings: BTreeMap<String, String>, seed: u64) -> Self {
        Self { name: name.into(), settings, seed, ..Self::default() }
    }
}

impl TrialOutcome {
    /// What the run in `logdir` came to; `None` where it has not come to its end, or its result
    /// says no figure.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::File`] name the file.
    pub fn read(logdir: &Path) -> Result<Option<Self>> {
        let path = logdir.join(super::RESULT_FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
        let wrong = |e| Error::file(&path, format!("is no result of a run: {e}"));
        let result: serde_json::Value = serde_json::from_slice(&bytes).map_err(wrong)?;
        let number = |name: &str| result.get(name).and_then(serde_json::Value::as_f64);
        let known = FIGURES.iter().map(|name| format!("test_{name}"));
        let Some((figure, value)) = known.into_iter().find_map(|n| Some((n.clone(), number(&n)?)))
        else {
            return Ok(None);
        };
        let Some([dense_bytes, bytes]) = super::sizes(logdir)? else { return Ok(None) };
        let sparsity = number("sparsity").unwrap_or(0.0);
        let seconds = number("seconds").unwrap_or(0.0);
        Ok(Some(Self { figure, value, sparsity, bytes, dense_bytes, seconds }))
    }
}

/// What runs are compared by, the first that their results have.
const FIGURES: [&str; 6] = [
    "perplexity",
    "accuracy",
    "label_accuracy",
    "mean_squared_error",
    "mean_absolute_error",
    "loss",
];

/// A figure as people call it, and what it counts.
fn shown(figure: &str) -> (String, Unit) {
    let shares = [Metric::Accuracy, Metric::LabelAccuracy].map(Metric::name);
    let is_share = shares.iter().any(|share| figure == format!("test_{share}"));
    (figure.replace('_', " "), if is_share { Unit::Share } else { Unit::Plain })
}

fn is_sparsity(axis: &str) -> bool {
    ["sparsity", "pruning.target_sparsity"].contains(&axis)
}

impl Group {
    fn of(settings: &BTreeMap<String, String>, trials: &[&Trial]) -> Self {
        let done: Vec<&TrialOutcome> = trials.iter().filter_map(|t| t.outcome.as_ref()).collect();
        let mean = |of: fn(&TrialOutcome) -> f64| {
            let sum: f64 = done.iter().map(|outcome| of(outcome)).sum();
            (!done.is_empty()).then(|| sum / done.len() as f64)
        };
        let values: Vec<f64> = done.iter().map(|outcome| outcome.value).collect();
        let point = Point { x: 0.0, values: values.clone() };
        Self {
            settings: settings.clone(),
            figure: done.first().map(|outcome| outcome.figure.clone()).unwrap_or_default(),
            runs: [done.len(), trials.len()],
            mean: mean(|outcome| outcome.value),
            deviation: point.deviation(),
            sparsity: mean(|outcome| outcome.sparsity),
            bytes: mean(|outcome| outcome.bytes as f64),
            seconds: mean(|outcome| outcome.seconds),
            values,
        }
    }

    /// Its settings on the axes that are `wanted`.
    fn name(&self, wanted: impl Fn(&str) -> bool) -> String {
        let settings = self.settings.iter().filter(|(axis, _)| wanted(axis));
        settings.map(|(axis, value)| format!("{axis} {value}")).collect::<Vec<_>>().join(", ")
    }

    /// The row of a table: settings, runs, mean, spread, sparsity, bytes, time.
    pub fn row(&self, axes: &[String]) -> Vec<String> {
        let (_, unit) = shown(&self.figure);
        let missing = || "-".to_owned();
        let spread = |deviation: f64| match unit {
            Unit::Share => format!("{:.2} points", deviation * 100.0),
            _ => digits(deviation, 3),
        };
        let setting = |axis: &String| self.settings.get(axis).cloned().unwrap_or_else(missing);
        let mut row: Vec<String> = axes.iter().map(setting).collect();
        let [done, all] = self.runs;
        row.push(if done == all { done.to_string() } else { format!("{done} of {all}") });
        row.push(self.mean.map_or_else(missing, |mean| unit.full(mean)));
        row.push(self.deviation.map_or_else(missing, spread));
        row.push(self.sparsity.map_or_else(missing, percent));
        row.push(self.bytes.map_or_else(missing, |bytes| Unit::Bytes.full(bytes)));
        row.push(self.seconds.map_or_else(missing, seconds));
        row
    }

    /// The head of such a table.
    pub fn head(axes: &[String], figure: &str) -> Vec<String> {
        let (figure, _) = shown(figure);
        let figure = if figure.is_empty() { "figure".to_owned() } else { figure };
        let rest = ["runs", &figure, "deviation", "sparsity", "bytes", "time"];
        axes.iter().cloned().chain(rest.map(str::to_owned)).collect()
    }
}
