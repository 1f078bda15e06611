//! What a file says of the weights that were faster packed: a hint of the adapter that it was
//! exported on.
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::kernels::PackedForm;

/// Its key in a file's metadata.
const KEY: &str = "fastest";

/// Which weights were faster packed where a file was exported: a hint, which another adapter may
/// find wrong. In the file's metadata.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Fastest {
    /// The adapter that they were timed on.
    pub adapter: String,
    /// Those that were timed, or were not worth it.
    pub weights: Vec<FastestWeight>,
}

/// What was fastest for a weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FastestWeight {
    /// Its name.
    pub name: String,
    /// Rows that it was multiplied with: the hint is for no more than these.
    pub rows: u32,
    /// How it was packed; `None` where dense was the faster.
    pub form: Option<PackedForm>,
}

impl Fastest {
    /// What was found on `adapter`.
    pub fn new(adapter: impl Into<String>, weights: Vec<FastestWeight>) -> Self {
        Self { adapter: adapter.into(), weights }
    }

    /// What it says of the weight `name`.
    pub fn weight(&self, name: &str) -> Option<&FastestWeight> {
        self.weights.iter().find(|weight| weight.name == name)
    }

    /// What the metadata of a file says; `None` where it says nothing.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub(crate) fn of(metadata: &HashMap<String, String>) -> Result<Option<Self>, String> {
        let found = metadata.get(KEY).map(|json| serde_json::from_str(json)).transpose();
        found.map_err(|e| format!("what it says was fastest: {e}"))
    }

    /// Its key and its text in a file's metadata.
    ///
    /// # Errors
    /// Of the encoder.
    pub fn metadata(&self) -> crate::Result<(String, String)> {
        let text = serde_json::to_string(self);
        let text = text.map_err(|e| crate::Error::argument(KEY, e.to_string()))?;
        Ok((KEY.to_owned(), text))
    }
}

impl FastestWeight {
    /// That `name` was fastest in `form` with so many rows.
    pub fn new(name: impl Into<String>, rows: u32, form: Option<PackedForm>) -> Self {
        Self { name: name.into(), rows, form }
    }
}
