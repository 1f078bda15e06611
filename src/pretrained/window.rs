//! Windows of a text.

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
