//! What else a table has that is not understood, once one of its cells was not: all of it is said
//! at once, so that nobody tries cell by cell.
use std::fmt::Write;

use super::columns::{Columns, Feature};
use super::{is_missing, number};
use ::csv::StringRecord;

/// What the rows from the first refused one on hold.
pub(super) struct Survey<'a, 's> {
    columns: &'a Columns<'s>,
    header: &'a StringRecord,
    /// Whether rows without a value are left out.
    drops: bool,
    /// Columns of features that hold a word in place of a number, with the first such word.
    words: Vec<(usize, String)>,
    /// Rows that lack a value.
    missing: u64,
}

impl<'a, 's> Survey<'a, 's> {
    pub(super) fn new(columns: &'a Columns<'s>, header: &'a StringRecord, drops: bool) -> Self {
        Self { columns, header, drops, words: Vec::new(), missing: 0 }
    }

    /// Takes one row.
    pub(super) fn row(&mut self, record: &StringRecord) {
        let lacks = self.columns.used().any(|column| is_missing(&record[column]));
        self.missing += u64::from(lacks);
        if lacks && self.drops {
            return;
        }
        for feature in &self.columns.features {
            if let Feature::Number(column) = *feature
                && is_word(&record[column])
                && self.words.iter().all(|(known, _)| *known != column)
            {
                self.words.push((column, record[column].to_owned()));
            }
        }
    }

    /// What comes behind the message about a cell of the column `first`; empty where all is said.
    pub(super) fn rest(self, first: usize) -> String {
        let mut text = String::new();
        let others = self.words.iter().filter(|(column, _)| *column != first);
        let others = others.map(|(column, word)| format!("`{}` (`{word}`)", &self.header[*column]));
        let others = others.collect::<Vec<_>>();
        if !others.is_empty() {
            let _ = write!(text, "; there are words, too, in {}", others.join(", "));
            if self.words.iter().all(|(column, _)| *column != first) {
                text += ": name such columns in `categories`, or `ignore` them";
            }
        }
        let of_word = self.words.iter().any(|(column, _)| *column == first);
        if !self.drops && self.missing > 0 && (of_word || self.missing > 1) {
            let _ = write!(text, "; {} of the rows from there on lack a value", self.missing);
            if of_word {
                text += ": `drop_missing` leaves them out";
            }
        }
        text
    }
}

/// Whether a cell holds neither a number, nor one that is written in another way, nor nothing.
fn is_word(field: &str) -> bool {
    number(field).is_err()
        && !is_missing(field)
        && field.parse::<f32>().is_err()
        && field.replacen(',', ".", 1).parse::<f32>().is_err()
}
