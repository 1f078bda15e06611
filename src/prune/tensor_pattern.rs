//! Which tensors a setting is for, by their names.
use std::fmt;

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::settings::Value;
use crate::{Error, Result};

/// A regular expression in the syntax of the crate `regex`, found anywhere in a tensor's name;
/// spaces at its ends are left out.
///
/// It may be one that does not compile, which matches nothing: where it is used, in
/// [`PruningSpec::validate`](super::PruningSpec::validate) for one, that is an error.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct TensorPattern {
    text: String,
    regex: Result<Regex, String>,
}

impl TensorPattern {
    /// The expression `text`.
    pub fn new(text: &str) -> Self {
        let text = text.trim().to_owned();
        let regex = Regex::new(&text).map_err(|e| e.to_string());
        Self { text, regex }
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is found in the name of a tensor.
    pub fn is_match(&self, name: &str) -> bool {
        self.regex.as_ref().is_ok_and(|regex| regex.is_match(name))
    }

    /// Why it does not compile, where it does not.
    pub fn error(&self) -> Option<&str> {
        self.regex.as_ref().err().map(String::as_str)
    }

    /// Refuses an expression that does not compile, for `entry` of the setting `field`.
    ///
    /// # Errors
    /// [`Error::Argument`] shows where it goes wrong.
    pub(crate) fn check(&self, field: &str, entry: &dyn fmt::Display) -> Result<()> {
        let wrong = |e: &String| Error::argument(field, format!("{entry}: {e}"));
        self.regex.as_ref().map(|_| ()).map_err(wrong)
    }
}

/// By the text.
impl PartialEq for TensorPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for TensorPattern {}

/// The empty one, which is found in every name.
impl Default for TensorPattern {
    fn default() -> Self {
        Self::new("")
    }
}

/// On a command line, where one that does not compile is refused.
impl Value for TensorPattern {
    const NAME: &'static str = "REGEX";

    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = Self::new(text);
        self.error().map_or(Ok(()), |wrong| Err(wrong.to_owned()))
    }
}

impl fmt::Display for TensorPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<&str> for TensorPattern {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for TensorPattern {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl From<TensorPattern> for String {
    fn from(pattern: TensorPattern) -> Self {
        pattern.text
    }
}

#[cfg(feature = "schema")]
crate::settings::text_schema! {
    TensorPattern = { "description": "A regular expression, found anywhere in a tensor's name" }
}
