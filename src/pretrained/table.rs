//! Tables of texts with classes, for a model that says what a text is.
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::architectures::Input;
use super::model::Pretrained;
use crate::data::{
    Answers, Dataset, Features, OpenOptions, Split, Test, Texts, TokenRows, Tokenizer,
};
use crate::{Error, Result};

const OPTIONS: &[&str] = &["label", "ignore", "no_header", "length", "test", "split_seed"];

impl Pretrained {
    /// The rows of [`open_data`](Self::open_data), of a model that tells `classes` classes of texts
    /// apart.
    pub(crate) fn open_table(
        &self,
        name: &str,
        options: &OpenOptions,
        classes: u32,
    ) -> Result<Split> {
        let Some(file) = name.strip_prefix("csv:") else {
            let message = format!("`{name}`: {} takes csv:FILE", self.path().display());
            return Err(Error::argument("data", message));
        };
        options.only(OPTIONS, name)?;
        let positions = match self.architecture().input() {
            Input::Tokens { positions, .. } => positions as usize,
            Input::Images { .. } => 0,
        };
        if let Some(length) = options.length.filter(|&length| length > positions) {
            let message = format!("{length}: the model knows {positions} positions");
            return Err(Error::argument("length", message));
        }
        let tokenizer = Tokenizer::open(self.path())?;
        let first = Texts::read(file.as_ref(), options)?;
        let numbers = self.numbers(file.as_ref(), &first.classes)?;
        let length = match options.length {
            Some(length) => length,
            None => {
                let rows = tokenizer.encode_texts(first.texts.iter().map(String::as_str), None)?;
                rows.length.min(positions)
            }
        };
        let rows = |texts: &Texts, path: &Path| {
            self.rows(&tokenizer, path, texts, &numbers, [length, classes as usize])
        };
        let train = rows(&first, file.as_ref())?;
        match options.tested_on() {
            Test::Share(share) => train.split(share, options.split_seed),
            Test::Second(second) => {
                let test = rows(&Texts::read(&second, options)?, &second)?;
                Ok(Split { train: Arc::new(train), test: Arc::new(test) })
            }
        }
    }

    /// Rows of `length` tokens, each with what says which are padding, and with their types.
    fn rows(
        &self,
        tokenizer: &Tokenizer,
        path: &Path,
        texts: &Texts,
        numbers: &HashMap<String, u32>,
        [length, classes]: [usize; 2],
    ) -> Result<Dataset> {
        let Input::Tokens { vocabulary, types: Some(kinds), .. } = self.architecture().input()
        else {
            return Err(Error::argument("data", "the model takes no texts with padding"));
        };
        tokenizer.check(vocabulary as usize)?;
        let encoded =
            tokenizer.encode_texts(texts.texts.iter().map(String::as_str), Some(length))?;
        let TokenRows { ids, mask, types, cut, .. } = encoded;
        for (what, values, below) in [("token", &ids, vocabulary), ("type", &types, kinds)] {
            if let Some(value) = values.iter().find(|&&value| value >= below) {
                let message = format!("makes a {what} {value}, the model knows {below}");
                return Err(Error::file(tokenizer.path(), message));
            }
        }
        if cut > 0 {
            let (of, path) = (texts.texts.len(), path.display());
            log::warn!(
                "{path}: {cut} of {of} texts have more than {length} tokens, and lose their ends"
            );
        }
        let parts = ids.chunks(length).zip(mask.chunks(length)).zip(types.chunks(length));
        let row = |((ids, mask), types): ((&[u32], &[u32]), &[u32])| [ids, mask, types].concat();
        let features = parts.flat_map(row).map(|value| value as f32).collect::<Vec<_>>();
        let label = |(i, class): (usize, &String)| {
            numbers.get(class).copied().ok_or_else(|| {
                let message = format!("row {i} is of class `{class}`, which no row to train on is");
                Error::file(path, message)
            })
        };
        let labels = texts.classes.iter().enumerate().map(label).collect::<Result<Vec<_>>>()?;
        let answers = Answers::Classes { labels, classes: classes as u32 };
        Dataset::new("texts", &[3 * length], Features::F32(features), answers)
            .map_err(|e| Error::file(path, e.to_string()))
    }

    /// Which class of the model each word of `found` is, as [`classes_called`](Self::classes_called)
    /// has it.
    fn numbers(&self, path: &Path, found: &[String]) -> Result<HashMap<String, u32>> {
        let names: BTreeSet<&String> = found.iter().collect();
        let names: Vec<String> = names.into_iter().cloned().collect();
        let matched = self.classes_called(&names);
        let wrong = |e: Error| match e {
            Error::Argument { message, .. } => Error::file(path, message),
            other => other,
        };
        let classes = matched.map_err(wrong)?.classes;
        Ok(names.into_iter().zip(classes).collect())
    }
}
