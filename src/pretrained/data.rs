//! Rows to train a pretrained model on.
use std::path::Path;
use std::sync::Arc;

use super::architectures::{Answer, Input};
use super::class_names::MatchedBy;
use super::model::Pretrained;
use crate::data::{Answers, Dataset, Features, OpenOptions, Pictures, Split, Test};
use crate::{Error, Result};

impl Pretrained {
    /// Opens the data set `name` to train this model on, with what is kept to test it.
    ///
    /// - A language model takes `text:FILE`: windows of `length` tokens by the model's own tokenizer
    ///   (2048 where nobody says how many, or as many as the model knows), and of each token the
    ///   one that follows. `test` is a second text, or a share of the tokens at the end, 0.1 by
    ///   default.
    /// - A model of images takes `images:DIR`, whose pictures become what
    ///   [`preparation`](Self::preparation) says. Folders are classes as
    ///   [`classes_called`](Self::classes_called) has it. Folders `train` and `test` are halves;
    ///   else `test` is a second folder, or a share of each class, 0.1 by default.
    /// - A model of texts with classes takes `csv:FILE`: `label` is the column of the classes, by
    ///   name or number, and the one that is left the column of the texts. `length` is the number
    ///   of tokens of a row, that of the longest text by default; `test` as of any table.
    ///
    /// # Errors
    /// [`Error::Argument`] for data of another kind, too many tokens in a window, other classes than
    /// the model's, or an option that does not apply; [`Error::File`] for a text that is too short,
    /// for a tokenizer of another vocabulary, and for a file that is no picture.
    pub fn open_data(&self, name: &str, options: &OpenOptions) -> Result<Split> {
        match (self.architecture().input(), self.architecture().answer()) {
            (Input::Tokens { vocabulary, positions, types: None, .. }, Answer::NextToken) => {
                self.open_text(name, options, vocabulary, positions)
            }
            (Input::Images { .. }, Answer::Class { .. }) => self.open_images(name, options),
            (Input::Tokens { types: Some(_), .. }, Answer::Class { classes }) => {
                self.open_table(name, options, classes)
            }
            (_, answer) => {
                let path = self.path().display();
                let message = match answer {
                    Answer::Hidden => format!("{path} has no head, so there is nothing to learn"),
                    _ => format!("{name}: no data set is for what {path} takes and answers"),
                };
                Err(Error::argument("data", message))
            }
        }
    }

    #[cfg(feature = "text")]
    fn open_text(
        &self,
        name: &str,
        options: &OpenOptions,
        vocabulary: u32,
        positions: u32,
    ) -> Result<Split> {
        use crate::data::{TokenWindows, Tokenizer};

        let Some(file) = name.strip_prefix("text:") else {
            let message = format!("`{name}`: {} takes text:FILE", self.path().display());
            return Err(Error::argument("data", message));
        };
        options.only(&["length", "test"], name)?;
        let length = options.length.unwrap_or(LENGTH.min(positions as usize));
        if length > positions as usize {
            let message = format!("{length}: the model knows {positions} positions");
            return Err(Error::argument("length", message));
        }
        let tokenizer = Tokenizer::open(self.path())?;
        tokenizer.check(vocabulary as usize)?;
        let mut ids = tokenizer.encode_file(file)?;
        let split = match (&options.test, options.tested_on()) {
            (None, _) => TokenWindows::halves(ids, length, vocabulary),
            (_, Test::Second(test)) => {
                let test = tokenizer.encode_file(test)?;
                TokenWindows::split(ids, test, length, vocabulary)
            }
            (_, Test::Share(share)) => {
                if !(share > 0.0 && share < 1.0) {
                    let message = format!("{share}; the share to test on is above 0 and below 1");
                    return Err(Error::argument("test", message));
                }
                let test = ids.split_off((ids.len() as f64 * (1.0 - share)).round() as usize);
                TokenWindows::split(ids, test, length, vocabulary)
            }
        };
        split.map_err(|e| Error::file(file, format!("by {}: {e}", tokenizer.path().display())))
    }

    #[cfg(not(feature = "text"))]
    fn open_text(&self, name: &str, _: &OpenOptions, _: u32, _: u32) -> Result<Split> {
        let message = format!("{name}: this build has no tokenizers; build it with feature `text`");
        Err(Error::argument("data", message))
    }

    #[cfg(not(feature = "text"))]
    fn open_table(&self, name: &str, options: &OpenOptions, _: u32) -> Result<Split> {
        self.open_text(name, options, 0, 0)
    }

    fn open_images(&self, name: &str, options: &OpenOptions) -> Result<Split> {
        let Some(dir) = name.strip_prefix("images:") else {
            let message = format!("`{name}`: {} takes images:DIR", self.path().display());
            return Err(Error::argument("data", message));
        };
        options.only(&["test", "split_seed"], name)?;
        let dir = Path::new(dir);
        let (first, second) = (Pictures::to_train(dir)?, Pictures::to_test(dir)?);
        let train = self.prepared_rows(dir, &first)?;
        let test = match options.tested_on() {
            _ if first != second => self.prepared_rows(dir, &second)?,
            Test::Second(second) => self.prepared_rows(&second, &Pictures::of(&second)?)?,
            Test::Share(share) => return train.split(share, options.split_seed),
        };
        Ok(Split { train: Arc::new(train), test: Arc::new(test) })
    }

    /// Pictures of the folder `dir` as the model takes them, each of the class that its folder is
    /// called by.
    fn prepared_rows(&self, dir: &Path, pictures: &Pictures) -> Result<Dataset> {
        let wrong = |e: Error| match e {
            Error::Argument { message, .. } => Error::file(dir, message),
            other => other,
        };
        let Pictures { files, classes: folders, labels } = pictures;
        if folders.is_empty() {
            let message = "holds pictures without classes; a folder for each class holds its own";
            return Err(Error::file(dir, message));
        }
        let matched = self.classes_called(folders).map_err(wrong)?;
        if matched.by == MatchedBy::Order {
            log::warn!(
                "{}: no folder is called like a class of the model: they are taken for its classes \
                 in their order",
                dir.display()
            );
        }
        let (classes, of) = (self.classes()?, matched.classes);
        let Input::Images { side, channels } = self.architecture().input() else {
            return Err(Error::argument("data", "the model takes no pictures"));
        };
        let pixels = self.preparation()?.prepare_all(files, side, channels)?;
        let labels = labels.iter().map(|&folder| of[folder as usize]).collect();
        let shape = [side, side, channels].map(|extent| extent as usize);
        let answers = Answers::Classes { labels, classes };
        let rows = Dataset::new("images", &shape, Features::F32(pixels), answers).map_err(wrong)?;
        match self.class_names() {
            names if names.is_empty() => Ok(rows),
            names => rows.with_class_names(names),
        }
    }

    /// The `length` of the [`network`](Self::network) that `rows` are for.
    pub fn length_of(&self, rows: &Dataset) -> u32 {
        let parts = if self.is_padded() { 3 } else { 1 };
        u32::try_from((rows.width() - rows.beside()) / parts).unwrap_or(u32::MAX)
    }
}

/// Tokens of a window where nobody says how many.
#[cfg(feature = "text")]
const LENGTH: usize = 2048;
