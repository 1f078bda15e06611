//! A recipe as a file to begin with: every key, with what it does.
use toml::{Table, Value};

use super::Recipe;
use crate::data::OpenOptions;
use crate::prune::PruningSpec;
use crate::settings::{Form, Setting, Settings};

/// Characters of a line.
const WIDTH: usize = 98;

impl Recipe {
    /// The recipe as text of a file, with a comment for every key; a key that has no value here is
    /// commented out.
    pub fn commented(&self) -> String {
        // By way of text, in which an f32 has the digits that people gave it.
        let table = toml::to_string(self).ok().and_then(|text| text.parse().ok());
        let table: Table = table.unwrap_or_default();
        let mut text = comment(
            "What to train, on what, and how. A key behind `#` is not set: it is off, or has its \
             default. docs/training.md, docs/pruning.md, docs/data.md and docs/layers.md say more.",
        );
        let is_table = |value: &Value| match value {
            Value::Array(all) => all.iter().any(Value::is_table),
            other => other.is_table(),
        };
        let fields = || Self::LIST.iter().filter(|setting| setting.is_field);
        // What is in tables comes behind all that is not.
        for setting in fields().filter(|s| !TABLES.contains(&s.name)) {
            let value = table.get(setting.name).filter(|value| !is_table(value));
            if value.is_some() || !table.contains_key(setting.name) {
                text.push_str(&key(setting.name, setting.help, value, &placeholder(setting)));
            }
        }
        for setting in fields() {
            let value = table.get(setting.name).filter(|value| is_table(value));
            if value.is_none() && !TABLES.contains(&setting.name) {
                continue;
            }
            text.push('\n');
            text.push_str(&comment(setting.help));
            text.push_str(&section(setting.name, value));
        }
        text
    }
}

/// Keys that are tables where they are set.
const TABLES: [&str; 6] =
    ["optimizer", "data_options", "schedule", "clip", "multipliers", "pruning"];

/// A table: that of the data and that of the pruning with what each of their keys does.
fn section(name: &str, value: Option<&Value>) -> String {
    let keys: Vec<(&str, &str, String)> = match name {
        "data_options" => {
            let of = |s: &'static Setting<OpenOptions>| (s.name, s.help, placeholder(s));
            OpenOptions::LIST.iter().filter(|s| s.is_field).map(of).collect()
        }
        "pruning" => {
            PruningSpec::HELP.iter().map(|(name, help)| (*name, *help, "...".to_owned())).collect()
        }
        _ => Vec::new(),
    };
    let table = value.and_then(Value::as_table);
    if keys.is_empty() {
        let whole = value.map(|value| Table::from_iter([(name.to_owned(), value.clone())]));
        let text = whole.and_then(|whole| toml::to_string(&whole).ok());
        return text.unwrap_or_else(|| format!("# [{name}]\n"));
    }
    // Keys of no table would be those of the table before it.
    let head = if table.is_some() { "" } else { "# " };
    let keys = keys.into_iter().map(|(name, help, placeholder)| {
        key(name, help, table.and_then(|table| table.get(name)), &placeholder)
    });
    [format!("{head}[{name}]\n")].into_iter().chain(keys).collect()
}

/// What stands for a value that is not there, in its form.
fn placeholder<T>(setting: &Setting<T>) -> String {
    match (setting.form, setting.value) {
        (Form::Flag, _) => "true".to_owned(),
        (Form::List, _) => "[\"...\"]".to_owned(),
        (_, "FOLDER") => "{ folder = \"FOLDER\" }".to_owned(),
        (_, "" | "N" | "HEIGHTxWIDTH") => "...".to_owned(),
        (_, value) => format!("\"{value}\""),
    }
}

fn key(name: &str, help: &str, value: Option<&Value>, placeholder: &str) -> String {
    let said = match value {
        Some(value) => format!("{name} = {value}\n"),
        None => format!("# {name} = {placeholder}\n"),
    };
    format!("\n{}{said}", comment(help))
}

/// The text as lines of a comment.
fn comment(text: &str) -> String {
    // Links are for readers of the documentation.
    let text = text.replace("[`", "`").replace("`]", "`");
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > WIDTH {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(if line.is_empty() { "# " } else { " " });
            line.push_str(word);
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}
