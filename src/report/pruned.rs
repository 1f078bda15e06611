//! What `secateur prune` did to a pretrained folder: block by block, or tensor by tensor.
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::chart::{Bar, Bars};
use super::html::{Esc, Html, put};
use super::number::{Unit, digits, percent, seconds, thousands};
use super::page::document;
use crate::{Error, Result};

/// The page of the folder that a pruning wrote: beside it, as a folder of a model is not the place
/// for it.
pub fn page_of(folder: &Path) -> PathBuf {
    beside(folder, ".report.html")
}

/// The numbers that its page is made of: the JSON of `secateur prune`.
pub fn numbers_of(folder: &Path) -> PathBuf {
    beside(folder, ".report.json")
}

fn beside(folder: &Path, end: &str) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(end);
    folder.with_file_name(name)
}

/// Where the numbers of `path` are: the file itself, or what is beside a folder.
pub(super) fn numbers(path: &Path) -> Option<PathBuf> {
    let is_numbers = path.to_string_lossy().ends_with(".report.json") && path.is_file();
    let found = if is_numbers { path.to_owned() } else { numbers_of(path) };
    found.is_file().then_some(found)
}

/// The page of the numbers at `path`.
///
/// # Errors
/// [`Error::Io`] where they cannot be read, [`Error::File`] where they are no JSON of a pruning.
pub(super) fn page(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    let numbers: Value = serde_json::from_slice(&bytes)
        .map_err(|e| Error::file(path, format!("is no report of a pruning: {e}")))?;
    let has = |name: &str| numbers.get(name).is_some_and(Value::is_array);
    if !has("blocks") && !has("tensors") {
        let message = "is no report of a pruning: it has neither blocks nor tensors";
        return Err(Error::file(path, message));
    }
    let output = text(&numbers, "output").unwrap_or_default();
    let name = Path::new(&output).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let under = match (text(&numbers, "input"), text(&numbers, "adapter")) {
        (Some(input), Some(adapter)) => format!("of {input}, on {adapter}"),
        (input, _) => input.unwrap_or_default(),
    };
    let sections = [("blocks", "Blocks"), ("weights", "Weights"), ("pruning", "The pruning")];
    Ok(document(&format!("Pruned {name}"), &under, &sections, |html| {
        answer(html, &numbers);
        html.section("blocks", "Blocks", |html| blocks(html, &numbers));
        html.section("weights", "Weights", |html| weights(html, &numbers));
        html.section("pruning", "The pruning", |html| facts(html, &numbers));
    }))
}

fn number(of: &Value, name: &str) -> Option<f64> {
    of.get(name).and_then(Value::as_f64)
}

fn text(of: &Value, name: &str) -> Option<String> {
    of.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Elements of a weight that are not zero, and all; of a tensor that was pruned.
fn counts(weight: &Value) -> [f64; 2] {
    let extents = list(weight, "shape").iter().filter_map(Value::as_f64);
    let all = number(weight, "len").unwrap_or_else(|| extents.product());
    [number(weight, "nonzero").unwrap_or(all), all]
}

fn sum(weights: impl Iterator<Item = [f64; 2]>) -> [f64; 2] {
    weights.fold([0.0; 2], |[a, b], [c, d]| [a + c, b + d])
}

fn sparsity([nonzero, all]: [f64; 2]) -> f64 {
    1.0 - nonzero / all.max(1.0)
}

/// All weights that were pruned, with the block that they are in.
fn pruned(numbers: &Value) -> Vec<(String, &Value)> {
    let of_block = |block| {
        let name = text(block, "name").unwrap_or_default();
        list(block, "weights").iter().map(move |weight| (name.clone(), weight))
    };
    let in_blocks = list(numbers, "blocks").iter().flat_map(of_block);
    let tensors = list(numbers, "tensors").iter();
    let tensors = tensors.filter(|t| text(t, "fate").as_deref() == Some("pruned"));
    in_blocks.chain(tensors.map(|tensor| (String::new(), tensor))).collect()
}

fn answer(html: &mut Html, numbers: &Value) {
    let all = sum(pruned(numbers).iter().map(|(_, weight)| counts(weight)));
    let mut tiles: Vec<(&str, String, String)> = Vec::new();
    if let Some(perplexity) = number(numbers, "calibration_perplexity") {
        let beside = "of the pruned model, on what it was calibrated on".to_owned();
        tiles.push(("perplexity", digits(perplexity, 5), beside));
    }
    let [nonzero, of] = all.map(|count| thousands(count as u64));
    let beside = format!("{nonzero} of {of} weights left in what was pruned");
    tiles.push(("sparsity", percent(sparsity(all)), beside));
    if let Some(whole) = number(numbers, "whole_sparsity") {
        tiles.push(("of the whole file", percent(whole), "share of zeros".to_owned()));
    }
    let errors = list(numbers, "blocks").iter().filter_map(|block| number(block, "error"));
    if let Some(error) = errors.reduce(f64::max) {
        let beside = "of a block's output: squared difference over square".to_owned();
        tiles.push(("largest error", digits(error, 3), beside));
    }
    if let Some(taken) = number(numbers, "seconds") {
        let bytes = number(numbers, "device_bytes").map(|bytes| Unit::Bytes.full(bytes));
        let beside = bytes.map(|bytes| format!("{bytes} on the device at most"));
        tiles.push(("time", seconds(taken), beside.unwrap_or_default()));
    }
    put!(html, "<dl class=\"answer\">\n");
    for (name, value, beside) in tiles {
        put!(html, "<div><dt>{}</dt><dd>{}</dd>", Esc(name), Esc(&value));
        put!(html, "<dd>{}</dd></div>\n", Esc(&beside));
    }
    put!(html, "</dl>\n");
}

fn blocks(html: &mut Html, numbers: &Value) {
    let blocks = list(numbers, "blocks");
    if blocks.is_empty() {
        return html.p("note", "This was no pruning by data, so nothing is known of blocks.");
    }
    let by_outliers = blocks.iter().any(|block| number(block, "outliers").is_some());
    let name = |block: &Value| text(block, "name").unwrap_or_default();
    let of = |block: &Value| sum(list(block, "weights").iter().map(counts));
    let row = |block: &Value| {
        let counted = of(block);
        let [nonzero, all] = counted.map(|count| thousands(count as u64));
        let error = number(block, "error").map_or("-".to_owned(), |e| digits(e, 4));
        let taken = number(block, "seconds").map_or("-".to_owned(), seconds);
        let weights = list(block, "weights").len().to_string();
        let kept = format!("{nonzero} of {all}");
        let mut row = vec![name(block), weights, kept];
        if by_outliers {
            let share = |name: &str| number(block, name).map_or("-".to_owned(), percent);
            row.extend(["outliers", "asked"].map(share));
        }
        row.extend([percent(sparsity(counted)), error, taken]);
        row
    };
    let rows: Vec<_> = blocks.iter().map(row).collect();
    let own: &[&str] = if by_outliers { &["outliers", "asked"] } else { &[] };
    let head = [&["block", "weights", "kept"], own, &["sparsity", "error", "time"]].concat();
    html.table("What became of each block", &head, &rows);
    html.charts("", |html| {
        let chart = |title: &str, note: &str, unit: Unit, value: &dyn Fn(&Value) -> Option<f64>| {
            let bar = |block| Some(Bar { name: name(block), value: value(block)?, of: None });
            Bars {
                title: title.to_owned(),
                note: note.to_owned(),
                what: [title.to_lowercase(), String::new()],
                unit,
                bars: blocks.iter().filter_map(bar).collect(),
                table: false,
            }
        };
        let note = "of a block's output on the first row: the squared difference from the dense \
                    one's over its square";
        chart("Error", note, Unit::Plain, &|block| number(block, "error")).draw(html);
        let note = "share of zeros of its pruned weights";
        chart("Sparsity", note, Unit::Share, &|block| Some(sparsity(of(block)))).draw(html);
        if by_outliers {
            let note = "share of the weights whose score is far over the mean of the dense block";
            chart("Outliers", note, Unit::Share, &|block| number(block, "outliers")).draw(html);
        }
    });
}

fn weights(html: &mut Html, numbers: &Value) {
    let row = |(_, weight): &(String, &Value)| {
        let counted = counts(weight);
        let [nonzero, all] = counted.map(|count| thousands(count as u64));
        let threshold = number(weight, "threshold").map_or("-".to_owned(), |t| digits(t, 4));
        let name = text(weight, "name").unwrap_or_default();
        vec![name, format!("{nonzero} of {all}"), percent(sparsity(counted)), threshold]
    };
    let rows: Vec<_> = pruned(numbers).iter().map(row).collect();
    let head = ["weight", "kept", "sparsity", "threshold"];
    html.details(&format!("All {} weights that were pruned", rows.len()), |html| {
        html.table("Weights that were pruned", &head, &rows);
    });
}

/// What the numbers say besides, as they say it.
fn facts(html: &mut Html, numbers: &Value) {
    let Some(all) = numbers.as_object() else { return };
    let said = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        other => Some(other.to_string()),
    };
    let row = |(name, value): (&String, &Value)| Some(vec![name.replace('_', " "), said(value)?]);
    let rows: Vec<_> = all.iter().filter_map(row).collect();
    html.facts("How it was pruned", &rows);
    let warnings = list(numbers, "warnings").iter().chain(list(numbers, "left_out"));
    let rows: Vec<_> = warnings.filter_map(said).map(|warning| vec![warning]).collect();
    if !rows.is_empty() {
        html.table("Warnings, and files that were not copied", &["what"], &rows);
    }
}
