//! Values beside the tokens of each row, which another network has made of them.
use super::Dataset;
use super::check::find;
use super::features::select;
use crate::{Error, Result};

/// As many values of each row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Beside {
    values: Vec<f32>,
    pub(super) width: usize,
    /// What tells where they come from.
    pub(super) of: String,
}

impl Beside {
    pub(super) fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.width..][..self.width]
    }

    /// The rows of `rows`, in that order.
    pub(super) fn select(&self, rows: &[u32]) -> Self {
        Self { values: select(&self.values, rows, self.width), of: self.of.clone(), ..*self }
    }
}

impl Dataset {
    /// Rows of tokens, whose features have as many `values` behind them: what `of`, a name or a
    /// hash, has made of the tokens. The [`fingerprint`](Self::fingerprint) has `of` and not the
    /// values, whose last bits are a device's.
    ///
    /// # Errors
    /// [`Error::Argument`] for rows that are no tokens, or have such values already, for values
    /// that are none, no whole number for each row, or not all finite.
    pub fn with_beside(mut self, values: Vec<f32>, of: &str) -> Result<Self> {
        let (name, rows) = (self.name(), self.rows());
        let wrong = |message: String| Err(Error::argument("beside", message));
        let &[length] = self.feature_shape() else {
            return wrong(format!("rows of {name} are {:?}, no tokens", self.feature_shape()));
        };
        if !self.tokens || self.beside.is_some() {
            return wrong(format!("rows of {name} are no tokens without anything beside them"));
        }
        if values.is_empty() || !values.len().is_multiple_of(rows) {
            let have = values.len();
            return wrong(format!("{have} values for {rows} rows of {name}; give each as many"));
        }
        let width = values.len() / rows;
        if let Some(i) = find(&values, |x| !x.is_finite()) {
            let (row, place, value) = (i / width, i % width, values[i]);
            return wrong(format!("row {row}, value {place} is {value}, must be finite"));
        }
        self.feature_shape = vec![length + width];
        self.beside = Some(Beside { values, width, of: of.to_owned() });
        Ok(self)
    }

    /// How many of the features of a row lie beside its own.
    pub fn beside(&self) -> usize {
        self.beside.as_ref().map_or(0, |beside| beside.width)
    }
}
