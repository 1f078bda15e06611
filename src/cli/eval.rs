//! `secateur eval`
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use secateur::optim::Optimizer;
use secateur::prune::MaskUpdateOp;
use secateur::train::Session;
use secateur::train::checkpoint::{self, Checkpoint};
use serde::Serialize;

use super::args::Eval;
use super::recipe::Recipe;
use super::{Verdict, data, export, output};

/// Rows in a batch of an evaluation.
const BATCH: usize = 256;

#[derive(Debug, Serialize)]
struct Report {
    adapter: String,
    backend: String,
    checkpoint: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    global_step: Option<u64>,
    data: String,
    test_loss: f64,
    test_accuracy: f64,
}

/// Where the weights come from.
enum Loaded {
    Checkpoint(Box<Checkpoint>),
    File(export::Tensors),
}

pub fn run(args: &Eval) -> Result<Verdict> {
    // Only the forward plan runs; gradient descent keeps no tensors of its own.
    let optimizer = Optimizer::Sgd { lr: 1.0, weight_decay: 0.0 };
    let exported = args.checkpoint.is_file();
    let (path, global_step, model, loaded) = if exported {
        let (model, tensors) = export::read(&args.checkpoint)?;
        (args.checkpoint.clone(), None, model, Loaded::File(tensors))
    } else {
        let found = find(&args.checkpoint)?;
        let (path, step) = (found.path.clone(), found.manifest.global_step);
        (path, Some(step), found.manifest.model.parse()?, Loaded::Checkpoint(Box::new(found)))
    };
    let data_name = match &args.data {
        Some(data) => data.clone(),
        None if exported => bail!("an exported file does not say its data; name it with --data"),
        None => recipe_beside(&path)?.data,
    };
    let data = data::open(&data_name)?;
    let gpu = data::gpu(&args.common)?;
    let network = model.network(BATCH, data.test.width(), data.test.classes())?;
    let mut session = Session::new(&gpu, &network, optimizer, &MaskUpdateOp::none(), 0)?;
    match loaded {
        Loaded::Checkpoint(found) => session.restore(&found)?,
        Loaded::File(tensors) => {
            for (name, values) in &tensors {
                session.set_weights(name, values)?;
            }
        }
    }
    let evaluation = session.evaluate(&data.test)?;
    let report = Report {
        adapter: gpu.report().name.clone(),
        backend: gpu.report().backend.clone(),
        checkpoint: path,
        global_step,
        data: data_name,
        test_loss: evaluation.loss,
        test_accuracy: evaluation.accuracy,
    };
    if args.common.json {
        output::json(&report)?;
    } else {
        let facts = [
            ("checkpoint", report.checkpoint.display().to_string()),
            ("data", report.data.clone()),
            ("test accuracy", output::percent(report.test_accuracy)),
            ("test loss", format!("{:.4}", report.test_loss)),
            ("adapter", format!("{} ({})", report.adapter, report.backend)),
        ];
        for (name, value) in facts {
            output::line(&format!("{name:<14} {value}"))?;
        }
    }
    Ok(Verdict::of(report.test_accuracy, args.min_test_accuracy))
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
