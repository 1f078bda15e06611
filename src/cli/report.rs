//! What `secateur train` says in the end.
use std::path::{Path, PathBuf};

use anyhow::Result;
use secateur::gpu::Precision;
use secateur::nn::Figures;
use secateur::prune::{LayerSparsity, total_sparsity};
use secateur::session::Evaluation;
use secateur::train::{Recipe, TrainOutcome};
use serde::Serialize;

use super::figures::{Figured, line_of};
use super::output;
use super::plan::MemoryReport;
use super::ranks::Ranks;

/// What `--json` prints. Accuracies and sparsities are fractions of 1.
#[derive(Debug, Serialize)]
pub struct Report {
    adapter: String,
    backend: String,
    /// That trained together, where there are several; the adapter is the first one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    ranks: Option<usize>,
    /// Where it is not f32.
    #[serde(skip_serializing_if = "Option::is_none")]
    precision: Option<Precision>,
    global_step: u64,
    /// Of the last step of this call; null when the run was at its limit already.
    loss: Option<f32>,
    memory: MemoryReport,
    /// `train_accuracy` and the like.
    #[serde(flatten)]
    train: Figured,
    #[serde(flatten)]
    test: Figured,
    #[serde(flatten)]
    dense_test: Figured,
    test_loss: f64,
    /// Of a model of tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_perplexity: Option<f64>,
    /// The dense one's, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dense_test_perplexity: Option<f64>,
    sparsity: f64,
    layers: Vec<LayerSparsity>,
    steps_per_second: f64,
    seconds: f64,
    /// From the start of the command to the end of its first step; for people only.
    #[serde(skip)]
    first_step_seconds: Option<f64>,
    checkpoint: Option<PathBuf>,
    /// The folder that was written in the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
}

/// How good the network came out, and the dense one where there is one.
pub struct Measured {
    pub train: Figures,
    pub test: Evaluation,
    pub dense: Figures,
}

pub fn report(
    outcome: &TrainOutcome,
    measured: &Measured,
    ranks: &Ranks,
    first_step_seconds: Option<f64>,
) -> Result<Report> {
    let (adapter, precision) = (outcome.session.gpu().report(), outcome.session.gpu().precision());
    let layers = outcome.session.layers()?;
    let steps_per_second =
        if outcome.steps == 0 { 0.0 } else { outcome.steps as f64 / outcome.seconds };
    Ok(Report {
        adapter: adapter.name.clone(),
        backend: adapter.backend.clone(),
        ranks: Some(ranks.size()).filter(|size| *size > 1),
        precision: Some(precision).filter(|p| *p != Precision::F32),
        global_step: outcome.global_step,
        loss: outcome.loss,
        memory: outcome.session.memory().into(),
        train: Figured::new("train", &measured.train),
        test: Figured::new("test", &measured.test.figures),
        dense_test: Figured::new("dense_test", &measured.dense),
        test_loss: measured.test.loss,
        test_perplexity: None,
        dense_test_perplexity: None,
        sparsity: total_sparsity(&layers),
        layers,
        steps_per_second,
        seconds: outcome.seconds,
        first_step_seconds,
        checkpoint: outcome.checkpoint.clone(),
        output: None,
    })
}

pub fn print(report: &Report, measured: &Measured, recipe: &Recipe, logdir: &Path) -> Result<()> {
    let row = |name: &str, shape: String, kept: u64, total: u64, sparsity: f64| {
        let kept = format!("{} of {}", output::thousands(kept), output::thousands(total));
        vec![name.to_owned(), shape, kept, output::percent(sparsity)]
    };
    let mut rows: Vec<Vec<String>> = report
        .layers
        .iter()
        .map(|l| row(&l.name, output::shape(&l.shape), l.nonzero, l.total(), l.sparsity))
        .collect();
    let (kept, total) = (
        report.layers.iter().map(|l| l.nonzero).sum(),
        report.layers.iter().map(LayerSparsity::total).sum(),
    );
    rows.push(row("all", String::new(), kept, total, report.sparsity));
    output::table(&["layer", "shape", "kept", "sparsity"], 2, rows)?;
    let mut facts: Vec<(String, String)> = Vec::new();
    for figure in measured.dense.iter() {
        let (name, value) = line_of("test", figure);
        facts.push((format!("{name}, dense"), value));
    }
    let both = measured.dense.first().is_some();
    for figure in measured.test.figures.iter() {
        let (name, value) = line_of("test", figure);
        facts.push((if both { format!("{name}, pruned") } else { name }, value));
    }
    if let Some(perplexity) = report.dense_test_perplexity {
        facts.push(("test perplexity, dense".to_owned(), format!("{perplexity:.4}")));
    }
    if let Some(perplexity) = report.test_perplexity {
        facts.push(("test perplexity".to_owned(), format!("{perplexity:.4}")));
        facts.push(("test loss".to_owned(), format!("{:.4}", report.test_loss)));
    }
    facts.extend(measured.train.iter().map(|figure| line_of("train", figure)));
    let mut say = |name: &str, value: String| facts.push((name.to_owned(), value));
    say("data, model", format!("{}, {}", recipe.data, recipe.model));
    let steps = output::thousands(report.global_step);
    let (seconds, rate) = (report.seconds, report.steps_per_second);
    let rate = match rate {
        0.0 | 1.0.. => format!("{rate:.0} steps/s"),
        _ => format!("{:.1} s a step", 1.0 / rate),
    };
    say("steps", format!("{steps} in {seconds:.1} s, {rate}"));
    if let Some(seconds) = report.first_step_seconds {
        say("first step done", format!("{seconds:.2} s after the start"));
    }
    if let Some(ranks) = report.ranks {
        say("ranks", ranks.to_string());
    }
    say("adapter", format!("{} ({})", report.adapter, report.backend));
    if let Some(precision) = report.precision {
        say("precision", precision.to_string());
    }
    say("files", logdir.display().to_string());
    if let Some(output) = &report.output {
        say("folder", output.display().to_string());
    }
    for (name, value) in facts {
        output::line(&format!("{name:<22} {value}"))?;
    }
    Ok(())
}
