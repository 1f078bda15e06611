//! A sweep as charts and tables.
use super::{Group, Sweep, Trial, is_sparsity, shown};
use crate::report::chart::{Look, Point, Scatter};
use crate::report::html::Html;
use crate::report::number::{Unit, percent, seconds};
use crate::report::page::document;

const STYLE: &str = include_str!("../style.css");

impl Sweep {
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

pub(in crate::report) fn page(sweep: &Sweep) -> String {
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
