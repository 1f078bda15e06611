//! Features as they are given, and as they are kept.
use super::check::find;
use crate::{Error, Result};

/// The features of a data set, one row after the other.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum Features {
    /// Numbers, all finite.
    F32(Vec<f32>),
    /// Bytes, which are kept as such and read as `byte * scale`.
    U8 {
        /// One a feature.
        bytes: Vec<u8>,
        /// Positive and finite.
        scale: f32,
    },
    /// Numbers of tokens below 2^24, which an `f32` holds exactly.
    Tokens(Vec<u32>),
}

impl Features {
    /// Number of features of all rows.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::U8 { bytes, .. } => bytes.len(),
            Self::Tokens(tokens) => tokens.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As they are kept, in as few bytes as they need; rows are `width` wide.
    pub(super) fn stored(self, width: usize) -> Result<Stored> {
        match self {
            Self::F32(values) => match find(&values, |x| !x.is_finite()) {
                Some(i) => Err(Error::argument(
                    "features",
                    format!(
                        "row {}, feature {} is {}, must be finite; leave the row out or repair it",
                        i / width,
                        i % width,
                        values[i]
                    ),
                )),
                None => Ok(Stored::F32(values)),
            },
            Self::U8 { scale, .. } if !(scale.is_finite() && scale > 0.0) => {
                let message = format!("{scale}; must be positive and finite");
                Err(Error::argument("scale", message))
            }
            Self::U8 { bytes, scale } => Ok(Stored::U8 { bytes, scale }),
            Self::Tokens(tokens) => {
                if let Some(i) = find(&tokens, |token| token >= TOKENS) {
                    let message = format!(
                        "row {}, feature {} is token {}, must be below {TOKENS}, up to which an \
                         f32 holds every whole number; number the tokens from 0",
                        i / width,
                        i % width,
                        tokens[i]
                    );
                    return Err(Error::argument("features", message));
                }
                Ok(if tokens.iter().all(|&token| token <= u8::MAX.into()) {
                    let bytes = tokens.into_iter().map(|token| token as u8).collect();
                    Stored::U8 { bytes, scale: 1.0 }
                } else {
                    Stored::F32(tokens.into_iter().map(|token| token as f32).collect())
                })
            }
        }
    }
}

/// `f32` values of all rows.
impl From<Vec<f32>> for Features {
    fn from(values: Vec<f32>) -> Self {
        Self::F32(values)
    }
}

const TOKENS: u32 = 1 << 24;

/// Features as they are kept.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stored {
    F32(Vec<f32>),
    U8 { bytes: Vec<u8>, scale: f32 },
}

/// The features of one row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Row<'a> {
    F32(&'a [f32]),
    U8(&'a [u8], f32),
}

impl Stored {
    pub(super) fn row(&self, i: usize, width: usize) -> Row<'_> {
        match self {
            Self::F32(values) => Row::F32(&values[i * width..][..width]),
            Self::U8 { bytes, scale } => Row::U8(&bytes[i * width..][..width], *scale),
        }
    }

    /// The rows of `rows`, in that order.
    pub(super) fn select(&self, rows: &[u32], width: usize) -> Self {
        match self {
            Self::F32(values) => Self::F32(select(values, rows, width)),
            Self::U8 { bytes, scale } => {
                Self::U8 { bytes: select(bytes, rows, width), scale: *scale }
            }
        }
    }
}

/// The rows of `rows`, each `width` values of `values`.
pub(super) fn select<T: Copy>(values: &[T], rows: &[u32], width: usize) -> Vec<T> {
    let mut selected = Vec::with_capacity(rows.len() * width);
    rows.iter().for_each(|&i| selected.extend_from_slice(&values[i as usize * width..][..width]));
    selected
}
