//! What a recipe trains: a model by its name, or a folder that others have trained.
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use secateur::data::{self, Dataset, Schema, Split};
use secateur::error::Bytes;
use secateur::gpu::Gpu;
use secateur::nn::{Input, Model, Network};
use secateur::optim::{AdamW, Optimizer};
use secateur::pretrained::{Answer, Distill, Pretrained};
use secateur::prune::{MaskUpdateOp, Pruning};
use secateur::train::{InitOp, Recipe, StepReturn, TrainOptions};
use serde::{Deserialize, Serialize};

use super::model::misfit;
use super::output;
use super::pretrained::{bar, check_no_run};

/// What is trained. A model by its name is in the recipe.
#[derive(Debug, Default)]
pub struct Subject {
    folder: Option<Pretrained>,
    teacher: Option<Pretrained>,
}

impl Subject {
    /// Opens the folder that `recipe` begins with, if there is one, and writes into it what the
    /// folder says.
    ///
    /// # Errors
    /// For a recipe of another model than the folder's.
    pub fn of(recipe: &mut Recipe) -> Result<Self> {
        let Some(init) = &mut recipe.init else {
            for (name, given) in
                [("only", recipe.only.is_some()), ("exclude", recipe.exclude.is_some())]
            {
                ensure!(!given, "--{name} is for --init FOLDER: which of its tensors are trained");
            }
            ensure!(
                recipe.distill.is_none(),
                "--distill is for --init FOLDER: what comes near to the dense model"
            );
            check_alone(recipe)?;
            return Ok(Self::default());
        };
        check_no_run(&init.folder, "begin with")?;
        let path = std::path::absolute(&init.folder)?;
        let folder =
            Pretrained::open(&path).with_context(|| format!("--init {}", init.folder.display()))?;
        let model = Model::Pretrained { kind: folder.kind().to_owned() };
        if recipe.model == (Model::Pretrained { kind: String::new() }) {
            recipe.model = model.clone();
        }
        ensure!(
            recipe.model == model,
            "the recipe trains {}, and {} is {model}: leave out --init, or write model = \
             \"{model}\"",
            recipe.model,
            path.display()
        );
        init.fingerprint = folder.files().fingerprint()?;
        init.folder = path;
        let Some(distill) = &mut recipe.distill else {
            check_alone(recipe)?;
            return Ok(Self { folder: Some(folder), teacher: None });
        };
        check_no_run(&distill.folder, "distil")?;
        let path = std::path::absolute(&distill.folder)?;
        let teacher = Pretrained::open(&path)
            .with_context(|| format!("--distill {}", distill.folder.display()))?;
        distill.fingerprint = teacher.files().fingerprint()?;
        distill.folder = path;
        Ok(Self { folder: Some(folder), teacher: Some(teacher) })
    }

    /// The folder, where it is one.
    pub fn folder(&self) -> Option<&Pretrained> {
        self.folder.as_ref()
    }

    /// Whether its losses are of the tokens that follow, so that they have a perplexity.
    pub fn has_perplexity(&self) -> bool {
        self.folder.as_ref().is_some_and(|f| f.architecture().answer() == Answer::NextToken)
    }

    /// The recipe's data; for a run that is continued as its model knows them.
    pub fn open_data(&self, recipe: &Recipe, schema: Option<&Schema>) -> Result<Split> {
        Ok(match (&self.folder, schema) {
            (Some(folder), _) => folder.open_data(&recipe.data, &recipe.data_options)?,
            (None, Some(schema)) => data::open_for(&recipe.data, &recipe.data_options, schema)?,
            (None, None) => recipe.open_data()?,
        })
    }

    /// The network for batches of `rows`, of which a folder's tensors that are not trained stay as
    /// they are.
    pub fn network(&self, recipe: &Recipe, rows: &Dataset) -> Result<Network> {
        let mut network = match &self.folder {
            None => recipe
                .model
                .network(recipe.batch, &Input::from(rows))
                .map_err(|e| misfit(e.into(), recipe, rows))?,
            Some(folder) => {
                let batch = u32::try_from(recipe.batch).unwrap_or(u32::MAX);
                ensure!(batch > 0, "--batch 0: a batch has 1 row or more");
                let length = folder.length_of(rows);
                let mut network = match &self.teacher {
                    None => folder.network(batch, length)?,
                    Some(teacher) => {
                        folder.distilled_network(batch, length, teacher, &distill(recipe))?
                    }
                };
                folder.freeze(&mut network, recipe.only.as_ref(), recipe.exclude.as_ref())?;
                network
            }
        };
        network.graph.recompute(recipe.recompute)?;
        Ok(network)
    }

    /// `data` with what the teacher's last block makes of each row beside it, where there is one.
    pub fn taught(&self, gpu: &Gpu, data: &Split) -> Result<Split> {
        let Some(teacher) = &self.teacher else { return Ok(data.clone()) };
        let (path, rows) = (teacher.path().display(), data.train.rows() + data.test.rows());
        let bytes = Bytes(self.taught_bytes(data)?);
        output::note(format_args!("{path} goes over {rows} windows first, {bytes} of host memory"));
        let of = |rows: &Dataset, what: &str| {
            let bar = bar(&format!("blocks of the teacher, {what}"));
            let taught = teacher.taught(gpu, rows, &mut |done, all| {
                bar.set_length(all as u64);
                bar.set_position(done as u64);
            });
            bar.finish_and_clear();
            Ok::<_, anyhow::Error>(Arc::new(taught?))
        };
        Ok(Split { train: of(&data.train, "to train")?, test: of(&data.test, "to test")? })
    }

    /// Bytes of host memory that [`taught`](Self::taught) takes.
    ///
    /// # Errors
    /// Of the teacher's settings.
    pub fn taught_bytes(&self, data: &Split) -> Result<u64> {
        let rows = data.train.rows() + data.test.rows();
        let of = |t: &Pretrained| t.stream_bytes(rows, data.train.width() as u32);
        Ok(self.teacher.as_ref().map(of).transpose()?.unwrap_or(0))
    }

    /// What prunes it: the recipe's schedule. Without one what is pruned already stays pruned: the
    /// zeros of a folder, or what a checkpoint says that the run goes on from (`past`).
    pub fn mask_update_op(
        &self,
        recipe: &Recipe,
        network: impl FnOnce() -> Result<Network>,
        past: Option<&Past>,
        drop_masks: bool,
    ) -> Result<MaskUpdateOp> {
        let pruning = recipe.pruning.clone().map(Pruning::new).transpose()?;
        let scheduled = pruning.as_ref().map(Pruning::conditional_mask_update_op);
        let Some(folder) = &self.folder else { return Ok(scheduled.unwrap_or_default()) };
        if let Some(Past { pruning }) = past {
            let held = pruning.as_ref().filter(|_| !drop_masks);
            let held = held.map(|spec| spec.parse().and_then(MaskUpdateOp::held)).transpose()?;
            return Ok(scheduled.or(held).unwrap_or_default());
        }
        let (path, trained) = (folder.path().display(), folder.trained(&network()?)?);
        let [weights, all, pruned] =
            [trained.weights, trained.weights + trained.frozen, trained.pruned]
                .map(output::thousands);
        output::note(format_args!("{path}: {weights} of {all} weights are trained"));
        let (share, sparsity) = (trained.sparsity(), output::percent(trained.sparsity()));
        match (scheduled, trained.held()) {
            (Some(op), held) => {
                let begins = op.spec().map_or(0.0, |spec| spec.initial_sparsity);
                if held.is_some() && !drop_masks && begins + SHORT < share {
                    let begins = output::percent(begins);
                    output::note(format_args!(
                        "warning: {sparsity} of its weights are pruned, and the schedule begins at \
                         {begins}: they grow again until it gets there, unless it says \
                         initial_sparsity={share:.4}"
                    ));
                }
                Ok(op)
            }
            (None, Some(_)) if drop_masks => {
                output::note(format_args!("{pruned} weights are zero, and may grow"));
                Ok(MaskUpdateOp::none())
            }
            (None, Some(spec)) => {
                output::note(format_args!(
                    "{pruned} weights are pruned, {sparsity} of those that can be, and stay so; \
                     --drop-masks lets them grow"
                ));
                Ok(MaskUpdateOp::held(spec)?)
            }
            (None, None) => Ok(MaskUpdateOp::none()),
        }
    }

    /// Options of a run of it.
    pub fn options<'a>(
        &'a self,
        recipe: &Recipe,
        drop_masks: bool,
        mut options: TrainOptions<'a>,
    ) -> TrainOptions<'a> {
        if let batches @ 2.. = recipe.accumulate {
            options.train_step_fn = Some(Box::new(move |step| {
                (0..batches).try_for_each(|_| step.accumulate())?;
                step.apply()?;
                Ok(StepReturn::default())
            }));
        }
        let Some(folder) = &self.folder else { return options };
        options
            .init_op(InitOp::Off)
            .init_fn(Some(Box::new(move |session| match drop_masks {
                true => folder.load(session),
                false => folder.load_pruned(session),
            })))
            .local_init_op(Some(Box::new(|session| folder.load_missing(session))))
    }
}

/// That nothing is said of a distillation that is none.
fn check_alone(recipe: &Recipe) -> Result<()> {
    for (name, given) in
        [("temperature", recipe.temperature), ("distill-share", recipe.distill_share)]
    {
        ensure!(given.is_none(), "--{name} is for --distill FOLDER: the dense model");
    }
    Ok(())
}

/// How a recipe distils.
fn distill(recipe: &Recipe) -> Distill {
    let mut distill = Distill::default();
    recipe.temperature.into_iter().for_each(|t| distill.temperature = t);
    recipe.distill_share.into_iter().for_each(|share| distill.share = share);
    distill
}

/// What a checkpoint says that a run goes on from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Past {
    /// What was pruned and how, as text.
    pub pruning: Option<String>,
}

/// Difference of two sparsities that is worth a word.
const SHORT: f64 = 0.005;

/// What trains a folder where nobody says otherwise: AdamW at a rate that moves a trained model
/// little, row by row. [`Subject::of`] says the model.
pub fn recipe() -> Recipe {
    let model = Model::Pretrained { kind: String::new() };
    let recipe = Recipe::default().model(model).batch(1).pruning(None);
    recipe.optimizer(Optimizer::from(AdamW::new(1e-5)))
}
