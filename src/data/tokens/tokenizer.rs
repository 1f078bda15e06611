//! A tokenizer of Hugging Face's form.
use super::super::file::foreign;
use super::cuts::{self, Frame};
use crate::{Error, Result};
use std::fs;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use tokenizers::{ModelWrapper, PaddingDirection};

/// What makes tokens of texts: a `tokenizer.json`, as Hugging Face's library reads it.
///
/// Ids are those of that library, with the tokens that it adds of itself (a first one, a last one).
/// What the file says of truncation, padding and dropout is left out: a text becomes all of its
/// tokens, and always the same ones.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    pub(super) path: PathBuf,
    pub(super) library: tokenizers::Tokenizer,
    vocabulary: usize,
    /// One more than the largest id of all tokens but those that were added, and its token.
    ids: (u32, String),
    pub(super) padding: Padding,
    /// What is around the tokens of a text, where it may be encoded in pieces.
    pub(super) frame: Option<Frame>,
    pub(super) piece: usize,
}

/// How short rows are filled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Padding {
    pub(super) id: u32,
    pub(super) type_id: u32,
    pub(super) left: bool,
}

impl Tokenizer {
    /// Reads `tokenizer.json` of a model's folder, or the file itself.
    ///
    /// # Errors
    /// [`Error::File`] for a folder without one, which says how it is made of the files of older
    /// tokenizers, and for a file that the library does not take; [`Error::Io`] when the operating
    /// system refuses to read it.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let path = if folder.is_dir() { folder.join(FILE) } else { folder.to_owned() };
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound && path != folder => {
                return Err(missing(folder));
            }
            read => read.map_err(Error::io("read", &path))?,
        };
        let is_json = bytes.trim_ascii_start().starts_with(b"{");
        let no_tokenizer = |error: &dyn std::fmt::Display| match foreign(&path, " but ") {
            but if is_json || but.is_empty() => {
                let message = format!("is no tokenizer: {error}; download it again");
                Error::file(&path, message)
            }
            but => Error::file(&path, format!("is no tokenizer{but}")),
        };
        let (library, padding) = guarded(&path, || {
            let mut library = tokenizers::Tokenizer::from_bytes(&bytes)?;
            library.with_truncation(None)?;
            let padding = Padding::of(&library);
            library.with_padding(None);
            if let ModelWrapper::BPE(model) = library.get_model()
                && model.dropout.is_some()
            {
                let mut model = model.clone();
                model.dropout = None;
                library.with_model(model);
            }
            Ok((library, padding))
        })?
        .map_err(|error| no_tokenizer(&error))?;
        let (vocabulary, ids, frame) = guarded(&path, || {
            let model = library.get_vocab(false);
            let last = model.into_iter().max_by_key(|&(_, id)| id);
            let ids = last.map_or((0, String::new()), |(token, id)| (id.saturating_add(1), token));
            Ok((library.get_vocab_size(true), ids, cuts::frame(&library)))
        })?
        .map_err(|error| no_tokenizer(&error))?;
        if vocabulary == 0 {
            return Err(Error::file(path, "is a tokenizer without a token; download it again"));
        }
        Ok(Self { path, library, vocabulary, ids, padding, frame, piece: PIECE })
    }

    /// The same with so many bytes of a text encoded at once, 1 MiB if nobody says so. It changes
    /// memory and speed, and no id.
    pub fn piece(mut self, bytes: usize) -> Self {
        self.piece = bytes.max(1);
        self
    }

    /// Number of tokens, those that were added to the model's included.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// The file that it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether long texts are encoded in pieces. It is so where a piece that ends in a line end has
    /// the ids that it has within the whole, which is told by how this tokenizer splits texts:
    /// that of BERT, and those of GPT-2, Llama 3, Qwen 2 and SmolLM.
    pub fn in_pieces(&self) -> bool {
        self.frame.is_some()
    }

    /// That a model with embeddings for `model_vocabulary` tokens has all of this tokenizer's. Of
    /// tokens that were added later it may lack some: `<pad>` is often one that no text has.
    ///
    /// # Errors
    /// [`Error::File`] with both numbers.
    pub fn check(&self, model_vocabulary: usize) -> Result<()> {
        let (ids, token) = &self.ids;
        if *ids as usize <= model_vocabulary {
            return Ok(());
        }
        let message = format!(
            "has tokens up to number {} ({token:?}), the model has embeddings for \
             {model_vocabulary}: it is a tokenizer of another vocabulary; take the one that came \
             with the model",
            ids - 1
        );
        Err(Error::file(&self.path, message))
    }
}

impl Padding {
    fn of(library: &tokenizers::Tokenizer) -> Self {
        if let Some(given) = library.get_padding() {
            let left = matches!(given.direction, PaddingDirection::Left);
            return Self { id: given.pad_id, type_id: given.pad_type_id, left };
        }
        let id = ["[PAD]", "<pad>"].iter().find_map(|token| library.token_to_id(token));
        Self { id: id.unwrap_or(0), type_id: 0, left: false }
    }
}

/// What the library answers, or that it panicked on the file at `path`: versions until 0.23 do so
/// for some damaged parts.
pub(super) fn guarded<T>(
    path: &Path,
    f: impl FnOnce() -> tokenizers::Result<T>,
) -> Result<tokenizers::Result<T>> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| {
        let panicked = Error::panicked("tokenizers", &*panic);
        Error::file(path, format!("is damaged: {panicked}; download it again"))
    })
}

fn missing(folder: &Path) -> Error {
    let found = OLDER.iter().filter(|name| folder.join(name).is_file()).copied();
    let found: Vec<_> = found.collect();
    if found.is_empty() {
        let message = format!("has no {FILE}; copy it from where the model came from");
        return Error::file(folder, message);
    }
    let message = format!(
        "has no {FILE}, only {}; make it of them: python3 -c \"import sys, transformers; \
         transformers.AutoTokenizer.from_pretrained(sys.argv[1]).save_pretrained(sys.argv[1])\" {}",
        found.join(" and "),
        folder.display()
    );
    Error::file(folder, message)
}

const FILE: &str = "tokenizer.json";
/// What tokenizers were kept in before.
const OLDER: &[&str] = &[
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "spiece.model",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
];
const PIECE: usize = 1 << 20;
