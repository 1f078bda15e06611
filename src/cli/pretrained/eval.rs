//! `secateur eval FOLDER`
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use secateur::error::Bytes;
use secateur::pretrained::{Answer, Input, Rows};
use serde::Serialize;

use super::{Opened, bar, classify, windows};
use crate::cli::args::Eval;
use crate::cli::measured::Figure;
use crate::cli::speed::Latencies;
use crate::cli::{Verdict, adapter, output};

#[derive(Debug, Serialize)]
struct Report {
    adapter: String,
    backend: String,
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    global_step: Option<u64>,
    data: String,
    windows: usize,
    length: usize,
    /// Tokens whose losses count.
    tokens: usize,
    loss: f64,
    perplexity: f64,
    window_losses: Vec<f64>,
    seconds: f64,
    tokens_per_second: f64,
    device_bytes: u64,
    #[serde(flatten)]
    latencies: Option<Latencies>,
}

/// What a model of either kind is measured by.
pub fn figures(args: &Eval, opened: &Opened) -> Result<Vec<Figure>> {
    if let Input::Images { .. } = opened.model.architecture().input() {
        return Ok(classify::measured(args, opened)?.figures());
    }
    let Report { loss, perplexity, .. } = measured(args, opened)?;
    Ok(vec![Figure::new("perplexity", perplexity, 4), Figure::new("loss", loss, 4)])
}

pub fn run(args: &Eval, opened: &Opened) -> Result<Verdict> {
    if let Input::Images { .. } = opened.model.architecture().input() {
        return classify::run(args, opened);
    }
    let report = measured(args, opened)?;
    if args.common.json {
        output::json(&report)?;
        return Ok(Verdict::Done);
    }
    let windows = format!("{} windows of {} tokens", report.windows, report.length);
    let Report { tokens_per_second, seconds, .. } = report;
    let latency = report.latencies.as_ref().map(|latencies| latencies.fact().1);
    let mut facts = vec![
        ("model", report.model.clone()),
        ("data", format!("{}, {windows}", report.data)),
        ("perplexity", format!("{:.4}", report.perplexity)),
        ("loss", format!("{:.4} over {} tokens", report.loss, report.tokens)),
        ("speed", format!("{tokens_per_second:.1} tokens/s, {seconds:.1} s")),
    ];
    facts.extend(latency.map(|latency| ("latency", latency)));
    facts.extend([
        ("device memory", Bytes(report.device_bytes).to_string()),
        ("adapter", format!("{} ({})", report.adapter, report.backend)),
    ]);
    for (name, value) in facts {
        output::line(&format!("{name:<14} {value}"))?;
    }
    Ok(Verdict::Done)
}

/// The losses of a text.
fn measured(args: &Eval, opened: &Opened) -> Result<Report> {
    let model = &opened.model;
    match (model.architecture().input(), model.architecture().answer()) {
        (_, Answer::NextToken) => {}
        (input, _) => bail!(
            "{} takes {}, and no data has the answers to them; secateur predict says what it makes \
             of texts",
            model.path().display(),
            input.name()
        ),
    }
    ensure!(args.min_test_accuracy.is_none(), "--min-test-accuracy is for classes");
    ensure!(args.batch.is_none(), "--batch is for images; windows of a text go singly");
    let (data, windows) = windows(model, &args.data, args.samples, args.stride)?;
    let gpu = adapter::gpu(&args.common)?;
    let (bar, begun) = (bar("blocks"), Instant::now());
    let evaluated = model.perplexity(&gpu, &windows, &mut |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let (evaluated, seconds) = (evaluated?, begun.elapsed().as_secs_f64());
    let tokens: usize = windows.iter().map(|w| w.ids.len()).sum();
    let timed = |n| model.latencies(&gpu, Rows::Tokens(&windows[..1]), 1, n);
    let latencies = args.latencies.map(timed).transpose()?;
    Ok(Report {
        adapter: gpu.report().name.clone(),
        backend: gpu.report().backend.clone(),
        model: opened.name.clone(),
        global_step: opened.global_step,
        data,
        windows: windows.len(),
        length: windows[0].ids.len(),
        tokens: evaluated.predictions,
        loss: evaluated.perplexity.ln(),
        perplexity: evaluated.perplexity,
        window_losses: evaluated.losses,
        seconds,
        tokens_per_second: tokens as f64 / seconds,
        device_bytes: evaluated.device_bytes,
        latencies: latencies.map(|times| Latencies::new(1, &times)),
    })
}
