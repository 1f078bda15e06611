//! Texts as rows of tokens, for embeddings.
use super::encode::text;
use super::tokenizer::{Tokenizer, guarded};
use crate::{Error, Result};
use std::path::Path;
use tokenizers::{Encoding, PostProcessor, TruncationDirection};

/// One text a row, each filled to the same length. All three arrays are rows x length in row-major
/// order.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRows {
    /// Number of texts.
    pub rows: usize,
    /// Tokens of each, padding included.
    pub length: usize,
    /// Ids, and the tokenizer's id for padding.
    pub ids: Vec<u32>,
    /// 1 for a token of the text or around it, 0 for padding.
    pub mask: Vec<u32>,
    /// Which of two texts a token belongs to: the first's number, as there is one, and that of
    /// padding.
    pub types: Vec<u32>,
    /// Texts that were longer than a row, and lost their ends.
    pub cut: usize,
}

impl Tokenizer {
    /// The lines of a UTF-8 file, an empty one too, as rows of `length` tokens, or of as many as
    /// the longest has. Each has what the tokenizer adds around a text, the last token also where
    /// the text is cut. Padding comes last, but where the tokenizer's file says that it comes
    /// first.
    ///
    /// # Errors
    /// [`Error::File`] for a file without a line, and as [`encode_file`](Self::encode_file);
    /// [`Error::Argument`] for a `length` that has no room for a token of the text.
    pub fn encode_rows(&self, path: impl AsRef<Path>, length: Option<usize>) -> Result<TokenRows> {
        let path = path.as_ref();
        let text = text(path)?;
        if text.is_empty() {
            return Err(Error::file(path, "has 0 lines, must have 1 or more: each is a text"));
        }
        self.encode_texts(text.lines(), length)
    }

    /// As [`encode_rows`](Self::encode_rows), of texts that are in memory.
    ///
    /// # Errors
    /// As [`encode_file`](Self::encode_file); [`Error::Argument`] for a `length` that has no room
    /// for a token of the text.
    pub fn encode_texts<'t>(
        &self,
        texts: impl IntoIterator<Item = &'t str>,
        length: Option<usize>,
    ) -> Result<TokenRows> {
        let added = self.library.get_post_processor().map_or(0, |p| p.added_tokens(false));
        let room = length.map(|length| length.saturating_sub(added));
        if room == Some(0) {
            let message = format!(
                "{}; a row has {added} tokens around its text, so it needs {} or more",
                length.unwrap_or_default(),
                added + 1
            );
            return Err(Error::argument("length", message));
        }
        let mut cut = 0;
        let rows = texts.into_iter().map(|line| {
            let (row, whole) = self.row(line, room)?;
            cut += usize::from(!whole);
            Ok(row)
        });
        let rows = rows.collect::<Result<Vec<Encoding>>>()?;
        let longest = rows.iter().map(Encoding::len).max().unwrap_or(0);
        let length = length.unwrap_or(longest.max(1));
        let all = |of: fn(&Encoding) -> &[u32], fill| self.filled(&rows, length, of, fill);
        Ok(TokenRows {
            rows: rows.len(),
            length,
            ids: all(Encoding::get_ids, self.padding.id),
            mask: all(Encoding::get_attention_mask, 0),
            types: all(Encoding::get_type_ids, self.padding.type_id),
            cut,
        })
    }

    /// A text with what is around it, and whether it is whole.
    fn row(&self, line: &str, room: Option<usize>) -> Result<(Encoding, bool)> {
        let row = guarded(&self.path, || {
            let mut row = self.library.encode_fast(line, false)?;
            let whole = room.is_none_or(|room| row.len() <= room);
            if let Some(room) = room {
                row.truncate(room, 0, TruncationDirection::Right);
                row.take_overflowing();
            }
            Ok((self.library.post_process(row, None, true)?, whole))
        })?;
        row.map_err(|error| self.refused(&error))
    }

    fn filled(
        &self,
        rows: &[Encoding],
        length: usize,
        of: fn(&Encoding) -> &[u32],
        fill: u32,
    ) -> Vec<u32> {
        let mut all = Vec::with_capacity(rows.len() * length);
        for row in rows {
            let padding = std::iter::repeat_n(fill, length.saturating_sub(row.len()));
            if self.padding.left {
                all.extend(padding.chain(of(row).iter().copied()));
            } else {
                all.extend(of(row).iter().copied().chain(padding));
            }
        }
        all
    }
}
