//! What was run, on what, and how to run it again.
use serde_json::Value;

use crate::report::html::{Esc, Html, put};
use crate::report::logdir::Run;
use crate::report::number::{seconds, thousands};

/// The line under the title.
pub(super) fn under(run: &Run) -> String {
    let table = run.table();
    let text = |key: &str| table.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let manifest = run.tensors.as_ref().map(|tensors| &tensors.manifest);
    let model = text("model").or_else(|| manifest.map(|m| m.model.clone()));
    let data = text("data").map(|data| format!("on {data}"));
    let adapter = adapter(run).map(|adapter| format!("on {adapter}"));
    let begun = begun(run).map(|begun| format!("begun {begun}"));
    let mut parts: Vec<String> = Vec::new();
    match (model, data) {
        (Some(model), Some(data)) => parts.push(format!("{model} {data}")),
        (model, data) => parts.extend(model.into_iter().chain(data)),
    }
    parts.extend(adapter.into_iter().chain(begun));
    parts.join(", ")
}

pub(super) fn adapter(run: &Run) -> Option<String> {
    let of_result = run.text("adapter").map(str::to_owned);
    let manifest = run.tensors.as_ref().map(|tensors| tensors.manifest.adapter.clone());
    of_result.or(manifest).filter(|adapter| !adapter.is_empty())
}

fn begun(run: &Run) -> Option<String> {
    let manifest = run.tensors.as_ref().map(|tensors| tensors.manifest.begun_unix);
    let of_events = run.events.from_to.map(|(from, _)| from as u64);
    manifest.filter(|unix| *unix > 0).or(of_events).map(date)
}

/// A time in seconds since 1970 as a day and a minute of UTC.
pub(super) fn date(unix: u64) -> String {
    // Days are counted from March 1 of year 0, in eras of 400 years: leap days come last.
    let days = unix / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month < 3);
    let minute = unix % 86_400 / 60;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", minute / 60, minute % 60)
}

/// The command that makes the run again, beside this one.
pub(super) fn command(run: &Run) -> Option<String> {
    run.recipe.as_ref()?;
    let logdir = run.logdir.display().to_string();
    let recipe = quoted(&run.logdir.join("recipe.toml").display().to_string());
    let again = quoted(&format!("{}-again", logdir.trim_end_matches(['/', '\\'])));
    let mut command = format!("secateur train {recipe} --logdir {again}");
    if run.dense.is_some() {
        command.push_str(" --baseline");
    }
    if let Some(precision) = run.text("precision") {
        command.push_str(&format!(" --precision {precision}"));
    }
    match run.number("ranks") {
        Some(ranks) if ranks > 1.0 => Some(format!("mpirun -n {ranks} {command}")),
        _ => Some(command),
    }
}

/// A word as shells read it.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+:,=@".contains(c);
    match text.chars().all(plain) && !text.is_empty() {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

pub(super) fn fill(html: &mut Html, run: &Run) {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut say = |name: &str, value: Option<String>| {
        rows.extend(value.map(|value| vec![name.to_owned(), value]));
    };
    say("logdir", Some(run.logdir.display().to_string()));
    let started = run.result.get("arguments").and_then(|arguments| {
        let words = arguments.as_array()?.iter().filter_map(Value::as_str).map(quoted);
        Some([vec!["secateur".to_owned()], words.collect()].concat().join(" "))
    });
    say("started by", started);
    say("adapter", adapter(run));
    let backend = run.text("backend").map(str::to_owned);
    let manifest = run.tensors.as_ref().map(|tensors| &tensors.manifest);
    say("backend", backend);
    say("driver", manifest.map(|m| m.driver.clone()));
    say("precision", run.text("precision").map(str::to_owned));
    say("ranks", run.number("ranks").map(|ranks| ranks.to_string()));
    say("model", manifest.map(|m| m.model.clone()));
    say("global step", run.last_step().map(thousands));
    say("seed", manifest.map(|m| m.seed.to_string()));
    say("pruning", manifest.and_then(|m| m.pruning.clone()));
    say("fingerprint of the rows", manifest.and_then(|m| m.data.clone()));
    say("begun", begun(run));
    say("time on the clock", run.events.from_to.map(|(from, to)| seconds(to - from)));
    let memory = run.result.get("memory").and_then(|m| m.get("peak")).and_then(Value::as_u64);
    let bytes = memory.map(|bytes| crate::error::Bytes(bytes).to_string());
    say("memory on the device", bytes);
    say("written by secateur", manifest.map(|m| m.version.clone()));
    html.facts("Where and on what it ran", &rows);
    if let Some(command) = command(run) {
        put!(html, "<h3 id=\"again\">To run it again</h3>\n");
        put!(html, "<pre tabindex=\"0\"><code>{}</code></pre>\n", Esc(&command));
    }
    if let Some(recipe) = &run.recipe {
        put!(html, "<h3 id=\"recipe\">Recipe</h3>\n");
        put!(html, "<pre tabindex=\"0\"><code>{}</code></pre>\n", Esc(recipe.trim_end()));
    }
}
