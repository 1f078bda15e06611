//! `secateur prune --score wanda|saliency`: one shot on a network that has seen data.
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use secateur::data::Batches;
use secateur::gpu::Gpu;
use secateur::oneshot::{Options, Report, TensorReport};
use secateur::prune::{LayerSparsity, Pruning, PruningSpec};
use secateur::session::{MaskSparsity, Session};
use secateur::storage::{Dtype, check_output};

use super::args::Prune;
use super::model::Trained;

/// Prunes the network at the input into an exported file.
pub fn prune(gpu: &Gpu, args: &Prune, options: &Options) -> Result<Report> {
    let name = args.output.display();
    ensure!(
        args.output.extension().is_some_and(|e| e == "safetensors"),
        "-o {name}: must end in .safetensors"
    );
    let same = |path: &Path| path.canonicalize().ok();
    let is_input = same(&args.output).is_some_and(|output| Some(output) == same(&args.input));
    ensure!(!is_input, "-o {name} is the input; write to another file");
    check_output(&args.output, args.force)?;

    let trained = Trained::open(&args.input)
        .with_context(|| format!("--score {} needs a trained network", args.score))?;
    let names: Vec<&str> = trained.file.weights.iter().map(|w| w.name.as_str()).collect();
    options.check_matches(&names, names.len())?;
    let train = trained.train_rows(&args.data)?;
    let op = Pruning::new(spec(args, options, &names))?.mask_update_op();
    let (batch, input) = (trained.batch(None, &train), trained.input(&train));
    let mut session = trained.file.session_for(gpu, batch, &input, &op)?;
    let rows = Arc::new(train.head(args.rows)?);
    let streams = rows.is_text();
    let batches = Batches::new(rows, batch, None)?.epochs(Some(1));
    let mut batches = batches.streams(streams);
    session.calibrate(&mut batches)?;
    let masks = session.update_masks(options.sparsity)?;

    session.model_file()?.write(&args.output)?;
    let tensors = reports(&session, &masks.tensors)?;
    Ok(Report { sparsity: masks.sparsity(), tensors, files: Default::default() })
}

fn spec(args: &Prune, options: &Options, names: &[&str]) -> PruningSpec {
    let [block_height, block_width] = options.block.unwrap_or([1, 1]).map(i64::from);
    let dense = names.iter().filter(|name| !options.admits(name));
    PruningSpec::to(options.sparsity)
        .score(args.score.clone())
        .scope(options.scope)
        .pattern(options.pattern)
        .block_height(block_height)
        .block_width(block_width)
        .do_not_prune(dense.map(|name| (*name).to_owned()).collect())
}

fn reports(session: &Session, masks: &[MaskSparsity]) -> Result<Vec<TensorReport>> {
    let report = |layer: LayerSparsity| TensorReport {
        threshold: masks.iter().find(|m| m.name == layer.name).map(|m| m.threshold),
        shape: layer.shape.iter().map(|&d| d as usize).collect(),
        dtype: Dtype::F32.to_string(),
        sparsity: Some(layer.sparsity),
        nonzero: Some(layer.nonzero),
        name: layer.name,
    };
    Ok(session.layers()?.into_iter().map(report).collect())
}
