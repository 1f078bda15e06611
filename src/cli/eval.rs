//! `secateur eval`
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use secateur::nn::Model;
use secateur::optim::Optimizer;
use secateur::prune::MaskUpdateOp;
use secateur::train::Session;
use secateur::train::checkpoint::{self, Checkpoint};
use serde::Serialize;

use super::args::Eval;
use super::recipe::Recipe;
use super::{Verdict, data, output};

/// Rows in a batch of an evaluation.
const BATCH: usize = 256;

#[derive(Debug, Serialize)]
struct Report {
    adapter: String,
    backend: String,
    checkpoint: PathBuf,
    global_step: u64,
    data: String,
    test_loss: f64,
    test_accuracy: f64,
}

pub fn run(args: &Eval) -> Result<Verdict> {
    let found = find(&args.checkpoint)?;
    let data_name = match &args.data {
        Some(data) => data.clone(),
        None => recipe_beside(&found.path)?.data,
    };
    let data = data::open(&data_name)?;
    let gpu = data::gpu(&args.common)?;
    let model: Model = found.manifest.model.parse()?;
    let network = model.network(BATCH, data.test.width(), data.test.classes())?;
    // Only the forward plan runs; gradient descent keeps no tensors of its own.
    let optimizer = Optimizer::Sgd { lr: 1.0, weight_decay: 0.0 };
    let mut session = Session::new(&gpu, &network, optimizer, &MaskUpdateOp::none(), 0)?;
    session.restore(&found)?;
    let evaluation = session.evaluate(&data.test)?;
    let report = Report {
        adapter: gpu.report().name.clone(),
        backend: gpu.report().backend.clone(),
        checkpoint: found.path,
        global_step: found.manifest.global_step,
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
