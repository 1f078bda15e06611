//! Runs side by side.
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::answer::{Figure, duration, headline, metric};
use super::learning::test_curve;
use super::run::command;
use super::{document, files, run as about};
use crate::report::chart::{Line, Lines, Look, Point, Scatter};
use crate::report::html::{Esc, Html, put};
use crate::report::logdir::{Run, Tensors};
use crate::report::number::{Unit, digits, percent, seconds, shape, thousands};

pub(super) fn page(mut runs: Vec<Run>) -> String {
    name_apart(&mut runs);
    let title = format!("{} runs compared", runs.len());
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    let sections = [
        ("result", "Result"),
        ("learning", "Learning"),
        ("layers", "Layers"),
        ("recipes", "Recipes"),
        ("runs", "The runs"),
    ];
    document(&title, &names.join(", "), &sections, |html| {
        html.section("result", "Result", |html| result(html, &runs));
        html.section("learning", "Learning", |html| learning(html, &runs));
        html.section("layers", "Layers", |html| layers(html, &runs));
        html.section("recipes", "Recipes", |html| recipes(html, &runs));
        html.section("runs", "The runs", |html| {
            for (at, run) in runs.iter().enumerate() {
                put!(html, "<h3 id=\"run-{at}\">{}</h3>\n", Esc(&run.name));
                html.p("sub", &about::under(run));
                if let Some(command) = command(run) {
                    put!(html, "<pre tabindex=\"0\"><code>{}</code></pre>\n", Esc(&command));
                }
                html.details(&format!("Files of {}", run.name), |html| files::fill(html, run));
            }
        });
    })
}

/// Runs of one name get their folder's too, and a number where that does not help.
fn name_apart(runs: &mut [Run]) {
    let count = |runs: &[Run], name: &str| runs.iter().filter(|run| run.name == name).count();
    let same: Vec<bool> = runs.iter().map(|run| count(runs, &run.name) > 1).collect();
    for (run, _) in runs.iter_mut().zip(same).filter(|(_, same)| *same) {
        let path = std::path::absolute(&run.logdir).unwrap_or_else(|_| run.logdir.clone());
        let parent = path.parent().and_then(Path::file_name);
        if let Some(parent) = parent {
            run.name = format!("{}/{}", parent.to_string_lossy(), run.name);
        }
    }
    let names: Vec<String> = runs.iter().map(|run| run.name.clone()).collect();
    for (at, run) in runs.iter_mut().enumerate() {
        if names.iter().filter(|name| **name == run.name).count() > 1 {
            run.name = format!("{} ({})", run.name, at + 1);
        }
    }
}

fn result(html: &mut Html, runs: &[Run]) {
    let figures: Vec<Option<Figure>> = runs.iter().map(headline).collect();
    let missing = || "-".to_owned();
    let first = figures.iter().flatten().next();
    let common = figures.iter().flatten().all(|f| Some(&f.name) == first.map(|first| &first.name));
    let row = |(run, figure): (&Run, &Option<Figure>)| {
        let tensors = run.tensors.as_ref();
        let sizes = tensors.map(Tensors::dense_and_packed);
        let size = |at: usize| sizes.map_or_else(missing, |s| Unit::Bytes.full(s[at] as f64));
        let (taken, rate) = duration(run);
        vec![
            run.name.clone(),
            figure.as_ref().map_or_else(missing, |f| match common {
                true => f.unit.full(f.value),
                false => format!("{} {}", f.unit.full(f.value), f.name),
            }),
            run.number("test_loss").map_or_else(missing, |loss| digits(loss, 4)),
            tensors.map_or_else(missing, |t| percent(t.sparsity())),
            tensors.map_or_else(missing, |t| thousands(t.counts()[0])),
            size(0),
            size(1),
            run.last_step().map_or_else(missing, thousands),
            taken.map_or_else(missing, seconds),
            rate.map_or_else(missing, |rate| digits(rate, 3)),
        ]
    };
    let head = [
        "run",
        first.filter(|_| common).map_or("figure", |first| &first.name),
        "test loss",
        "sparsity",
        "weights kept",
        "dense",
        "packed",
        "steps",
        "time",
        "steps/s",
    ];
    let rows: Vec<_> = runs.iter().zip(&figures).map(row).collect();
    html.table("What the runs came to", &head, &rows);
    let Some(first) = first else { return };
    let point = |at: usize, x: f64| {
        let figure = figures[at].as_ref().filter(|figure| figure.tag == first.tag)?;
        let points = vec![Point { x, values: vec![figure.value] }];
        Some((runs[at].name.clone(), Look::Nth(at), points))
    };
    let chart = |name: &str, unit: Unit, log: bool, x: &dyn Fn(&Run) -> Option<f64>| Scatter {
        title: format!("{} against {name}", first.name),
        note: String::new(),
        names: [name.to_owned(), first.name.clone()],
        units: [unit, first.unit],
        log,
        series: (0..runs.len()).filter_map(|at| point(at, x(&runs[at])?)).collect(),
    };
    html.charts("", |html| {
        let sparsity = |run: &Run| Some(run.tensors.as_ref()?.sparsity());
        chart("sparsity", Unit::Share, false, &sparsity).draw(html);
        let bytes = |run: &Run| Some(run.tensors.as_ref()?.dense_and_packed()[1] as f64);
        chart("bytes of the weights, packed", Unit::Bytes, true, &bytes).draw(html);
    });
}

fn learning(html: &mut Html, runs: &[Run]) {
    let lines = |curve: &dyn Fn(&Run) -> Vec<(u64, f64)>| -> Vec<Line> {
        let line = |(at, run): (usize, &Run)| Line::new(&run.name, &curve(run), Look::Nth(at));
        runs.iter().enumerate().map(line).collect()
    };
    html.charts("", |html| {
        let loss = lines(&|run| run.events.curve("loss").to_vec());
        Lines::new("Loss of train batches", "loss", Unit::Plain, loss).draw(html);
        let loss = lines(&|run| test_curve(run, "loss"));
        Lines::new("Loss of test rows", "loss", Unit::Plain, loss).draw(html);
        if let Some((tag, unit)) = runs.iter().find_map(metric) {
            let name = tag.replace('_', " ");
            let curves = lines(&|run| test_curve(run, tag));
            Lines::new(&format!("Test {name}"), &name, unit, curves).draw(html);
        }
        let reached = |run: &Run| {
            let prefix = run.pruning().unwrap_or_default();
            run.events.curve(&format!("{prefix}/mask_sparsity")).to_vec()
        };
        let curves = lines(&reached).into_iter().map(Line::stays).collect();
        Lines::new("Sparsity reached", "sparsity", Unit::Share, curves).with_zero().draw(html);
        let speed = lines(&super::time::speed);
        Lines::new("Speed", "steps a second", Unit::Plain, speed).with_zero().draw(html);
    });
}

/// Sparsity of each layer in each run.
fn layers(html: &mut Html, runs: &[Run]) {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (at, run) in runs.iter().enumerate() {
        for layer in run.tensors.iter().flat_map(|tensors| &tensors.layers) {
            let name = format!("{} {}", layer.name, shape(&layer.shape));
            let row = all.entry(name).or_insert_with(|| vec!["-".to_owned(); runs.len()]);
            row[at] = percent(layer.sparsity());
        }
    }
    let rows: Vec<Vec<String>> =
        all.into_iter().map(|(name, row)| [vec![name], row].concat()).collect();
    let head: Vec<&str> =
        ["layer"].into_iter().chain(runs.iter().map(|run| run.name.as_str())).collect();
    html.table("Sparsity of layers", &head, &rows);
}

/// What the recipes have otherwise.
fn recipes(html: &mut Html, runs: &[Run]) {
    let settings: Vec<BTreeMap<String, String>> =
        runs.iter().map(|run| flat(&run.table())).collect();
    let names: BTreeSet<&String> = settings.iter().flat_map(BTreeMap::keys).collect();
    let row = |name: &String| {
        let values: Vec<String> = settings
            .iter()
            .map(|all| all.get(name).cloned().unwrap_or_else(|| "-".to_owned()))
            .collect();
        let differs = values.iter().any(|value| *value != values[0]);
        differs.then(|| [vec![name.clone()], values].concat())
    };
    let rows: Vec<Vec<String>> = names.into_iter().filter_map(row).collect();
    if rows.is_empty() {
        return html.p("", "The recipes are the same.");
    }
    let head: Vec<&str> =
        ["setting"].into_iter().chain(runs.iter().map(|run| run.name.as_str())).collect();
    html.table("Settings that differ", &head, &rows);
}

/// Every value of a recipe, by its name and those of the tables that it is in.
fn flat(table: &toml::Table) -> BTreeMap<String, String> {
    fn walk(name: &str, value: &toml::Value, all: &mut BTreeMap<String, String>) {
        match value {
            toml::Value::Table(table) => table.iter().for_each(|(field, value)| {
                let dot = if name.is_empty() { "" } else { "." };
                walk(&format!("{name}{dot}{field}"), value, all);
            }),
            toml::Value::String(text) => drop(all.insert(name.to_owned(), text.clone())),
            other => drop(all.insert(name.to_owned(), other.to_string())),
        }
    }
    let mut all = BTreeMap::new();
    table.iter().for_each(|(name, value)| walk(name, value, &mut all));
    all
}
