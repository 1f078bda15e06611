//! Checkpoints of `secateur train --init`: a folder that others have trained, with other weights.
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use secateur::checkpoint::{self, MANIFEST_FILE};
use secateur::nn::Model;
use secateur::pretrained::Pretrained;
use secateur::session::ModelFile;
use secateur::storage::TensorData;
use secateur::train::Recipe;

use super::is_folder;
use crate::cli::data::Data;

/// A checkpoint of such a run.
pub struct Run {
    /// Its weights: those that were trained.
    pub file: ModelFile,
    pub recipe: Recipe,
    /// Where it lies.
    pub logdir: PathBuf,
    /// What it began with.
    pub model: Pretrained,
}

/// A pretrained model from wherever it is.
pub struct Opened {
    pub model: Pretrained,
    /// What reports call it: its folder, or the checkpoint.
    pub name: String,
    /// Train steps that the weights have seen, of a checkpoint.
    pub global_step: Option<u64>,
}

/// Whether there is such a run at `path`: its logdir, a checkpoint, or a file in one.
pub fn is_run(path: &Path) -> bool {
    let found = checkpoint::newest_manifest(of_file(path).unwrap_or(path)).ok().flatten();
    found.is_some_and(|found| matches!(found.model.parse(), Ok(Model::Pretrained { .. })))
}

/// The checkpoint that a file is in.
fn of_file(path: &Path) -> Option<&Path> {
    path.parent().filter(|folder| path.is_file() && folder.join(MANIFEST_FILE).is_file())
}

/// That `path` is no such run, where a folder is needed to `work` on.
pub fn check_no_run(path: &Path, work: &str) -> Result<()> {
    let path_said = path.display();
    ensure!(
        !is_run(path),
        "{path_said} is a run of a pretrained model: write it into a folder by secateur export \
         {path_said} -o FOLDER, and {work} that"
    );
    Ok(())
}

/// The model at `path`, which is its folder or such a run; none where neither is there.
///
/// # Errors
/// Of the two; and for a run without `data`, which says its own.
pub fn open(path: &Path, data: &Data) -> Result<Option<Opened>> {
    if is_folder(path) {
        let (model, name) = (Pretrained::open(path)?, path.display().to_string());
        return Ok(Some(Opened { model, name, global_step: None }));
    }
    if !is_run(path) {
        return Ok(None);
    }
    let run = Run::open(path)?;
    if data.data.is_none() {
        let (logdir, recipe) = (run.logdir.display(), &run.recipe);
        let test = recipe.data_options.test.as_ref();
        let test = test.map(|test| format!(" and tested on {test}")).unwrap_or_default();
        bail!("--data is missing: the run in {logdir} was trained on {}{test}", recipe.data);
    }
    let (name, global_step) = (run.file.path.display().to_string(), run.file.global_step);
    Ok(Some(Opened { model: run.trained()?, name, global_step }))
}

impl Run {
    /// The one at `path`, with the folder that it began with.
    ///
    /// # Errors
    /// Where that is not where it was, or has changed.
    pub fn open(path: &Path) -> Result<Self> {
        let file = ModelFile::open(path)?;
        let logdir = file.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let logdir = logdir.unwrap_or(Path::new(".")).to_owned();
        let recipe = Recipe::read(&logdir.join("recipe.toml"))
            .with_context(|| format!("{} does not say its folder", file.path.display()))?;
        let init = recipe.init.as_ref();
        let init =
            init.with_context(|| format!("the recipe in {} has no init", logdir.display()))?;
        let model = Pretrained::open(&init.folder).with_context(|| {
            let (logdir, folder) = (logdir.display(), init.folder.display());
            format!("the run in {logdir} began with {folder}, which must be there")
        })?;
        let now = model.files().fingerprint()?;
        ensure!(
            now == init.fingerprint,
            "{} has changed since the run in {} began: fingerprint {} then, {now} now; bring back \
             what was there",
            init.folder.display(),
            logdir.display(),
            init.fingerprint
        );
        Ok(Self { file, recipe, logdir, model })
    }

    /// What was trained of a parameter.
    pub fn values(&self, name: &str) -> Option<Vec<f32>> {
        let tensor = self.file.weights.iter().find(|w| w.name == name)?;
        match &tensor.data {
            TensorData::F32(values) => Some(values.clone()),
            TensorData::U32(_) => None,
        }
    }

    /// The folder's model with these weights.
    fn trained(self) -> Result<Pretrained> {
        let Self { file, model, .. } = self;
        let weights = file.weights.into_iter().map(|w| (w.name, w.data));
        let mut weights: HashMap<_, _> = weights.collect();
        let mut values = |name: &str| match weights.remove(name) {
            Some(TensorData::F32(values)) => Ok(Some(values)),
            _ => Ok(None),
        };
        Ok(model.with_values(&mut values)?)
    }
}
