//! A network that was trained, from a checkpoint or an exported file.
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use secateur::checkpoint::{self, Checkpoint};
use secateur::data::Split;
use secateur::gpu::Gpu;
use secateur::kernels::apply_mask_reference;
use secateur::nn::{Input, Model};
use secateur::optim::{AVERAGE, Optimizer};
use secateur::prune::MaskUpdateOp;
use secateur::session::Session;
use secateur::storage::{Tensor, TensorData};

use super::data::LENGTH;
use super::export::{self, Weights};
use super::recipe::Recipe;

/// Rows in a batch.
const BATCH: usize = 256;

/// A network that was trained.
pub struct Trained {
    /// The file, or the checkpoint's folder.
    pub path: PathBuf,
    /// Of a checkpoint.
    pub global_step: Option<u64>,
    pub model: Model,
    /// Effective parameters.
    pub weights: Vec<Weights>,
}

/// The checkpoint or the exported file at `path`, or the newest checkpoint of the logdir there.
pub fn load(path: &Path) -> Result<Trained> {
    if path.is_file() {
        let (model, weights) = export::read(path)?;
        return Ok(Trained { path: path.to_owned(), global_step: None, model, weights });
    }
    let found = find(path)?;
    Ok(Trained {
        global_step: Some(found.manifest.global_step),
        model: found.manifest.model.parse()?,
        weights: weights(&found)?,
        path: found.path.clone(),
    })
}

/// What the run itself evaluates by: each parameter's effective values, or where it keeps averages of them, those under
/// the mask.
pub fn weights(found: &Checkpoint) -> Result<Vec<Weights>> {
    let beside = |t: &Tensor, slot: &str| {
        let name = format!("{}/{slot}", t.name);
        found.optimizer.iter().find(|t| t.name == name).map(|t| &t.data)
    };
    let one = |t: &Tensor| {
        let TensorData::F32(values) = &t.data else {
            bail!("{}: {} is not f32", found.path.display(), t.name)
        };
        let values = match (beside(t, AVERAGE), beside(t, "mask")) {
            (Some(TensorData::F32(average)), Some(TensorData::U32(bits)))
                if bits.len() == average.len().div_ceil(32) =>
            {
                apply_mask_reference(bits, average)
            }
            (Some(TensorData::F32(average)), _) => average.clone(),
            _ => values.clone(),
        };
        Ok(Weights { name: t.name.clone(), shape: t.shape.clone(), values })
    };
    found.model.iter().map(one).collect()
}

impl Trained {
    /// A session of it for batches of `batch` rows of `data`, with the masks of `op`.
    pub fn session(
        &self,
        gpu: &Gpu,
        data: &Split,
        batch: usize,
        op: &MaskUpdateOp,
    ) -> Result<Session> {
        // Gradient descent keeps no tensors of its own, and nothing here takes a step.
        let optimizer = Optimizer::sgd(1.0);
        let network = self.model.network(batch, &Input::from(&*data.test))?;
        let has = |name: &str| self.weights.iter().any(|w| w.name == name);
        let mut needed = network.graph.parameters().iter().filter(|p| !p.carried);
        if let Some(missing) = needed.find(|p| !has(&p.name)) {
            bail!("{}: {} of {} is missing", self.path.display(), missing.name, self.model);
        }
        let mut session = Session::new(gpu, &network, optimizer, op, 0)?;
        for Weights { name, values, .. } in &self.weights {
            session.set_weights(name, values)?;
        }
        Ok(session)
    }

    /// Name of its data set, where `asked` does not say one: that of the recipe beside it.
    pub fn data(&self, asked: Option<&String>) -> Result<String> {
        match (asked, self.global_step) {
            (Some(data), _) => Ok(data.clone()),
            (None, None) => {
                bail!("an exported file does not say its data; name it with --data")
            }
            (None, Some(_)) => Ok(recipe_beside(&self.path)?.data),
        }
    }

    /// Rows in a batch of `data`, where `asked` does not say how many. Of a text they are streams side by side, each of which
    /// begins with empty states: as many as in the recipe beside it, if there is one.
    pub fn batch(&self, asked: Option<usize>, data: &Split) -> usize {
        let of_recipe = || {
            self.global_step.filter(|_| data.test.is_text())?;
            Some(recipe_beside(&self.path).ok()?.batch)
        };
        asked.or_else(of_recipe).unwrap_or(BATCH)
    }

    /// Characters in a window of its text, where `asked` does not say how many: as in the recipe
    /// beside it, if there is one.
    pub fn length(&self, asked: Option<usize>) -> usize {
        let of_recipe = || {
            self.global_step?;
            Some(recipe_beside(&self.path).ok()?.length)
        };
        asked.or_else(of_recipe).unwrap_or(LENGTH)
    }
}

/// The checkpoint at `path`, or the newest valid one of the logdir `path`.
pub fn find(path: &Path) -> Result<Checkpoint> {
    let is_checkpoint = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("ckpt-"));
    if is_checkpoint {
        return Ok(checkpoint::load(path)?);
    }
    let found = checkpoint::newest(path)?;
    let found =
        found.with_context(|| format!("{} holds no checkpoint (ckpt-*)", path.display()))?;
    for skipped in &found.skipped {
        log::warn!("skipped {skipped}");
    }
    Ok(found)
}

fn recipe_beside(checkpoint: &Path) -> Result<Recipe> {
    let logdir = checkpoint.parent().unwrap_or(Path::new("."));
    Recipe::read(&logdir.join("recipe.toml")).context("name the data with --data")
}
