//! Tokens as text again.
use super::tokenizer::{Tokenizer, guarded};
use crate::{Error, Result};

/// What stands for bytes that are no character yet.
const INCOMPLETE: char = '\u{fffd}';

/// The text of tokens that come one after the other, behind others.
///
/// A token may be a part of a character, and what stands between two of them may depend on both. So
/// a text is told when it no longer changes: until then a token says nothing.
#[derive(Clone, Debug)]
pub struct TokenText<'t> {
    tokenizer: &'t Tokenizer,
    /// Those that the next one's text may depend on, and those whose text is not told yet.
    ids: Vec<u32>,
    /// How many of these are told, and their text.
    told: usize,
    text: String,
}

impl Tokenizer {
    /// The text of `ids`, without special tokens.
    ///
    /// # Errors
    /// [`Error::File`] with the library's words.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let text = guarded(&self.path, || self.library.decode(ids, true))?;
        text.map_err(|error| Error::file(&self.path, format!("cannot decode the tokens: {error}")))
    }

    /// The token of this number, as the tokenizer has it.
    pub fn token(&self, id: u32) -> Option<String> {
        self.library.id_to_token(id)
    }

    /// The text of tokens that will come behind `ids`.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn text_behind(&self, ids: &[u32]) -> Result<TokenText<'_>> {
        let text = self.decode(ids)?;
        Ok(TokenText { tokenizer: self, ids: ids.to_vec(), told: ids.len(), text })
    }
}

impl TokenText<'_> {
    /// What the token `id` adds to the text that was told; nothing while a character lacks bytes.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn push(&mut self, id: u32) -> Result<String> {
        self.ids.push(id);
        let text = self.tokenizer.decode(&self.ids)?;
        if text.ends_with(INCOMPLETE) {
            return Ok(String::new());
        }
        self.tell(&text)
    }

    /// What is still to be told where no more tokens come.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn rest(&mut self) -> Result<String> {
        let text = self.tokenizer.decode(&self.ids)?;
        self.tell(&text)
    }

    fn tell(&mut self, text: &str) -> Result<String> {
        let same = self.text.chars().zip(text.chars()).take_while(|(a, b)| a == b);
        let known: usize = same.map(|(c, _)| c.len_utf8()).sum();
        let new = text[known..].to_owned();
        // The tokens told now are what the next one's text may depend on; and those before them,
        // where these have no text of their own.
        if !new.is_empty() {
            self.ids.drain(..self.told);
            self.text = self.tokenizer.decode(&self.ids)?;
        }
        self.told = self.ids.len();
        Ok(new)
    }
}
