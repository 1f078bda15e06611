//! `secateur prune --score wanda|saliency`: one shot on a network that has seen data.
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use secateur::data::Batches;
use secateur::gpu::Gpu;
use secateur::oneshot::{Options, Report, TensorReport};
use secateur::prune::{LayerSparsity, Pruning, PruningSpec};
use secateur::session::{MaskSparsity, Session};

use super::args::Prune;
use super::{data, export, trained};

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
    let there = args.output.exists() && !args.force;
    ensure!(!there, "{name} is there already; choose another name, or --force");

    let trained = trained::load(&args.input)
        .with_context(|| format!("--score {} needs a trained network", args.score))?;
    let names: Vec<&str> = trained.weights.iter().map(|w| w.name.as_str()).collect();
    options.check_matches(&names, names.len())?;
    let length = trained.length(args.length);
    let data = data::open(&trained.data(args.data.as_ref())?, length)?;
    let op = Pruning::new(spec(args, options, &names))?.mask_update_op();
    let batch = trained.batch(None, &data);
    let mut session = trained.session(gpu, &data, batch, &op)?;
    let rows = Arc::new(data.train.head(args.rows)?);
    let streams = rows.is_text();
    let batches = Batches::new(rows, batch, None)?.epochs(Some(1));
    let mut batches = batches.streams(streams);
    session.calibrate(&mut batches)?;
    let masks = session.update_masks(options.sparsity)?;

    let mut weights = trained.weights;
    for w in &mut weights {
        w.values = session.weights(&w.name)?;
    }
    export::write(&args.output, &trained.model, &weights)?;
    let tensors = reports(&session, &masks.tensors)?;
    Ok(Report { sparsity: masks.sparsity(), tensors })
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
        dtype: "f32".into(),
        sparsity: layer.sparsity,
        nonzero: layer.nonzero,
        name: layer.name,
    };
    Ok(session.layers()?.into_iter().map(report).collect())
}
