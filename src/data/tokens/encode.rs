//! Texts and files as ids.
use super::cuts;
use super::tokenizer::{Tokenizer, guarded};
use crate::{Error, Result};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

impl Tokenizer {
    /// The ids of `text`, with those that the tokenizer adds of itself.
    ///
    /// # Errors
    /// [`Error::File`] with the library's words, for instance where a word has no token and the
    /// tokenizer none for such words.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let mut rest = text.as_bytes();
        self.read(&mut rest, None, &self.path, None)
    }

    /// The ids of a file, which is UTF-8. Line ends stay as they are in it.
    ///
    /// Beside the ids it takes memory for [`piece`](Self::piece), several times its size, where the
    /// tokenizer encodes [in pieces](Self::in_pieces), and for the whole text otherwise. A piece
    /// ends before a line that begins with a letter or a digit, behind a line that ends visibly, so
    /// it is longer where there is no such place.
    ///
    /// # Errors
    /// [`Error::File`] for bytes that are not UTF-8, with the first one's place, and as
    /// [`encode`](Self::encode); [`Error::Io`] when the operating system refuses to read it.
    pub fn encode_file(&self, path: impl AsRef<Path>) -> Result<Vec<u32>> {
        self.of_file(path.as_ref(), None)
    }

    /// The first `count` ids of a file, or all where there are fewer. Encoding in pieces it reads
    /// no more than it needs, and what is behind that may be anything.
    ///
    /// # Errors
    /// As [`encode_file`](Self::encode_file).
    pub fn encode_start(&self, path: impl AsRef<Path>, count: usize) -> Result<Vec<u32>> {
        self.of_file(path.as_ref(), Some(count))
    }

    fn of_file(&self, path: &Path, count: Option<usize>) -> Result<Vec<u32>> {
        let mut file = File::open(path).map_err(Error::io("open", path))?;
        self.read(&mut file, Some(path), path, count)
    }

    /// `path` is that of the text, where it is a file; `name` is what errors call it.
    fn read(
        &self,
        from: &mut dyn Read,
        path: Option<&Path>,
        name: &Path,
        count: Option<usize>,
    ) -> Result<Vec<u32>> {
        let enough = |ids: &[u32]| count.is_some_and(|count| ids.len() >= count);
        let frame = self.frame.clone();
        let mut ids = frame.as_ref().map_or(Vec::new(), |frame| frame.before.clone());
        // Bytes that are read and not encoded yet, the first of them byte `passed` of the text.
        let (mut bytes, mut passed, mut wanted) = (Vec::new(), 0, self.piece);
        while !enough(&ids) {
            let limit = if frame.is_some() { wanted - bytes.len() } else { usize::MAX };
            let read = from.take(limit as u64).read_to_end(&mut bytes);
            let read = read.map_err(Error::io("read", name))?;
            let ended = read < limit;
            let text = match str::from_utf8(&bytes) {
                Ok(text) => text,
                Err(error) if error.error_len().is_none() && !ended => {
                    str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
                }
                Err(error) => {
                    let at = error.valid_up_to();
                    return Err(no_utf8(path.unwrap_or(name), passed + at as u64, bytes[at]));
                }
            };
            let Some(cut) = (if ended { Some(text.len()) } else { cuts::last(text) }) else {
                wanted = wanted.saturating_mul(2);
                continue;
            };
            ids.extend(self.plain(&text[..cut], frame.is_none())?);
            bytes.drain(..cut);
            passed += cut as u64;
            wanted = bytes.len().saturating_add(self.piece);
            if ended {
                ids.extend(frame.iter().flat_map(|frame| &frame.after));
                break;
            }
        }
        count.into_iter().for_each(|count| ids.truncate(count));
        Ok(ids)
    }

    /// The ids of a whole text at once, `framed` by what the tokenizer adds or without it.
    pub(super) fn plain(&self, text: &str, framed: bool) -> Result<Vec<u32>> {
        let encoded = guarded(&self.path, || self.library.encode_fast(text, framed))?;
        let encoded = encoded.map_err(|error| self.refused(&error))?;
        Ok(encoded.get_ids().to_vec())
    }

    pub(super) fn refused(&self, error: &dyn std::fmt::Display) -> Error {
        Error::file(&self.path, format!("cannot encode the text: {error}"))
    }
}

/// The text of a file.
pub(super) fn text(path: &Path) -> Result<String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
            let at = str::from_utf8(&bytes).map_or_else(|error| error.valid_up_to(), str::len);
            Err(no_utf8(path, at as u64, bytes.get(at).copied().unwrap_or_default()))
        }
        read => read.map_err(Error::io("read", path)),
    }
}

fn no_utf8(path: &Path, at: u64, byte: u8) -> Error {
    let message = format!(
        "is no text in UTF-8: byte {at} is {byte:#04x}, which is none; convert it, for instance by \
         `iconv -f latin1 -t utf-8`, if it is a text"
    );
    Error::file(path, message)
}
