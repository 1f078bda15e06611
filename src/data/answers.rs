//! Answers as they are given, and as they are kept.
use super::Task;
use super::check::find;
use super::features::select;
use crate::{Error, Result};

/// The answers of a data set, one row after the other.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum Answers {
    /// Class numbers: one a row, or as many as there are positions in a row.
    Classes {
        /// Each below `classes`.
        labels: Vec<u32>,
        /// Number of classes; may be more than the labels that occur.
        classes: u32,
    },
    /// For each of several labels whether a row has it: 0 or 1, or what is between.
    Labels {
        /// `labels` a row.
        flags: Vec<f32>,
        /// Number of labels.
        labels: usize,
    },
    /// Numbers to predict, all finite.
    Values {
        /// `outputs` a row.
        values: Vec<f32>,
        /// Number of values of a row.
        outputs: usize,
    },
    /// There are none.
    None,
}

impl Answers {
    /// Class numbers below `classes`, of any unsigned type.
    pub fn classes(labels: impl IntoIterator<Item = impl Into<u32>>, classes: u32) -> Self {
        Self::Classes { labels: labels.into_iter().map(Into::into).collect(), classes }
    }

    /// As they are kept, in as few bytes as they need; there are `rows` rows.
    pub(super) fn stored(self, rows: usize) -> Result<(Task, Stored)> {
        match self {
            Self::Classes { labels, classes } => {
                let positions = per_row("labels", labels.len(), rows)?;
                if let Some(i) = find(&labels, |label| label >= classes) {
                    let (row, label) = (i / positions, labels[i]);
                    let place = match positions {
                        1 => String::new(),
                        _ => format!(", position {}", i % positions),
                    };
                    let message = format!(
                        "row {row}{place} has label {label}, of {classes} classes; count classes \
                         from 0, or say that there are more"
                    );
                    return Err(Error::argument("labels", message));
                }
                let stored = if classes <= 256 {
                    Stored::U8(labels.into_iter().map(|label| label as u8).collect())
                } else {
                    Stored::U32(labels)
                };
                Ok((Task::Classification { classes, positions }, stored))
            }
            Self::Labels { flags, labels } => {
                let bad = |x: f32| !(0.0..=1.0).contains(&x);
                let stored = targets("flags", flags, rows, labels, bad, "in 0 to 1")?;
                Ok((Task::MultiLabel { labels }, stored))
            }
            Self::Values { values, outputs } => {
                let bad = |x: f32| !x.is_finite();
                let stored = targets("values", values, rows, outputs, bad, "finite")?;
                Ok((Task::Regression { outputs }, stored))
            }
            Self::None => Ok((Task::Unlabelled, Stored::None)),
        }
    }
}

/// How many of `count` a row has.
fn per_row(name: &str, count: usize, rows: usize) -> Result<usize> {
    if count == 0 || !count.is_multiple_of(rows) {
        let message = format!(
            "{count} for {rows} rows; give as many for each row, 1 or more, or `Answers::None`"
        );
        return Err(Error::argument(name, message));
    }
    Ok(count / rows)
}

fn targets(
    name: &str,
    values: Vec<f32>,
    rows: usize,
    width: usize,
    bad: impl Fn(f32) -> bool,
    what: &str,
) -> Result<Stored> {
    if width == 0 || rows.checked_mul(width) != Some(values.len()) {
        let message = format!(
            "{} values for {rows} rows of {width}; give 1 or more for each row, or `Answers::None`",
            values.len()
        );
        return Err(Error::argument(name, message));
    }
    if let Some(i) = find(&values, bad) {
        let (row, column, value) = (i / width, i % width, values[i]);
        let message = format!(
            "row {row}, target {column} is {value}, must be {what}; leave the row out or repair it"
        );
        return Err(Error::argument(name, message));
    }
    Ok(Stored::F32(values))
}

/// Answers as they are kept.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stored {
    U8(Vec<u8>),
    U32(Vec<u32>),
    F32(Vec<f32>),
    None,
}

impl Stored {
    /// Class number `i` of all.
    pub(super) fn label(&self, i: usize) -> u32 {
        match self {
            Self::U8(labels) => labels[i].into(),
            Self::U32(labels) => labels[i],
            Self::F32(_) | Self::None => panic!("the rows of this data set have no classes"),
        }
    }

    /// Targets of row `i`.
    pub(super) fn targets(&self, i: usize, width: usize) -> &[f32] {
        match self {
            Self::F32(values) => &values[i * width..][..width],
            _ => &[],
        }
    }

    /// The answers of `rows`, each with `width` of them, in that order.
    pub(super) fn select(&self, rows: &[u32], width: usize) -> Self {
        match self {
            Self::U8(labels) => Self::U8(select(labels, rows, width)),
            Self::U32(labels) => Self::U32(select(labels, rows, width)),
            Self::F32(values) => Self::F32(select(values, rows, width)),
            Self::None => Self::None,
        }
    }
}
