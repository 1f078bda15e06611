//! `secateur prune --score wanda|saliency`: one shot on a network that has seen data.
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use secateur::data::Batches;
use secateur::gpu::Gpu;
use secateur::oneshot::{self, Fate, Options, Report, Survey};
use secateur::prune::{Pruning, PruningSpec, Role, Score, TensorTarget};
use secateur::storage::check_output;

use super::args::Prune;
use super::model::Trained;
use super::ranking::Ranking;

/// What would become of the tensors of the network at the input.
pub fn survey((args, score): (&Prune, &Ranking), options: &Options) -> Result<Survey> {
    score_of(score)?;
    planned(&open(args)?, args, options)
}

/// Prunes the network at the input into an exported file.
pub fn prune(
    gpu: &Gpu,
    (args, score): (&Prune, &Ranking),
    output: &Path,
    options: &Options,
) -> Result<Report> {
    let score = score_of(score)?;
    let name = output.display();
    ensure!(
        output.extension().is_some_and(|e| e == "safetensors"),
        "-o {name}: must end in .safetensors"
    );
    let same = |path: &Path| path.canonicalize().ok();
    let is_input = same(output).is_some_and(|output| Some(output) == same(&args.input));
    ensure!(!is_input, "-o {name} is the input; write to another file");
    check_output(output, args.force)?;

    let trained = open(args)?;
    let survey = planned(&trained, args, options)?;
    let train = trained.train_rows(&args.data)?;
    let op = Pruning::new(spec(score, options, &survey))?.mask_update_op();
    let (batch, input) = (trained.batch(None, &train), trained.input(&train));
    let mut session = trained.file.session_for(gpu, batch, &input, &op)?;
    let rows = Arc::new(train.head(args.rows)?);
    let streams = rows.is_text();
    let batches = Batches::new(rows, batch, None)?.epochs(Some(1));
    let mut batches = batches.streams(streams);
    session.calibrate(&mut batches)?;
    let masks = session.update_masks(options.sparsity)?;

    session.model_file()?.write(output)?;
    let layers = session.layers()?;
    let after = survey.tensors.iter().map(|plan| {
        let threshold = masks.tensors.iter().find(|m| m.name == plan.name).map(|m| m.threshold);
        let layer = layers.iter().find(|l| l.name == plan.name);
        (layer.map(|l| l.nonzero), threshold)
    });
    let after: Vec<_> = after.collect();
    Ok(Report::new(survey, &after, Default::default()))
}

/// The score of a network that was trained here.
fn score_of(ranking: &Ranking) -> Result<&Score> {
    match ranking {
        Ranking::Score(score) => Ok(score),
        Ranking::Method(method) => bail!(
            "--score {} needs the folder of a pretrained model, with its config.json",
            method.name()
        ),
    }
}

fn open(args: &Prune) -> Result<Trained> {
    Trained::open(&args.input)
        .with_context(|| format!("--score {} needs a trained network", args.score))
}

/// Which tensors are pruned: such a score knows those that training masks.
fn planned(trained: &Trained, args: &Prune, options: &Options) -> Result<Survey> {
    ensure!(options.axis.is_none(), "--axis is for files: a network's layers say where inputs are");
    let survey = oneshot::survey_model(&trained.file, options)?;
    let masked = |role| role == Role::Weight;
    let beyond = survey.tensors.iter().find(|t| t.fate == Fate::Pruned && !masked(t.role));
    if let Some(tensor) = beyond {
        let (name, why, score) = (&tensor.name, &tensor.why, &args.score);
        anyhow::bail!(
            "{name} has no mask, which --score {score} needs ({why}); --score magnitude prunes it"
        );
    }
    Ok(survey)
}

fn spec(score: &Score, options: &Options, survey: &Survey) -> PruningSpec {
    let [block_height, block_width] = options.block.unwrap_or([1, 1]).map(i64::from);
    // The whole name: as part of another's it would leave that one dense too.
    let whole = |name: &str| TensorTarget::new(format!("^{}$", regex::escape(name)), 0.0);
    let dense = survey.tensors.iter().filter(|t| t.fate == Fate::Dense && t.role == Role::Weight);
    PruningSpec::to(options.sparsity)
        .score(score.clone())
        .scope(options.scope)
        .pattern(options.pattern)
        .block_height(block_height)
        .block_width(block_width)
        .weight_sparsity_map(dense.map(|t| whole(&t.name)).collect())
}
