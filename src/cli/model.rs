//! A trained network from a path, with the recipe of its run where there is one, and the data for
//! it.
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use secateur::Error;
use secateur::data::{self, Dataset, OpenOptions, Schema, Task};
use secateur::gpu::Gpu;
use secateur::nn::{Input, Model};
use secateur::session::{ModelFile, PackedWeights, Session};
use secateur::train::Recipe;

use super::data::Data;
use super::output;

/// Rows in a batch, where nothing says how many.
const BATCH: usize = 256;

/// A trained network.
pub struct Trained {
    pub file: ModelFile,
    /// Of the run that a checkpoint is of.
    recipe: Option<Recipe>,
}

impl Trained {
    pub fn open(path: &Path) -> Result<Self> {
        let file = ModelFile::open(path)?;
        if let Ok(model @ Model::Pretrained { .. }) = file.network.parse() {
            let path = file.path.display();
            bail!("{path} has weights of {model} without its folder; take the run's logdir");
        }
        let beside = file.path.parent().unwrap_or(Path::new(".")).join("recipe.toml");
        let recipe = file.global_step.and_then(|_| Recipe::read(&beside).ok());
        Ok(Self { file, recipe })
    }

    /// The rows that `asked` names: all of a file, the test half of a known set; or without a name
    /// the test half of the run's own data. With the name of the data.
    pub fn rows(&self, asked: &Data) -> Result<(String, Arc<Dataset>)> {
        let Some(name) = &asked.data else {
            let recipe = self.own_recipe(asked)?;
            return Ok((recipe.data.clone(), recipe.open_data()?.test));
        };
        let mut options = OpenOptions::default();
        if name.starts_with("text:") {
            options.length = Some(self.window());
        }
        if let Some(recipe) = self.recipe.as_ref().filter(|_| name.starts_with("csv:")) {
            options.ignore.clone_from(&recipe.data_options.ignore);
        }
        asked.options.change(&mut options)?;
        let rows = data::open_rows(name, &options, self.file.schema.as_ref());
        Ok((name.clone(), rows.map_err(|e| self.misfit(e, name))?))
    }

    /// A session of it for batches of `batch` of `rows`, which are called `name`, with the weights
    /// packed on the device that `weights` says.
    pub fn session(
        &self,
        gpu: &Gpu,
        batch: usize,
        (rows, name): (&Dataset, &str),
        weights: PackedWeights,
    ) -> Result<Session> {
        let input = self.input(rows);
        if weights == PackedWeights::Always {
            for (name, why) in self.file.unpackable(batch, &input).unwrap_or_default() {
                output::note(format!("warning: {name} is made dense: {why}"));
            }
        }
        let session = self.file.session_packed(gpu, batch, &input, weights);
        session.map_err(|e| {
            let of = of_rows(rows);
            self.misfit(e, &format!("{name} ({of})"))
        })
    }

    /// Names the model and the data of an error about the two.
    fn misfit(&self, error: Error, data: &str) -> anyhow::Error {
        let (network, path) = (&self.file.network, self.file.path.display());
        let about_both = matches!(&error, Error::Shape { .. })
            || matches!(&error, Error::File { path, .. } if *path == self.file.path);
        let error = anyhow::Error::new(error);
        match about_both {
            true => error.context(format!("{network} of {path} does not fit {data}")),
            false => error,
        }
    }

    /// The rows to calibrate on: those that a run on the data that `asked` names would train on.
    pub fn train_rows(&self, asked: &Data) -> Result<Arc<Dataset>> {
        let Some(name) = &asked.data else {
            return Ok(self.own_recipe(asked)?.open_data()?.train);
        };
        let mut options = OpenOptions::default();
        if name.starts_with("text:") {
            options.length = Some(self.window());
        }
        asked.options.change(&mut options)?;
        Ok(data::open(name, &options)?.train)
    }

    /// The recipe of its run, changed by what `asked` says besides the data.
    fn own_recipe(&self, asked: &Data) -> Result<Recipe> {
        let Some(mut recipe) = self.recipe.clone() else {
            let path = self.file.path.display();
            bail!("{path} does not say its data; name it with --data");
        };
        asked.options.change(&mut recipe.data_options)?;
        Ok(recipe)
    }

    /// Characters in a window of its text.
    fn window(&self) -> usize {
        let of_schema = self.file.schema.as_ref().and_then(|s| s.shape.first().copied());
        let of_recipe = self.recipe.as_ref().and_then(|recipe| recipe.data_options.length);
        of_recipe.or(of_schema).unwrap_or(64)
    }

    /// What the network is for: what its file says, or what `rows` are.
    pub fn input(&self, rows: &Dataset) -> Input {
        let schema = self.file.schema.as_ref();
        let mut input = schema.map_or_else(|| Input::from(rows), Input::from);
        // Windows of a text may have another length than in training.
        if let (true, Some(Task::Classification { classes, .. })) =
            (rows.is_text(), schema.map(|s: &Schema| s.task))
        {
            let positions = rows.width();
            input.shape = rows.feature_shape().to_vec();
            input.task = Task::Classification { classes, positions };
        }
        input
    }

    /// Rows in a batch of `rows`, where `asked` does not say how many. Of a text they are streams
    /// side by side, each of which begins with empty states: as many as in the recipe beside it, if
    /// there is one.
    pub fn batch(&self, asked: Option<usize>, rows: &Dataset) -> usize {
        let of_recipe = self.recipe.as_ref().filter(|_| rows.is_text()).map(|r| r.batch);
        asked.or(of_recipe).unwrap_or(BATCH)
    }
}

/// Names the model and the data of an error about their shapes, and what fits such rows.
pub fn misfit(error: anyhow::Error, recipe: &Recipe, rows: &Dataset) -> anyhow::Error {
    // What a folder takes its own errors say.
    if recipe.init.is_some() || !matches!(error.downcast_ref(), Some(Error::Shape { .. })) {
        return error;
    }
    let fits = match (rows.is_text(), rows.feature_shape().len()) {
        (true, _) => "charlstm:UNITSxDEPTH and chargpt:WIDTHxBLOCKSxHEADS are for texts",
        (false, 2 | 3) => "mlp:WIDTH-... takes images of any size, lenet5 28x28, cifar10 32x32x3",
        (false, _) => "mlp:WIDTH-... takes rows of numbers",
    };
    let (model, data, of) = (&recipe.model, &recipe.data, of_rows(rows));
    error.context(format!("model {model} does not fit {data} ({of}); {fits}"))
}

/// What the rows are, in a few words.
fn of_rows(rows: &Dataset) -> String {
    let shape = output::shape(rows.feature_shape());
    match rows.is_text() {
        true => format!("windows of {shape} characters, {}", rows.task()),
        false => format!("rows of {shape}, {}", rows.task()),
    }
}
