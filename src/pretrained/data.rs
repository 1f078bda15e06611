//! Rows to train a pretrained model on.
use serde_json::Value;

use super::architectures::{Answer, Input};
use super::model::Pretrained;
use crate::data::{self, Dataset, OpenOptions, Scaling, Schema, Split, Task};
use crate::{Error, Result};

/// What transformers' files say of images, where it is not in `config.json`.
const PREPROCESSOR: &str = "preprocessor_config.json";

impl Pretrained {
    /// Opens the data set `name` to train this model on, with what is kept to test it.
    ///
    /// - A language model takes `text:FILE`: windows of `length` tokens by the model's own tokenizer
    ///   (2048 where nobody says how many, or as many as the model knows), and of each token the
    ///   one that follows. `test` is a second text, or a share of the tokens at the end, 0.1 by
    ///   default.
    /// - A model of images takes what [`data::open_for`] does: `images:DIR` is brought to the
    ///   model's size, and its pixels are scaled as `preprocessor_config.json` says. Folders are
    ///   classes by the names that `config.json` has for them; where it has none (`LABEL_0`), in
    ///   the order of their names.
    /// - A model of texts with classes takes `csv:FILE`: `label` is the column of the classes, by
    ///   name or number, and the one that is left the column of the texts. `length` is the number
    ///   of tokens of a row, that of the longest text by default; `test` as of any table.
    ///
    /// # Errors
    /// [`Error::Argument`] for data of another kind, too many tokens in a window, other classes than
    /// the model's, or an option that does not apply; [`Error::File`] for a text that is too short,
    /// and for a tokenizer of another vocabulary; of [`data::open_for`].
    pub fn open_data(&self, name: &str, options: &OpenOptions) -> Result<Split> {
        match (self.architecture().input(), self.architecture().answer()) {
            (Input::Tokens { vocabulary, positions, types: None, .. }, Answer::NextToken) => {
                self.open_text(name, options, vocabulary, positions)
            }
            (Input::Images { side, channels }, Answer::Class { classes }) => {
                self.open_images(name, options, [side, channels, classes])
            }
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
        use crate::data::{Test, TokenWindows, Tokenizer};

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

    fn open_images(
        &self,
        name: &str,
        options: &OpenOptions,
        [side, channels, classes]: [u32; 3],
    ) -> Result<Split> {
        let schema = Schema {
            shape: [side, side, channels].map(|extent| extent as usize).to_vec(),
            task: Task::classification(classes),
            class_names: self.class_names(),
            scaling: self.pixels(channels)?,
            ..Schema::default()
        };
        let split = data::open_for(name, options, &schema)?;
        let rows = &split.train;
        if rows.feature_shape() != schema.shape || rows.task() != schema.task {
            let (path, shape, task) = (self.path().display(), rows.feature_shape(), rows.task());
            let (wanted, takes) = (&schema.shape, schema.task);
            let message = format!(
                "`{name}` has rows of {shape:?} for {task}; {path} takes {wanted:?} for {takes}"
            );
            return Err(Error::argument("data", message));
        }
        Ok(split)
    }

    /// The `length` of the [`network`](Self::network) that `rows` are for.
    pub fn length_of(&self, rows: &Dataset) -> u32 {
        let parts = if self.is_padded() { 3 } else { 1 };
        u32::try_from((rows.width() - rows.beside()) / parts).unwrap_or(u32::MAX)
    }

    /// By what pixels from 0 to 1 are scaled: `preprocessor_config.json` says it, or timm's
    /// `config.json`.
    fn pixels(&self, channels: u32) -> Result<Option<Scaling>> {
        let of_transformers = self.config().beside(PREPROCESSOR)?;
        let timm = self.config().settings();
        let timm = timm.get("pretrained_cfg").and_then(Value::as_object).unwrap_or(timm);
        let (found, [mean, deviation]) = match &of_transformers {
            Some(config) => (config.settings(), ["image_mean", "image_std"]),
            None => (timm, ["mean", "std"]),
        };
        let is_off = found.get("do_normalize") == Some(&Value::Bool(false));
        let numbers = |name: &str| -> Option<Vec<f32>> {
            let all = found.get(name)?.as_array()?.iter();
            let all: Vec<f32> = all.map(|v| v.as_f64().map(|x| x as f32)).collect::<Option<_>>()?;
            (all.len() == channels as usize).then_some(all)
        };
        match (numbers(mean), numbers(deviation)) {
            _ if is_off => Ok(None),
            (Some(mean), Some(scale)) => Ok(Some(Scaling { mean, scale })),
            _ => {
                log::warn!(
                    "{} does not say how pixels are scaled ({mean}, {deviation}): they are from 0 \
                     to 1",
                    self.path().display()
                );
                Ok(None)
            }
        }
    }
}

/// Tokens of a window where nobody says how many.
#[cfg(feature = "text")]
const LENGTH: usize = 2048;
