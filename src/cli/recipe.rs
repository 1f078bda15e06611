//! A run as a file: everything that decides its result.
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use secateur::nn::Model;
use secateur::optim::{Clip, Multiplier, Optimizer, Schedule, Training};
use secateur::prune::PruningSpec;
use serde::{Deserialize, Serialize};

use super::args::{Pruning, Train};
use super::data::LENGTH;

/// What to train, on what, and how. A logdir holds the recipe of its run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// `digits`, `mnist:DIR`, `fashion-mnist:DIR`, `cifar10:DIR` or `text:FILE`.
    pub data: String,
    /// Characters in a window of a text; other data have no windows.
    #[serde(default = "default_length")]
    pub length: usize,
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
    #[serde(default)]
    pub seed: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_every_n_steps: Option<u64>,
    /// Decay of an average of the weights to evaluate by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<f32>,
    pub optimizer: Optimizer,
    #[serde(default, skip_serializing_if = "is_default")]
    pub schedule: Schedule,
    #[serde(default, skip_serializing_if = "is_default")]
    pub clip: Clip,
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

    /// The recipe of `args`: the named or built-in one, with the options in its place.
    pub fn of(args: &Train) -> Result<Self> {
        let mut recipe = match &args.recipe {
            Some(path) => Self::read(path)?,
            None => Self::built_in(),
        };
        if args.recipe.is_none() && (args.data.is_some() || args.model.is_some()) {
            // The built-in schedule is made for the digits; elsewhere it must be asked for.
            recipe.pruning = None;
            recipe.trace_every_n_steps = None;
        }
        let Train { data, length, model, steps, batch, seed, trace_every_n_steps, .. } = args;
        set(&mut recipe.data, data.as_ref());
        set(&mut recipe.length, length.as_ref());
        set(&mut recipe.model, model.as_ref());
        set(&mut recipe.steps, steps.as_ref());
        set(&mut recipe.batch, batch.as_ref());
        set(&mut recipe.seed, seed.as_ref());
        set(&mut recipe.recompute, args.recompute.as_ref());
        recipe.trace_every_n_steps = trace_every_n_steps.or(recipe.trace_every_n_steps);
        match &args.pruning {
            Some(Pruning::None) => recipe.pruning = None,
            Some(Pruning::Spec(spec)) => recipe.pruning = Some((**spec).clone()),
            None => {}
        }
        let lr = args.lr.unwrap_or(recipe.optimizer.learning_rate());
        recipe.optimizer = match &args.optimizer {
            Some(name) => Optimizer::named(name, lr)?,
            None => recipe.optimizer.with_learning_rate(lr),
        };
        recipe.average = args.average.or(recipe.average);
        recipe.clip.global_norm = args.clip_norm.or(recipe.clip.global_norm);
        Ok(recipe)
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

    pub fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is not a recipe", path.display()))
    }

    pub fn write(&self, logdir: &Path) -> Result<()> {
        let path = logdir.join("recipe.toml");
        let text = toml::to_string(self)?;
        fs::create_dir_all(logdir)
            .and_then(|()| fs::write(&path, text))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

fn default_length() -> usize {
    LENGTH
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn set<T: Clone>(field: &mut T, value: Option<&T>) {
    if let Some(value) = value {
        field.clone_from(value);
    }
}
