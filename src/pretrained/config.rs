//! `config.json`: settings by name, each of which somebody must understand.
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};

use crate::kernels::Activation;
use crate::storage::open_plain;
use crate::{Error, Result};

/// More than any such file has.
const MOST_BYTES: u64 = 16 << 20;
/// Settings that change nothing of a forward pass, or that only say what the files say.
const HARMLESS: &[&str] = &[
    "_attn_implementation",
    "_commit_hash",
    "_name_or_path",
    "architectures",
    "auto_map",
    "bad_words_ids",
    "bos_token_id",
    "cls_token_id",
    "dtype",
    "eos_token_id",
    "finetuning_task",
    "gradient_checkpointing",
    "id2label",
    "initializer_factor",
    "initializer_range",
    "label2id",
    "language",
    "mask_token_id",
    "model_type",
    "name_or_path",
    "pad_token_id",
    "pretraining_tp",
    "problem_type",
    "sep_token_id",
    "task_specific_params",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "unk_token_id",
    "unsloth_fixed",
    "use_cache",
    "vocab_size_or_config_json_file",
];
/// Endings of settings that only count in training, or when text is generated.
const HARMLESS_ENDINGS: &[&str] = &["_dropout", "_dropout_prob", "_pdrop", "dropout"];

/// The settings of a model, as its folder has them.
#[derive(Debug)]
pub struct Config {
    path: PathBuf,
    /// In front of the names of settings that are in an object of their own.
    prefix: String,
    settings: Map<String, Value>,
    /// Names that have been asked for.
    read: Mutex<BTreeSet<String>>,
}

impl Config {
    /// Reads `config.json` of `folder`.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::File`] for what is no object of settings.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::read(folder.join("config.json"))
    }

    /// The settings in another file `name` of the same folder, where there is one.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn beside(&self, name: &str) -> Result<Option<Self>> {
        let path = self.path.with_file_name(name);
        if path.exists() { Self::read(path).map(Some) } else { Ok(None) }
    }

    fn read(path: PathBuf) -> Result<Self> {
        let mut text = String::new();
        let read = open_plain(&path)?.take(MOST_BYTES).read_to_string(&mut text);
        read.map_err(Error::io("read", &path))?;
        let settings = match serde_json::from_str(&text) {
            Ok(Value::Object(settings)) => settings,
            Ok(_) => return Err(Error::file(&path, "is no object of settings")),
            Err(e) => return Err(Error::file(&path, format!("is no JSON: {e}"))),
        };
        Ok(Self { path, prefix: String::new(), settings, read: Mutex::default() })
    }

    fn names(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All settings, as they are in the file.
    pub fn settings(&self) -> &Map<String, Value> {
        &self.settings
    }

    /// An error about the setting `name`: what it is, and `message`.
    pub fn wrong(&self, name: &str, message: impl std::fmt::Display) -> Error {
        let value = self.settings.get(name).map_or_else(|| "missing".to_owned(), Value::to_string);
        let prefix = &self.prefix;
        Error::file(&self.path, format!("`{prefix}{name}` is {value}; {message}"))
    }

    /// The setting `name`, unless it is missing or null.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.names().insert(name.to_owned());
        self.settings.get(name).filter(|value| !value.is_null())
    }

    /// Takes note of settings that change nothing of what the architecture computes here.
    pub fn ignore<S: AsRef<str>>(&self, names: &[S]) {
        self.names().extend(names.iter().map(|name| name.as_ref().to_owned()));
    }

    /// A whole number from 1 on, unless it is missing.
    ///
    /// # Errors
    /// [`Error::File`] for anything else.
    pub fn count_or_none(&self, name: &str) -> Result<Option<u32>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let count = value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|&n| n > 0);
        let wrong = || self.wrong(name, "a whole number from 1 on is needed");
        count.map(Some).ok_or_else(wrong)
    }

    /// A whole number from 1 on.
    ///
    /// # Errors
    /// [`Error::File`] for anything else, or where it is missing.
    pub fn count(&self, name: &str) -> Result<u32> {
        let missing = || self.wrong(name, "a whole number from 1 on is needed");
        self.count_or_none(name)?.ok_or_else(missing)
    }

    /// Several whole numbers from 1 on.
    ///
    /// # Errors
    /// [`Error::File`] for anything else, or where they are missing.
    pub fn counts(&self, name: &str) -> Result<Vec<u32>> {
        let number = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|&n| n > 0);
        let values = self.get(name).and_then(Value::as_array);
        let counts = values.and_then(|values| values.iter().map(number).collect());
        counts.ok_or_else(|| self.wrong(name, "whole numbers from 1 on are needed"))
    }

    /// A finite number, or `default` where it is missing.
    ///
    /// # Errors
    /// [`Error::File`] for what is no number.
    pub fn number_or(&self, name: &str, default: f64) -> Result<f64> {
        let Some(value) = self.get(name) else { return Ok(default) };
        let number = value.as_f64().filter(|n| n.is_finite());
        number.ok_or_else(|| self.wrong(name, "a number is needed"))
    }

    /// A number above 0.
    ///
    /// # Errors
    /// [`Error::File`] for anything else, or where it is missing.
    pub fn positive(&self, name: &str) -> Result<f64> {
        let number = self.number_or(name, f64::NAN)?;
        let wrong = || self.wrong(name, "a number above 0 is needed");
        Some(number).filter(|&n| n > 0.0).ok_or_else(wrong)
    }

    /// A number above 0, or `default` where it is missing.
    ///
    /// # Errors
    /// [`Error::File`] for anything else.
    pub fn positive_or(&self, name: &str, default: f64) -> Result<f64> {
        if self.get(name).is_some() { self.positive(name) } else { Ok(default) }
    }

    /// Yes or no, or `default` where it is missing.
    ///
    /// # Errors
    /// [`Error::File`] for anything else.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool> {
        let Some(value) = self.get(name) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.wrong(name, "true or false is needed"))
    }

    /// A text, unless it is missing.
    ///
    /// # Errors
    /// [`Error::File`] for anything else.
    pub fn text(&self, name: &str) -> Result<Option<&str>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.wrong(name, "a text is needed"))
    }

    /// The object `name` as settings of their own, unless it is missing.
    ///
    /// # Errors
    /// [`Error::File`] for anything else.
    pub fn object(&self, name: &str) -> Result<Option<Self>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let Value::Object(settings) = value else {
            return Err(self.wrong(name, "an object is needed"));
        };
        Ok(Some(Self {
            path: self.path.clone(),
            prefix: format!("{}{name}.", self.prefix),
            settings: settings.clone(),
            read: Mutex::default(),
        }))
    }

    /// That the setting `name` is `value` or missing, where nothing else is known here.
    ///
    /// # Errors
    /// [`Error::File`] for another value.
    pub fn only(&self, name: &str, value: impl Into<Value>) -> Result<()> {
        let value = value.into();
        match self.get(name) {
            Some(other) if *other != value => {
                Err(self.wrong(name, format_args!("only {value} is known here")))
            }
            _ => Ok(()),
        }
    }

    /// The activation that the setting `name` is called.
    ///
    /// # Errors
    /// [`Error::File`] for one that is not known.
    pub fn activation(&self, name: &str, default: &str) -> Result<Activation> {
        Ok(match self.text(name)?.unwrap_or(default) {
            "relu" => Activation::Relu,
            "tanh" => Activation::Tanh,
            "sigmoid" => Activation::Sigmoid,
            "gelu" | "gelu_python" => Activation::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Activation::GeluTanh,
            "silu" | "swish" => Activation::Silu,
            "linear" => Activation::Identity,
            _ => {
                let known = "relu, tanh, sigmoid, gelu, gelu_new, gelu_pytorch_tanh, silu, linear";
                return Err(self.wrong(name, format_args!("known are {known}")));
            }
        })
    }

    /// That nothing is left which nobody has asked for and which may change what the model does.
    ///
    /// # Errors
    /// [`Error::File`] names the first such setting.
    pub fn check_all_read(&self) -> Result<()> {
        let read = self.names();
        let idle = |value: &Value| match value {
            Value::Null | Value::Bool(false) => true,
            Value::String(text) => text.is_empty(),
            Value::Array(values) => values.is_empty(),
            Value::Object(values) => values.is_empty(),
            _ => false,
        };
        let known = |name: &str| {
            read.contains(name)
                || HARMLESS.contains(&name)
                || HARMLESS_ENDINGS.iter().any(|end| name.ends_with(end))
        };
        let left = self.settings.iter().find(|(name, value)| !idle(value) && !known(name));
        match left {
            Some((name, _)) => Err(self.wrong(
                name,
                "this setting is not known here; where it changes nothing of what the model \
                 computes, take it out of a copy of the file",
            )),
            None => Ok(()),
        }
    }
}
