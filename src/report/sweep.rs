//! Runs of one recipe with other settings: what they came to, by sparsity and by bytes.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::chart::{Look, Point, Scatter};
use super::html::Html;
use super::number::{Unit, digits, percent, seconds};
use super::page::document;
use crate::nn::Metric;
use crate::{Error, Result};

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

    /// The picture of the figure against sparsity, as a file of its own; `None` where no run has
    /// come to its end.
    pub fn picture(&self) -> Option<String> {
        let (light, _) = STYLE.split_once("@media").unwrap_or_default();
        let rules = STYLE.lines().filter(|line| line.starts_with("svg "));
        let style: Vec<&str> = light.lines().chain(rules).collect();
        let style =
            style.join("\n").replace(":root", "svg").replace("color-scheme: light dark;", "");
        self.chart(&self.groups(), false)?.alone(&style)
    }

    /// A chart of the figure against sparsity, or against bytes.
    fn chart(&self, groups: &[Group], bytes: bool) -> Option<Scatter> {
        let figure = &groups.iter().find(|group| !group.figure.is_empty())?.figure;
        let mut series: Vec<(String, Vec<Point>)> = Vec::new();
        for group in groups.iter().filter(|group| group.figure == *figure) {
            let x = if bytes { group.bytes } else { group.sparsity };
            let Some(x) = x else { continue };
            let point = Point { x, values: group.values.clone() };
            let name = group.name(|axis| !is_sparsity(axis));
            match series.iter_mut().find(|(known, _)| *known == name) {
                Some((_, points)) => points.push(point),
                None => series.push((name, vec![point])),
            }
        }
        series.iter_mut().for_each(|(_, points)| points.sort_by(|a, b| a.x.total_cmp(&b.x)));
        let one = series.len() == 1;
        let look = |at: usize| if one { Look::Accent } else { Look::Nth(at) };
        let series = series.into_iter().enumerate();
        let series = series.map(|(at, (name, points))| (name, look(at), points)).collect();
        let (name, unit) = shown(figure);
        let x = if bytes { "bytes of the weights, packed" } else { "sparsity" };
        Some(Scatter {
            title: format!("{name} against {x}"),
            note: "mean and standard deviation over the seeds; small dots are single runs".into(),
            names: [x.to_owned(), name],
            units: [if bytes { Unit::Bytes } else { Unit::Share }, unit],
            log: bytes,
            series,
        })
    }
}

const STYLE: &str = include_str!("style.css");

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
    let shares = [Metric::Accuracy, Metric::LabelAccuracy].map(|metric| metric.name());
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

pub(super) fn page(sweep: &Sweep) -> String {
    let groups = sweep.groups();
    let done = sweep.trials.iter().filter(|trial| trial.outcome.is_some()).count();
    let under = format!("{done} of {} runs of {}", sweep.trials.len(), sweep.recipe);
    let sections = [("result", "Result"), ("runs", "All runs")];
    document(&format!("Sweep {}", sweep.name), &under, &sections, |html| {
        html.section("result", "Result", |html| {
            html.charts("", |html| {
                for chart in [false, true].into_iter().filter_map(|by| sweep.chart(&groups, by)) {
                    chart.draw(html);
                }
            });
            table(html, &groups, &sweep.axes);
        });
        html.section("runs", "All runs", |html| trials(html, sweep));
    })
}

fn table(html: &mut Html, groups: &[Group], axes: &[String]) {
    let figure = groups.iter().map(|group| group.figure.as_str()).find(|figure| !figure.is_empty());
    let head = Group::head(axes, figure.unwrap_or_default());
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let rows: Vec<_> = groups.iter().map(|group| group.row(axes)).collect();
    html.table("Means over the seeds", &head, &rows);
}

fn trials(html: &mut Html, sweep: &Sweep) {
    let row = |trial: &Trial| {
        let mut row = vec![trial.name.clone(), trial.seed.to_string()];
        match &trial.outcome {
            Some(outcome) => {
                let (name, unit) = shown(&outcome.figure);
                let bytes =
                    [outcome.bytes, outcome.dense_bytes].map(|b| Unit::Bytes.full(b as f64));
                row.push(format!("{} {name}", unit.full(outcome.value)));
                row.push(percent(outcome.sparsity));
                row.extend(bytes);
                row.push(seconds(outcome.seconds));
            }
            None => {
                let failed = trial.failed.clone().unwrap_or_else(|| "has not ended".to_owned());
                row.push(failed);
                row.extend(std::iter::repeat_n("-".to_owned(), 4));
            }
        }
        row
    };
    let rows: Vec<_> = sweep.trials.iter().map(row).collect();
    let head = ["run", "seed", "came to", "sparsity", "bytes", "dense", "time"];
    html.table("Every run", &head, &rows);
}

/// Where a sweep keeps its results.
impl Sweep {
    /// Writes its results into `folder`, with the page and the picture.
    ///
    /// # Errors
    /// [`Error::Io`] names the file.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        use crate::storage::replace;
        let path = |name: &str| folder.join(name);
        let json = serde_json::to_string_pretty(self)
            .map_err(|e| Error::argument("sweep", e.to_string()))?;
        let mut written = vec![path(SWEEP_FILE), path("sweep.csv"), path(super::PAGE_FILE)];
        replace(&written[0], json.as_bytes())?;
        replace(&written[1], self.csv().as_bytes())?;
        replace(&written[2], page(self).as_bytes())?;
        if let Some(picture) = self.picture() {
            written.push(path("sweep.svg"));
            replace(&path("sweep.svg"), picture.as_bytes())?;
        }
        Ok(written)
    }

    /// A line a run, as CSV.
    fn csv(&self) -> String {
        let mut out = csv::Writer::from_writer(Vec::new());
        let fixed = ["seed", "figure", "value", "sparsity", "bytes", "dense_bytes", "seconds"];
        let head = ["run"].into_iter().chain(self.axes.iter().map(String::as_str));
        // Into memory, which takes all.
        out.write_record(head.chain(fixed).chain(["failed"])).ok();
        for trial in &self.trials {
            let setting = |axis| trial.settings.get(axis).cloned().unwrap_or_default();
            let mut row = vec![trial.name.clone()];
            row.extend(self.axes.iter().map(setting));
            row.push(trial.seed.to_string());
            match &trial.outcome {
                Some(TrialOutcome { figure, value, sparsity, bytes, dense_bytes, seconds }) => {
                    let numbers = [value.to_string(), sparsity.to_string(), bytes.to_string()];
                    row.push(figure.clone());
                    row.extend(numbers);
                    row.extend([dense_bytes.to_string(), seconds.to_string()]);
                }
                None => row.extend(std::iter::repeat_n(String::new(), 6)),
            }
            row.push(trial.failed.clone().unwrap_or_default());
            out.write_record(row).ok();
        }
        String::from_utf8(out.into_inner().unwrap_or_default()).unwrap_or_default()
    }
}
