//! The folder that a run begins with.
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::settings::Value;

/// A folder that others have trained, and what tells it from another one in its place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "PretrainedFolder"))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Init {
    /// Where it is.
    pub folder: PathBuf,
    /// Of its weights as the run began, as
    /// [`Folder::fingerprint`](crate::storage::Folder::fingerprint) has it; empty where nobody has
    /// looked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fingerprint: String,
}

/// By its path.
impl Value for Init {
    const NAME: &'static str = "FOLDER";

    fn set(&mut self, text: &str) -> Result<(), String> {
        if text.is_empty() {
            return Err("must be the folder of a pretrained model".to_owned());
        }
        *self = Self { folder: text.into(), fingerprint: String::new() };
        Ok(())
    }
}
