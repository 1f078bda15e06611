//! Results on standard output: one JSON object, or a table for people. Names come from files of
//! strangers: what would steer a terminal is written as an escape.
use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

/// Rank of a process that is not the chief of several: it writes nothing but errors.
static OTHER: OnceLock<usize> = OnceLock::new();

/// What takes messages in place of standard error.
pub type Taker = Box<dyn Fn(String) + Send>;

static TAKER: Mutex<Option<Taker>> = Mutex::new(None);

/// Hands each message to `taker` in place of standard error, while the terminal is drawn on.
pub fn divert(taker: Option<Taker>) {
    *TAKER.lock().unwrap_or_else(PoisonError::into_inner) = taker;
}

/// Writes nothing but errors from now on, as rank `rank`.
pub fn errors_only(rank: usize) {
    OTHER.get_or_init(|| rank);
}

/// Whether somebody else writes what there is to say.
pub fn is_silent() -> bool {
    OTHER.get().is_some()
}

/// Writes `value` as one JSON object.
pub fn json(value: &impl Serialize) -> Result<()> {
    // In JSON such characters stand within strings only, where this is the same text.
    let text = serde_json::to_string(value)?;
    raw(&escaped(&text, |c, out| write!(out, "\\u{:04x}", u32::from(c))))
}

/// Writes one line; a closed pipe is an error that `main` forgives.
pub fn line(text: &str) -> Result<()> {
    raw(&plain(text))
}

/// Writes several lines, parted by line feeds, whose names are [`plain`].
pub fn lines(text: &str) -> Result<()> {
    text.lines().try_for_each(line)
}

/// Writes data as it is to whatever reads it, but [`plain`] to a terminal.
pub fn data(text: &str) -> Result<()> {
    if std::io::stdout().is_terminal() { lines(text) } else { raw(text) }
}

/// Writes a piece of a text as [`data`] does, and at once.
pub fn piece(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.is_terminal() {
        false => write!(out, "{text}")?,
        true => {
            for (i, line) in text.split('\n').enumerate() {
                let end = if i > 0 { "\n" } else { "" };
                write!(out, "{end}{}", plain(line))?;
            }
        }
    }
    Ok(out.flush()?)
}

fn raw(text: &str) -> Result<()> {
    if !is_silent() {
        writeln!(std::io::stdout().lock(), "{text}")?;
    }
    Ok(())
}

/// Writes a message to standard error; further lines of it are indented, so that none passes for
/// another message. That nobody reads it is no reason to stop.
pub fn note(text: impl Display) {
    if !is_silent() {
        error(text);
    }
}

/// Says what of a folder was not copied along, with the reasons.
pub fn left_out(names: &[String]) {
    if !names.is_empty() {
        note(format_args!("not copied: {}", names.join(", ")));
    }
}

/// As [`note`], for what every rank says: each line of one that is not the chief has its number.
pub fn error(text: impl Display) {
    let text = text.to_string();
    let lines: Vec<_> = text.lines().map(plain).collect();
    let whole = match OTHER.get() {
        None => lines.join("\n  "),
        Some(rank) => {
            let prefix = format!("rank {rank}: ");
            let own = lines.first().is_some_and(|line| line.starts_with(&prefix));
            format!("{}{}", if own { "" } else { &prefix }, lines.join(&format!("\n{prefix}  ")))
        }
    };
    if let Some(taker) = &*TAKER.lock().unwrap_or_else(PoisonError::into_inner) {
        return taker(whole);
    }
    // In one piece: others write there too.
    std::io::stderr().lock().write_all((whole + "\n").as_bytes()).ok();
}

/// The text with escapes (`\u{1b}`) in place of what steers a terminal or turns text around.
pub fn plain(text: &str) -> Cow<'_, str> {
    escaped(text, |c, out| write!(out, "{}", c.escape_unicode()))
}

fn escaped(text: &str, escape: impl Fn(char, &mut String) -> std::fmt::Result) -> Cow<'_, str> {
    let steers = |c: char| {
        let turns = matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
                | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        c.is_control() || turns
    };
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if steers(c) {
            escape(c, &mut out).expect("a string takes all");
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Writes a table; columns after the first `left` ones are aligned to the right.
pub fn table(header: &[&str], left: usize, rows: Vec<Vec<String>>) -> Result<()> {
    let mut table = Table::new();
    table.load_style(presets::ASCII_BORDERS_ONLY_CONDENSED).set_header(header.to_vec());
    table.add_rows(rows.iter().map(|row| row.iter().map(|cell| plain(cell).into_owned())));
    for column in table.column_iter_mut().skip(left) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    raw(&table.to_string())
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
