//! A run as a file: everything that decides its result.
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::data::{self, OpenOptions, Split};
use crate::nn::Model;
use crate::optim::{Clip, Multiplier, Optimizer, Schedule, Training};
use crate::prune::PruningSpec;
use crate::storage::replace;
use crate::{Error, Result};

/// Characters in a window of a text, where nothing says how many.
const LENGTH: usize = 64;

/// What to train, on what, and how. A logdir holds the recipe of its run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// A data set as [`data::open`] takes it: `digits`, `csv:FILE`, `images:DIR`, ...
    pub data: String,
    /// How it is opened: label, targets, what is kept for testing, ...
    #[serde(default, skip_serializing_if = "is_default")]
    pub data_options: OpenOptions,
    /// Characters in a window of a text; other data have no windows.
    #[serde(default = "default_length")]
    pub length: usize,
    /// The model.
    pub model: Model,
    /// Rows in a batch.
    pub batch: usize,
    /// Layers of the segments that the backward pass computes again; 0 keeps everything.
    #[serde(default, skip_serializing_if = "is_default")]
    pub recompute: usize,
    /// Leave out the rows of an epoch that do not fill a batch.
    #[serde(default)]
    pub drop_last: bool,
    /// Global step to stop at.
    pub steps: u64,
    /// Seed of initial weights and data order.
    #[serde(default)]
    pub seed: u64,
    /// Chrome trace of the steps taken from global step 0, N, 2N, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_every_n_steps: Option<u64>,
    /// Decay of an average of the weights to evaluate by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<f32>,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// Learning rates by step.
    #[serde(default, skip_serializing_if = "is_default")]
    pub schedule: Schedule,
    /// What clips gradients.
    #[serde(default, skip_serializing_if = "is_default")]
    pub clip: Clip,
    /// Factors on gradients.
    #[serde(default, skip_serializing_if = "is_default")]
    pub multipliers: Vec<Multiplier>,
    /// Left out: dense training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruning: Option<PruningSpec>,
}

impl Recipe {
    /// The recipe that runs when nothing is asked for.
    pub fn built_in() -> Self {
        toml::from_str(include_str!("../../recipes/digits.toml")).expect("the built-in recipe")
    }

    /// Everything that decides how weights move.
    pub fn training(&self) -> Training {
        Training {
            optimizer: self.optimizer,
            schedule: self.schedule.clone(),
            clip: self.clip,
            multipliers: self.multipliers.clone(),
            average: self.average,
        }
    }

    /// Opens its data.
    ///
    /// # Errors
    /// As [`data::open`].
    pub fn open_data(&self) -> Result<Split> {
        data::open(&self.data, &self.data_options())
    }

    /// How its data is opened; the window of a text is among it.
    pub fn data_options(&self) -> OpenOptions {
        let mut options = self.data_options.clone();
        if self.data.starts_with("text:") {
            options.length = options.length.or(Some(self.length));
        }
        options
    }

    /// Reads the recipe at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read; [`Error::File`] says what in it is no recipe.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
        toml::from_str(&text).map_err(|e| Error::file(path, format!("is not a recipe: {e}")))
    }

    /// Writes it into `logdir`.
    ///
    /// # Errors
    /// [`Error::Io`] names the file.
    pub fn write(&self, logdir: &Path) -> Result<()> {
        let path = logdir.join("recipe.toml");
        let text = toml::to_string(self).map_err(|e| Error::file(&path, e.to_string()))?;
        fs::create_dir_all(logdir).map_err(Error::io("create", logdir))?;
        replace(&path, text.as_bytes())
    }
}

fn default_length() -> usize {
    LENGTH
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
