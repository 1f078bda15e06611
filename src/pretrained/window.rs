//! Windows of a text.
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
    /// The tokens of a text cut into windows of `length`, each `stride` tokens behind the one
    /// before, as many as `samples` says. Where windows overlap each token counts in the first
    /// window that has it: what is before it there is its context. What is left behind the last
    /// whole window is dropped.
    ///
    /// # Errors
    /// [`Error::Argument`] for a length below 2, a stride of 0 or above the length, and a text of
    /// fewer tokens than one window; `name` is what the text is called.
    pub fn cut(
        ids: &[u32],
        length: usize,
        stride: usize,
        samples: Option<usize>,
        name: &str,
    ) -> Result<Vec<Self>> {
        if length < 2 {
            return Err(Error::argument("length", format!("{length} must be at least 2")));
        }
        if !(1..=length).contains(&stride) {
            let message = format!("{stride} must be in 1 to the length, {length}");
            return Err(Error::argument("stride", message));
        }
        if ids.len() < length {
            let message = format!(
                "{name} has {} tokens, a window takes {length}; take a longer text or a shorter \
                 length",
                ids.len()
            );
            return Err(Error::argument("length", message));
        }
        let whole = (ids.len() - length) / stride + 1;
        let windows = (0..samples.unwrap_or(whole).min(whole)).map(|i| {
            let window = Self::new(ids[i * stride..i * stride + length].to_vec());
            let known = if i == 0 { 0 } else { length - stride };
            window.scored_from(known.max(1))
        });
        Ok(windows.collect())
    }
}
