//! `secateur prune FOLDER --data text:FILE`
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use secateur::error::Bytes;
use secateur::gpu::Gpu;
use secateur::oneshot::Options;
use secateur::pretrained::{BlockReport, Method, Pretrained, PruneOptions, PruneReport, Window};
use secateur::storage::Patch;
use serde::Serialize;

use super::{bar, windows};
use crate::cli::args::Prune;
use crate::cli::plan::target;
use crate::cli::ranking::Ranking;
use crate::cli::{Verdict, adapter, output, signals};

/// What `--json` prints. Sparsities are fractions of 1.
#[derive(Debug, Serialize)]
struct Report<'a> {
    adapter: String,
    backend: String,
    input: String,
    output: String,
    data: String,
    windows: usize,
    length: usize,
    #[serde(flatten)]
    options: &'a PruneOptions,
    #[serde(flatten)]
    report: &'a PruneReport,
    copied: &'a [String],
    seconds: f64,
}

pub fn run(args: &Prune, options: &Options) -> Result<Verdict> {
    let model = Pretrained::open(&args.input)?;
    let (data, windows) = windows(&model, &args.data, Some(args.samples), None)?;
    let options = planned(args, options)?;
    let length = windows[0].ids.len();
    if args.plan || args.dry_run {
        return plan(args, &model, &options, (windows.len(), length));
    }
    // The parser asks for it.
    let out = args.output.as_deref().unwrap_or(Path::new(""));
    let gpu = adapter::gpu(&args.common)?;
    check_budget(&gpu, &model, &options, length)?;
    let adapter = gpu.report();
    let (name, backend) = (adapter.name.clone(), adapter.backend.to_string());
    output::note(format_args!("adapter: {name} ({backend}, {})", adapter.driver));
    let job = job(&model, &options, &windows)?;
    let mut patch = Patch::begin(model.files(), out, args.force, &job)?;
    signals::leaves(format!(
        "{}.unfinished stays, and the same command goes on behind the last block that is done",
        out.display()
    ));
    if let done @ 1.. = patch.done().len() {
        output::note(format_args!("{}: goes on behind {done} blocks that are done", out.display()));
    }
    let (bar, begun) = (bar("blocks"), Instant::now());
    bar.set_length(model.architecture().blocks().into());
    let mut told = |block: &BlockReport| {
        bar.set_position(u64::from(block.block) + 1);
        if bar.is_hidden() {
            let (error, sparsity) = (block.error, output::percent(block.sparsity()));
            let (at, of, seconds) = (block.block + 1, block.blocks, block.seconds);
            output::note(format_args!(
                "block {at} of {of}: {sparsity} pruned, error {error:.4}, {seconds:.1} s"
            ));
        }
    };
    let report = model.prune(&gpu, &windows, &options, &mut patch, &mut told);
    bar.finish_and_clear();
    let report = report?;
    let companions = patch.finish(None)?;
    let report = Report {
        adapter: name,
        backend,
        input: args.input.display().to_string(),
        output: out.display().to_string(),
        data,
        windows: windows.len(),
        length,
        options: &options,
        report: &report,
        copied: &companions.copied,
        seconds: begun.elapsed().as_secs_f64(),
    };
    if args.common.json {
        output::json(&report)?;
    } else {
        print(&report)?;
    }
    Ok(Verdict::Done)
}

/// The options of the model, by those of files.
fn planned(args: &Prune, options: &Options) -> Result<PruneOptions> {
    let method = match &args.score {
        Ranking::Method(method) => *method,
        Ranking::Score(score) => match score.to_string().as_str() {
            "magnitude" => Method::Magnitude,
            "wanda" => Method::Wanda,
            other => {
                bail!("--score {other}: a pretrained model takes magnitude, wanda, sparsegpt, admm")
            }
        },
    };
    ensure!(options.block.is_none(), "--pattern: a pretrained model takes unstructured and N:M");
    ensure!(options.axis.is_none(), "--axis is for files: a model's layers say where inputs are");
    ensure!(
        options.include.is_none(),
        "--include is for files: only products in blocks are pruned"
    );
    let mut planned = PruneOptions::new(method, options.sparsity)
        .pattern(options.pattern)
        .only(options.only.clone())
        .exclude(options.exclude.clone());
    if let Some(scope) = args.scope {
        planned.scope = scope.into();
    }
    Ok(planned)
}

/// What tells this work from another one in the same place: the model, the windows, and what is to
/// become of them.
fn job(model: &Pretrained, options: &PruneOptions, windows: &[Window]) -> Result<String> {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    for id in windows.iter().flat_map(|w| &w.ids) {
        hash.update(&id.to_le_bytes());
    }
    let (weights, text) = (model.files().fingerprint()?, hash.digest());
    let settings = model.config().settings();
    Ok(serde_json::to_string(&(weights, settings, text, windows.len(), options))?)
}

fn check_budget(
    gpu: &Gpu,
    model: &Pretrained,
    options: &PruneOptions,
    length: usize,
) -> Result<()> {
    let Some(budget) = gpu.memory_budget() else { return Ok(()) };
    let bytes = model.prune_memory(length as u32, options, gpu.target())?.peak();
    let [bytes, budget] = [bytes, budget].map(Bytes);
    ensure!(
        bytes.0 <= budget.0,
        "the largest block needs {bytes} on the device, the memory budget is {budget}; take a \
         shorter --length or a larger --memory-budget"
    );
    Ok(())
}

/// What `--plan` prints.
#[derive(Debug, Serialize)]
struct Plan {
    plan: bool,
    blocks: u32,
    windows: usize,
    length: usize,
    device_bytes: u64,
    /// What goes from block to block.
    host_bytes: u64,
}

fn plan(
    args: &Prune,
    model: &Pretrained,
    options: &PruneOptions,
    (windows, length): (usize, usize),
) -> Result<Verdict> {
    let (_, target) = target(&args.common)?;
    let memory = model.prune_memory(length as u32, options, target)?;
    // The dense model's goes beside the pruned one's.
    let streams = if options.method == Method::Admm { 2 } else { 1 };
    let plan = Plan {
        plan: true,
        blocks: model.architecture().blocks(),
        windows,
        length,
        device_bytes: memory.peak(),
        host_bytes: streams * model.stream_bytes(windows, length as u32),
    };
    if args.common.json {
        output::json(&plan)?;
        return Ok(Verdict::Done);
    }
    let (device, host) = (Bytes(plan.device_bytes), Bytes(plan.host_bytes));
    output::line(&format!(
        "{} blocks, one on the device at a time: {device} at most; {windows} windows of {length} \
         tokens take {host} of host memory; nothing was written",
        plan.blocks
    ))?;
    Ok(Verdict::Done)
}

fn print(report: &Report<'_>) -> Result<()> {
    let row = |b: &BlockReport| {
        vec![
            b.name.clone(),
            b.weights.len().to_string(),
            output::percent(b.sparsity()),
            format!("{:.5}", b.error),
            format!("{:.1}", b.seconds),
        ]
    };
    let header = ["block", "weights", "sparsity", "error", "seconds"];
    output::table(&header, 1, report.report.blocks.iter().map(row).collect())?;
    let of = report.report;
    output::line(
        "error: of the block's output on the first window, the squared difference over the square",
    )?;
    output::line(&format!(
        "perplexity on the {} windows of {} tokens that it was calibrated on: {:.3}",
        report.windows, report.length, of.calibration_perplexity
    ))?;
    output::line(&format!(
        "{} on the device at most, {:.1} s: {}",
        Bytes(of.device_bytes),
        report.seconds,
        report.output
    ))
}
