//! Texts for character models.
use super::{Answers, Dataset, Features, OpenOptions, Schema, Split};
use crate::{Error, Result};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Reads a text file in windows of `length` characters ([`Dataset::text`]), the first 90 % to train
/// on and the rest to test.
///
/// Both halves share one alphabet: the distinct characters of the file in order, at most 256. A
/// file that is not UTF-8 is one of bytes, its characters U+0000 to U+00FF.
///
/// # Errors
/// [`Error::File`] for a text with more distinct characters, with fewer than 2, or shorter than
/// `10 * length + 1`, which fills a window of either half; [`Error::Argument`] for a `length` of 0;
/// [`Error::Io`] when the operating system refuses to read it.
pub fn text(path: &Path, length: usize) -> Result<Split> {
    in_halves(path, length, None)
}

/// As [`text`], in the alphabet of `schema` where there is one.
pub(super) fn halves(path: &Path, options: &OpenOptions, schema: Option<&Schema>) -> Result<Split> {
    let trained = schema.and_then(|schema| schema.shape.first().copied());
    in_halves(path, options.length.or(trained).unwrap_or(options.window()), schema)
}

fn in_halves(path: &Path, length: usize, schema: Option<&Schema>) -> Result<Split> {
    if length == 0 {
        return Err(Error::argument("length", "0; a window has 1 character or more"));
    }
    let (tokens, alphabet) = tokens(path, schema)?;
    let (found, needed) = (tokens.len(), length.saturating_mul(10).saturating_add(1));
    if found < needed {
        let message = format!(
            "has {found} characters, windows of {length} need {needed}, a tenth of them to test; \
             make the windows shorter"
        );
        return Err(Error::file(path, message));
    }
    // In 64 bits also where `usize` has 32.
    let (train, test) = tokens.split_at((found as u64 * 9 / 10) as usize);
    let alphabet: Arc<[char]> = alphabet.into();
    let half = |tokens| Dataset::text("text", tokens, Arc::clone(&alphabet), length).map(Arc::new);
    Ok(Split { train: half(train)?, test: half(test)? })
}

/// The distinct characters in order, which must be 2 to 256.
fn alphabet(path: &Path, characters: &[char]) -> Result<Vec<char>> {
    let alphabet: Vec<char> =
        characters.iter().copied().collect::<BTreeSet<char>>().into_iter().collect();
    if !(2..=256).contains(&alphabet.len()) {
        let message = format!(
            "has {} distinct characters, must be 2 to 256; replace the rare ones",
            alphabet.len()
        );
        return Err(Error::file(path, message));
    }
    Ok(alphabet)
}

/// A file that is not UTF-8 is one of bytes.
fn characters(path: &Path) -> Result<Vec<char>> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    Ok(match str::from_utf8(&bytes) {
        Ok(text) => text.chars().collect(),
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
    })
}

/// All windows of a file, in the alphabet of `schema` where there is one.
pub(super) fn rows(path: &Path, options: &OpenOptions, schema: Option<&Schema>) -> Result<Dataset> {
    let (tokens, alphabet) = tokens(path, schema)?;
    let trained = schema.and_then(|schema| schema.shape.first().copied());
    let length = options.length.or(trained).unwrap_or(options.window());
    Dataset::text("text", &tokens, alphabet, length)
        .map_err(|error| Error::file(path, error.to_string()))
}

/// The characters of a file as numbers into an alphabet: that of `schema`, or its own.
fn tokens(path: &Path, schema: Option<&Schema>) -> Result<(Vec<u8>, Vec<char>)> {
    let characters = characters(path)?;
    let known = schema.and_then(|schema| schema.alphabet.as_ref());
    let alphabet: Vec<char> = match known {
        Some(known) => known.chars().collect(),
        None => alphabet(path, &characters)?,
    };
    let numbers: HashMap<char, usize> = alphabet.iter().copied().zip(0..).collect();
    let token = |(i, c): (usize, &char)| {
        let number = numbers.get(c);
        // Of more than 256 characters none is a token: `Dataset::text` refuses them.
        number.map(|&number| number as u8).ok_or_else(|| {
            let message = format!(
                "character {i}, {c:?}, is not one of the {} that the model knows; replace it, or \
                 train a model on a text that has it",
                alphabet.len()
            );
            Error::file(path, message)
        })
    };
    let tokens = characters.iter().enumerate().map(token).collect::<Result<Vec<u8>>>()?;
    Ok((tokens, alphabet))
}

impl Dataset {
    /// Windows of `length` consecutive `tokens`, which are numbers into `alphabet`: the features of
    /// a row are the tokens of a window, its labels the token after each. The windows follow each
    /// other without overlap; tokens that fill no window are left out.
    ///
    /// # Errors
    /// [`Error::Argument`] for a `length` of 0, for fewer than `length + 1` tokens, for an alphabet
    /// of fewer than 2 or more than 256 characters, and for a token beyond it.
    pub fn text(
        name: impl Into<String>,
        tokens: &[u8],
        alphabet: impl Into<Arc<[char]>>,
        length: usize,
    ) -> Result<Self> {
        let alphabet = alphabet.into();
        let characters = alphabet.len();
        if !(2..=256).contains(&characters) {
            let message = format!("{characters} distinct characters; there must be 2 to 256");
            return Err(Error::argument("alphabet", message));
        }
        if length == 0 {
            return Err(Error::argument("length", "0; a window has 1 character or more"));
        }
        if tokens.len() <= length {
            let message = format!(
                "{length}; a window needs {} characters, with the one after it, and there are {}; \
                 make it shorter",
                length.saturating_add(1),
                tokens.len()
            );
            return Err(Error::argument("length", message));
        }
        if let Some(i) = tokens.iter().position(|&token| usize::from(token) >= characters) {
            let message = format!("number {i} is {}, of {characters} characters", tokens[i]);
            return Err(Error::argument("tokens", message));
        }
        let used = (tokens.len() - 1) / length * length;
        let features = Features::U8 { bytes: tokens[..used].to_vec(), scale: 1.0 };
        let answers = Answers::classes(tokens[1..=used].iter().copied(), characters as u32);
        let mut text = Self::new(name, &[length], features, answers)?;
        text.tokens = true;
        Arc::make_mut(&mut text.names).alphabet = Some(alphabet);
        Ok(text)
    }
}
