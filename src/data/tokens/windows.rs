//! Windows of a text's tokens.
use super::super::{Answers, Dataset, Features, Split};
use crate::{Error, Result};
use std::sync::Arc;

/// The ids of a text cut into windows of `length`, one each `stride` ids. Ids at the end that fill
/// no window are left out.
///
/// ```
/// use secateur::data::TokenWindows;
///
/// let windows = TokenWindows::new((0..10).collect(), 4)?.stride(3)?;
/// let all: Vec<&[u32]> = windows.iter().collect();
/// assert_eq!(all, [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]);
/// # Ok::<(), secateur::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenWindows {
    ids: Vec<u32>,
    length: usize,
    stride: usize,
    samples: usize,
}

impl TokenWindows {
    /// Windows of `length` ids that follow each other without overlap.
    ///
    /// # Errors
    /// [`Error::Argument`] for a `length` of 0, and for fewer ids than one window has.
    pub fn new(ids: Vec<u32>, length: usize) -> Result<Self> {
        needs(&ids, length, length)?;
        Ok(Self { ids, length, stride: length, samples: usize::MAX })
    }

    /// A window begins `stride` ids after the one before it.
    ///
    /// # Errors
    /// [`Error::Argument`] for 0.
    pub fn stride(mut self, stride: usize) -> Result<Self> {
        if stride == 0 {
            return Err(Error::argument(
                "stride",
                "0; a window begins 1 token or more after another",
            ));
        }
        self.stride = stride;
        Ok(self)
    }

    /// Only the first `samples` windows, or all where there are fewer ([`len`](Self::len)).
    ///
    /// # Errors
    /// [`Error::Argument`] for 0.
    pub fn samples(mut self, samples: usize) -> Result<Self> {
        if samples == 0 {
            return Err(Error::argument("samples", "0 windows; take 1 or more"));
        }
        self.samples = samples;
        Ok(self)
    }

    /// Number of windows, 1 or more.
    pub fn len(&self) -> usize {
        self.count(self.length)
    }

    /// Never: there is a window.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Ids of a window.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Ids from the first of a window to the first of the next.
    pub fn distance(&self) -> usize {
        self.stride
    }

    /// All ids of the text, those in no window included.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The windows in their order, each of [`length`](Self::length) ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        (0..self.len()).map(|i| &self.ids[i * self.stride..][..self.length])
    }

    /// The windows as rows to train a language model of `vocabulary` tokens on: the features of a
    /// row are the ids of its window, its labels the id after each. So a row reads `length + 1`
    /// ids, and the last window is none where no id follows it.
    ///
    /// As with any data set, [`Batches`](super::super::Batches) shuffle the rows anew in each
    /// epoch, go on at a cursor, and tell these rows from others by their fingerprint. It takes 8
    /// bytes for each id of a row.
    ///
    /// # Errors
    /// [`Error::Argument`] for an id that is not below `vocabulary`, and where the text has no id
    /// after its first window.
    pub fn dataset(&self, vocabulary: u32) -> Result<Dataset> {
        if let Some(i) = self.ids.iter().position(|&id| id >= vocabulary) {
            let message = format!(
                "number {i} of the text is {}, the model knows {vocabulary} tokens, from 0: they \
                 are a tokenizer's of another vocabulary; take the one that came with the model",
                self.ids[i]
            );
            return Err(Error::argument("tokens", message));
        }
        needs(&self.ids, self.length, self.length.saturating_add(1))?;
        let rows = 0..self.count(self.length + 1);
        let all = |first: usize| -> Vec<u32> {
            let row = |i: usize| &self.ids[i * self.stride + first..][..self.length];
            rows.clone().flat_map(row).copied().collect()
        };
        let answers = Answers::Classes { labels: all(1), classes: vocabulary };
        Dataset::new("tokens", &[self.length], Features::Tokens(all(0)), answers)
    }

    /// A text in two halves, both in windows without overlap: the first 90 % of its ids to train a
    /// model of `vocabulary` tokens on, the rest to test, as [`text`](super::super::text) does it
    /// with characters.
    ///
    /// # Errors
    /// [`Error::Argument`] for fewer than `10 * length + 1` ids, which fill a row of either half,
    /// and as [`dataset`](Self::dataset).
    pub fn halves(mut ids: Vec<u32>, length: usize, vocabulary: u32) -> Result<Split> {
        needs(&ids, length, length.saturating_mul(10).saturating_add(1))?;
        // In 64 bits also where `usize` has 32.
        let test = ids.split_off((ids.len() as u64 * 9 / 10) as usize);
        Self::split(ids, test, length, vocabulary)
    }

    /// Two texts, one to train a model of `vocabulary` tokens on and one to test it, in windows of
    /// `length` without overlap.
    ///
    /// # Errors
    /// As [`new`](Self::new) and [`dataset`](Self::dataset), of either.
    pub fn split(train: Vec<u32>, test: Vec<u32>, length: usize, vocabulary: u32) -> Result<Split> {
        let half = |ids| Self::new(ids, length)?.dataset(vocabulary).map(Arc::new);
        Ok(Split { train: half(train)?, test: half(test)? })
    }

    /// Windows that have `needed` ids from their first one on.
    fn count(&self, needed: usize) -> usize {
        let further = self.ids.len().checked_sub(needed);
        further.map_or(0, |further| further / self.stride + 1).min(self.samples)
    }
}

/// That there are `needed` ids, for windows of `length`.
fn needs(ids: &[u32], length: usize, needed: usize) -> Result<()> {
    if length == 0 {
        return Err(Error::argument("length", "0; a window has 1 token or more"));
    }
    if ids.len() >= needed {
        return Ok(());
    }
    let message = format!(
        "{length}; windows of {length} need {needed} tokens, and the text has {}; make the windows \
         shorter or take a longer text",
        ids.len()
    );
    Err(Error::argument("length", message))
}
