//! A run as a file: everything that decides its result.
mod commented;
mod difference;
mod init;
#[cfg(feature = "schema")]
mod schema;

use std::fs;
use std::path::Path;

use crate::data::{self, OpenOptions, Split};
use crate::nn::Model;
use crate::optim::{Clip, Multiplier, Optimizer, Schedule, Training};
use crate::prune::{PruningSpec, TensorPattern};
use crate::settings::{Share, Value, meant, settings};
use crate::storage::replace;
use crate::{Error, Result};

pub use difference::Difference;
pub use init::Init;

settings! {
    /// What to train, on what, and how. A logdir holds the recipe of its run.
    ///
    /// In code it is the built-in one ([`Default`]) and what is changed of it, by steps of a
    /// builder or by its fields: `Recipe::default().data("csv:iris.csv".into()).steps(500)`.
    pub struct Recipe;
    needed {
        /// A data set as [`data::open`] takes it: `digits`, `csv:FILE`, `images:DIR`, ...
        data: String, file;
        /// `mlp:WIDTH-WIDTH-...`: hidden layers with ReLU between them; `lenet5`; `cifar10`;
        /// `charlstm:UNITSxDEPTH` and `chargpt:WIDTHxBLOCKSxHEADS` for texts. A recipe may declare
        /// any stack of layers: docs/layers.md.
        model: Model, option;
        /// Rows in a batch; of several ranks each has batches of its own, of so many rows.
        batch: usize, option;
        /// Global step to stop at.
        steps: u64, option keeps_run;
        /// `sgd`, `momentum`, `adam`, `adamw`, `rmsprop`, `adagrad` or `lion`.
        optimizer: Optimizer, option;
    }
    optional {
        /// How the data is opened: label, targets, what is kept for testing, ...
        data_options: OpenOptions, file;
        /// Keep less for the backward pass: only what every N-th layer hands on, and compute the
        /// rest again there, to the same bits; 0 keeps everything.
        recompute: usize, option keeps_run;
        /// Leave out the rows of an epoch that do not fill a batch.
        drop_last: bool, option;
        /// The folder of a pretrained model whose weights the run begins with, and whose layers it
        /// has: docs/pretrained.md.
        init: Option<Init>, option;
        /// Of a pretrained model, train only the tensors whose name this regular expression is found
        /// in; the others stay, and take nothing for gradients and the optimizer.
        only: Option<TensorPattern>, option;
        /// Of a pretrained model, leave the tensors as they are whose name this regular expression
        /// is found in.
        exclude: Option<TensorPattern>, option;
        /// Of a pretrained language model, the folder of the dense model that it is to come near to
        /// again: docs/pretrained.md.
        distill: Option<Init>, option;
        /// What the logits of both are divided by where one is distilled from the other; 1 by
        /// default.
        temperature: Option<f32>, option;
        /// How much of the loss then is the dense model's, from 0 to 1; the rest is the text's. 1 by
        /// default.
        distill_share: Option<f32>, option;
        /// Batches whose gradients make one update, one after the other on the device; 0 and 1 are
        /// one.
        accumulate: usize, option;
        /// Seed of initial weights and data order.
        seed: u64, option;
        /// Chrome trace of the steps taken from global step 0, N, 2N, ...
        trace_every_n_steps: Option<u64>, option keeps_run;
        /// Checkpoint every so many seconds; 600 by default, and in the beginning after 1, 2, 4, 8,
        /// ...; 0 saves at the end only.
        save_secs: Option<f64>, option keeps_run;
        /// Checkpoint every so many steps too.
        save_steps: Option<u64>, option keeps_run;
        /// Evaluate on all test rows every so many steps; 0 never does. By default on some of them,
        /// so that it takes little time, 20 times in a run.
        eval_steps: Option<u64>, option keeps_run;
        /// Evaluate by an average of the weights of which this share stays at a step, like 0.9999.
        average: Option<f32>, option;
        /// Learning rates by step.
        schedule: Schedule, file;
        /// What clips gradients.
        clip: Clip, file;
        /// Factors on gradients.
        multipliers: Vec<Multiplier>, file;
        /// Pruning settings, name=value separated by commas; `none` trains dense. Among them:
        /// target_sparsity, initial_sparsity, pruning_frequency, sparsity_function_begin_step,
        /// sparsity_function_end_step, sparsity_function_exponent, begin_pruning_step,
        /// end_pruning_step, do_not_prune=[NAME,...], scope=layer|global, budget=uniform|erk,
        /// pattern=element|N:M|N:MxV|channel, pruned=zero|revive|freeze|pull;
        /// docs/pruning.md has them all.
        pruning: Option<PruningSpec>, option;
    }
    also {
        /// Learning rate.
        lr: f32 = |recipe, lr| recipe.optimizer = recipe.optimizer.with_learning_rate(lr);
        /// Largest L2 norm of all gradients together; longer ones are scaled to it.
        clip_norm: f32 = |recipe, norm| recipe.clip.global_norm = Some(norm);
        /// Share of the weights to prune in the end, like 0.9 or 90%: by the schedule of the
        /// recipe, or one that fits its steps.
        sparsity: Share = |recipe, Share(sparsity)| match &mut recipe.pruning {
            Some(spec) => spec.target_sparsity = sparsity,
            pruning => *pruning = Some(PruningSpec::to(sparsity).over(recipe.steps)),
        };
        /// Prune by ELSA: pruned weights train on, and a penalty of this strength, like 0.01, draws
        /// all weights to their projection; by a schedule that fits the steps.
        penalty: f64 = |recipe, penalty| {
            let spec = recipe.pruning.take().unwrap_or_default();
            recipe.pruning = Some(spec.pulled_over(penalty, recipe.steps));
        };
    }
}

/// What runs when nothing is asked for.
impl Default for Recipe {
    fn default() -> Self {
        toml::from_str(include_str!("../../recipes/digits.toml")).expect("the built-in recipe")
    }
}

impl Value for Model {
    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = text.parse().map_err(|e: Error| e.to_string())?;
        Ok(())
    }
}

/// By its name, with the learning rate that is there and the defaults of its paper.
impl Value for Optimizer {
    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = Self::named(text, self.learning_rate()).map_err(|e| e.to_string())?;
        Ok(())
    }
}

impl Value for Option<PruningSpec> {
    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = match text {
            "none" => None,
            text => Some(text.parse().map_err(|e: Error| e.to_string())?),
        };
        Ok(())
    }
}

impl Recipe {
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
        data::open(&self.data, &self.data_options)
    }

    /// Reads the recipe at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read; [`Error::File`] says what in it is no recipe.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
        toml::from_str(&text).map_err(|e: toml::de::Error| {
            let near = meant(e.message()).map(|near| format!("; did you mean `{near}`?"));
            let said = e.to_string();
            let (said, near) = (said.trim_end(), near.unwrap_or_default());
            Error::file(path, format!("is not a recipe: {said}{near}"))
        })
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
