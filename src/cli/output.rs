//! Results on standard output: one JSON object, or a table for people.
use std::fmt::Display;
use std::io::Write;

use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

/// Writes `value` as one JSON object.
pub fn json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(value)?;
    line(&text)
}

/// Writes one line; a closed pipe is an error that `main` forgives.
pub fn line(text: &str) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{text}")?;
    Ok(())
}

/// Writes one line to standard error. That nobody reads it is no reason to stop.
pub fn note(text: impl Display) {
    writeln!(std::io::stderr().lock(), "{text}").ok();
}

/// Writes a table; columns after the first `left` ones are aligned to the right.
pub fn table(header: &[&str], left: usize, rows: Vec<Vec<String>>) -> Result<()> {
    let mut table = Table::new();
    table.load_style(presets::ASCII_BORDERS_ONLY_CONDENSED).set_header(header.to_vec());
    table.add_rows(rows);
    for column in table.column_iter_mut().skip(left) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    line(&table.to_string())
}

/// A fraction as a percentage.
pub fn percent(fraction: f64) -> String {
    format!("{:.2} %", fraction * 100.0)
}

/// A whole number with its thousands apart.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Extents as people write them.
pub fn shape<T: ToString>(dims: &[T]) -> String {
    dims.iter().map(T::to_string).collect::<Vec<_>>().join("x")
}
