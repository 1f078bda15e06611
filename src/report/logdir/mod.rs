//! Everything that a run has left in its logdir.
mod events;
mod tensors;
mod trace;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{Error, Result};

pub(super) use events::{Distribution, Events};
pub(super) use tensors::{Layer, Tensors};
pub(super) use trace::Trace;

/// File name of what a run came to, as one JSON object.
pub const RESULT_FILE: &str = "result.json";
const RECIPE_FILE: &str = "recipe.toml";
const DENSE: &str = "dense";

/// A run, as its logdir tells it.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) logdir: PathBuf,
    /// The logdir's name, short enough for a legend.
    pub(super) name: String,
    pub(super) events: Events,
    /// The recipe's text, where there is one.
    pub(super) recipe: Option<String>,
    /// What the run came to, where it ended: JSON of `secateur train`.
    pub(super) result: Value,
    pub(super) tensors: Option<Tensors>,
    pub(super) traces: Vec<Trace>,
    /// The dense run that it is compared with.
    pub(super) dense: Option<Box<Self>>,
    /// What could not be read, each with the reason.
    pub(super) missing: Vec<String>,
}

impl Run {
    /// Whether there is a run at `logdir`.
    pub(super) fn is_at(logdir: &Path) -> bool {
        let events = |name: &str| name.starts_with("events.out.tfevents.");
        logdir.join(RECIPE_FILE).is_file()
            || fs::read_dir(logdir)
                .into_iter()
                .flatten()
                .flatten()
                .any(|entry| events(&entry.file_name().to_string_lossy()))
    }

    /// Reads `logdir`. A part that is damaged is missing, and named.
    ///
    /// # Errors
    /// [`Error::File`] where there is no run; [`Error::Io`] where the folder cannot be read.
    pub(super) fn read(logdir: &Path) -> Result<Self> {
        if !Self::is_at(logdir) {
            let message = "holds no run: neither recipe.toml nor event files; name a logdir";
            return Err(Error::file(logdir, message));
        }
        let mut this = Self { name: name(logdir), logdir: logdir.into(), ..Self::default() };
        this.events = Events::read(logdir)?;
        this.missing.clone_from(&this.events.damaged);
        let recipe = logdir.join(RECIPE_FILE);
        if recipe.is_file() {
            this.recipe = Some(fs::read_to_string(&recipe).map_err(Error::io("read", &recipe))?);
        }
        let result = logdir.join(RESULT_FILE);
        if result.is_file() {
            let bytes = fs::read(&result).map_err(Error::io("read", &result))?;
            match serde_json::from_slice(&bytes) {
                Ok(value) => this.result = value,
                Err(e) => this.missing.push(format!("{RESULT_FILE}: {e}")),
            }
        }
        match Tensors::newest(logdir) {
            Ok(tensors) => this.tensors = tensors,
            Err(e) => this.missing.push(e.to_string()),
        }
        let (traces, damaged) = Trace::all(logdir);
        this.traces = traces;
        this.missing.extend(damaged);
        let dense = logdir.join(DENSE);
        if Self::is_at(&dense) {
            this.dense = Self::read(&dense).ok().map(Box::new);
        }
        Ok(this)
    }

    /// A number of the result.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.result.get(name).and_then(Value::as_f64)
    }

    /// A text of the result.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.result.get(name).and_then(Value::as_str)
    }

    /// The recipe as a table; empty where it is none.
    pub(super) fn table(&self) -> toml::Table {
        self.recipe.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// What the tags of the pruning begin with, like `model_pruning_summaries`.
    pub(super) fn pruning(&self) -> Option<&str> {
        self.events.scalars.keys().find_map(|tag| tag.strip_suffix("/mask_sparsity"))
    }

    /// The curve of `what` of the weight `name`, like `threshold`.
    pub(super) fn of_weight(&self, name: &str, what: &str) -> &[(u64, f64)] {
        let prefix = self.pruning().unwrap_or_default();
        self.events.curve(&format!("{prefix}/{name}/{what}"))
    }

    /// The last step that is known.
    pub(super) fn last_step(&self) -> Option<u64> {
        let curves = self.events.scalars.values();
        let of_events = curves.filter_map(|c| c.last()).map(|(step, _)| *step).max();
        of_events.max(self.tensors.as_ref().map(|t| t.manifest.global_step))
    }
}

/// What a legend calls a logdir.
fn name(logdir: &Path) -> String {
    let path = std::path::absolute(logdir).unwrap_or_else(|_| logdir.into());
    let last = path.file_name().unwrap_or(path.as_os_str());
    last.to_string_lossy().into_owned()
}
