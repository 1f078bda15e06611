//! Which tokens end a text, by the settings of a model.
use serde_json::Value;

use crate::Result;
use crate::pretrained::config::Config;
use crate::pretrained::model::Pretrained;

/// Where transformers keeps what it generates text by.
const FILE: &str = "generation_config.json";
const NAME: &str = "eos_token_id";

/// What there makes transformers choose other tokens than the most probable ones, each with the
/// value that changes nothing.
const CHOICES: &[(&str, f64)] = &[
    ("begin_suppress_tokens", f64::NAN),
    ("encoder_no_repeat_ngram_size", 0.0),
    ("encoder_repetition_penalty", 1.0),
    ("forced_bos_token_id", f64::NAN),
    ("forced_eos_token_id", f64::NAN),
    ("min_length", 0.0),
    ("min_new_tokens", f64::NAN),
    ("no_repeat_ngram_size", 0.0),
    ("num_beams", 1.0),
    ("repetition_penalty", 1.0),
    ("suppress_tokens", f64::NAN),
];

impl Pretrained {
    /// The tokens that end a text: `eos_token_id` of `generation_config.json`, or where that says
    /// none of `config.json`, a number or several. None where neither says one.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File) for anything else.
    pub fn end_tokens(&self) -> Result<Vec<u32>> {
        if let Some(beside) = self.config().beside(FILE)? {
            let found = tokens(&beside)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        tokens(self.config())
    }

    /// What `generation_config.json` asks for that is not done here, and makes transformers choose
    /// other tokens: `name = value`.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File) for a file that is no object of settings.
    pub fn unheeded_choices(&self) -> Result<Vec<String>> {
        let Some(beside) = self.config().beside(FILE)? else { return Ok(Vec::new()) };
        let set = |&&(name, idle): &&(&str, f64)| {
            let empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
            beside.get(name).is_some_and(|value| value.as_f64() != Some(idle) && !empty(value))
        };
        let told = |&(name, _): &(&str, f64)| {
            let value = beside.get(name).map(Value::to_string).unwrap_or_default();
            format!("{name} = {value}")
        };
        Ok(CHOICES.iter().filter(set).map(told).collect())
    }
}

fn tokens(config: &Config) -> Result<Vec<u32>> {
    let number = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok());
    let found = match config.get(NAME) {
        None => Some(Vec::new()),
        Some(Value::Array(values)) => values.iter().map(number).collect(),
        Some(value) => number(value).map(|token| vec![token]),
    };
    found.ok_or_else(|| config.wrong(NAME, "the number of a token is needed, or several"))
}
