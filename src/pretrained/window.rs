//! Windows of a text.
use crate::data::TokenWindows;
use crate::{Error, Result};

/// Tokens that go through a language model as one row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Window {
    /// The tokens.
    pub ids: Vec<u32>,
    /// The first token whose loss counts, from 1 on: those before it are context only.
    pub scored: usize,
}

impl Window {
    /// A window of `ids`, of which the losses of all tokens but the first count.
    pub fn new(ids: Vec<u32>) -> Self {
        Self { ids, scored: 1 }
    }

    /// The same, of which the losses count from token `scored` on.
    #[must_use]
    pub fn scored_from(self, scored: usize) -> Self {
        Self { scored, ..self }
    }

    /// Tokens whose losses count.
    pub fn predictions(&self) -> usize {
        self.ids.len().saturating_sub(self.scored.max(1))
    }
}

/// A text for a model that sees it whole, as one row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaddedText {
    /// The tokens, padding included.
    pub ids: Vec<u32>,
    /// Of each token whether it is none of the padding.
    pub seen: Vec<bool>,
    /// Of each token its type: 0, or 1 in the second of two texts.
    pub types: Vec<u32>,
}

impl Window {
    /// The windows of a text. Where they overlap each token counts in the first window that has it:
    /// what is before it there is its context.
    ///
    /// # Errors
    /// [`Error::Argument`] for windows of one token, and for a stride above their length.
    pub fn of(windows: &TokenWindows) -> Result<Vec<Self>> {
        let (length, stride) = (windows.length(), windows.distance());
        if length < 2 {
            return Err(Error::argument("length", format!("{length} must be at least 2")));
        }
        if stride > length {
            let message = format!("{stride} must be at most the length, {length}");
            return Err(Error::argument("stride", message));
        }
        let window = |(i, ids): (usize, &[u32])| {
            let known = if i == 0 { 0 } else { length - stride };
            Self::new(ids.to_vec()).scored_from(known.max(1))
        };
        Ok(windows.iter().enumerate().map(window).collect())
    }
}
