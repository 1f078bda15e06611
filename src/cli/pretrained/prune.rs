//! `secateur prune FOLDER --data text:FILE`, or `images:DIR`
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use secateur::error::Bytes;
use secateur::gpu::Gpu;
use secateur::oneshot::Options;
use secateur::pretrained::{
    ALLOCATION, Allocate, BlockReport, Method, Pretrained, PruneEvent, PruneOptions, PruneReport,
};
use secateur::prune::Score;
use secateur::storage::Patch;
use serde::Serialize;

use super::bar;
use super::calibration::{Calibration, Counts};
use crate::cli::args::Prune;
use crate::cli::plan::target;
use crate::cli::ranking::Ranking;
use crate::cli::{Verdict, adapter, output, page, signals};

/// What `--json` prints. Sparsities are fractions of 1.
#[derive(Debug, Serialize)]
struct Report<'a> {
    adapter: String,
    backend: String,
    input: String,
    output: String,
    data: &'a str,
    #[serde(flatten)]
    counts: Counts,
    #[serde(flatten)]
    options: &'a PruneOptions,
    #[serde(flatten)]
    report: &'a PruneReport,
    /// Of all weights that were pruned.
    reached_sparsity: f64,
    copied: &'a [String],
    /// What was not, with the reason.
    left_out: &'a [String],
    seconds: f64,
}

pub fn run(args: &Prune, options: &Options) -> Result<Verdict> {
    let model = Pretrained::open(&args.input)?;
    let rows = Calibration::open(args, &model)?;
    let options = planned(args, options)?;
    if args.plan || args.dry_run {
        return plan(args, &model, &options, &rows);
    }
    // The parser asks for it.
    let out = args.output.as_deref().unwrap_or(Path::new(""));
    let gpu = adapter::gpu(&args.common)?;
    check_budget(&gpu, &model, &options, &rows)?;
    let adapter = gpu.report();
    let (name, backend) = (adapter.name.clone(), adapter.backend.to_string());
    output::note(format_args!("adapter: {name} ({backend}, {})", adapter.driver));
    let job = job(&model, &options, &rows)?;
    let mut patch = Patch::begin(model.files(), out, args.force, &job)?;
    signals::leaves(format!(
        "{}.unfinished stays, and the same command goes on behind the last block that is done",
        out.display()
    ));
    let done = patch.done().iter().filter(|block| *block != ALLOCATION).count();
    let measured = patch.done().len() > done;
    if done > 0 || measured {
        let what = if done > 0 { format!("{done} blocks that are done") } else { String::new() };
        let what = if done > 0 { what } else { "the count of outliers".to_owned() };
        output::note(format_args!("{}: goes on behind {what}", out.display()));
    }
    let (bar, begun) = (bar("blocks"), Instant::now());
    let blocks = u64::from(model.architecture().blocks());
    // The dense model goes through all blocks before the first is pruned.
    let before = if options.allocate == Allocate::Uniform || measured { 0 } else { blocks };
    bar.set_length(before + blocks);
    let mut told = |event: PruneEvent<'_>| match event {
        PruneEvent::Measured(of) => {
            bar.set_position(u64::from(of.block) + 1);
            if bar.is_hidden() {
                let (at, of, share) = (of.block + 1, of.blocks, percent(of.outliers));
                output::note(format_args!("dense block {at} of {of}: {share} outliers"));
            }
        }
        PruneEvent::Pruned(block) => {
            bar.set_position(before + u64::from(block.block) + 1);
            if bar.is_hidden() {
                let (error, sparsity) = (block.error, output::percent(block.sparsity()));
                let (at, of, seconds) = (block.block + 1, block.blocks, block.seconds);
                output::note(format_args!(
                    "block {at} of {of}: {sparsity} pruned, error {error:.4}, {seconds:.1} s"
                ));
            }
        }
        _ => {}
    };
    let report = model.prune_by(&gpu, rows.rows(), &options, &mut patch, &mut told);
    bar.finish_and_clear();
    let report = report?;
    let companions = patch.finish(None)?;
    let report = Report {
        adapter: name,
        backend,
        input: args.input.display().to_string(),
        output: out.display().to_string(),
        data: &rows.data,
        counts: rows.counts(),
        options: &options,
        reached_sparsity: report.sparsity(),
        report: &report,
        copied: &companions.copied,
        left_out: &companions.left_out,
        seconds: begun.elapsed().as_secs_f64(),
    };
    page::of_pruning(out, &report);
    if args.common.json {
        output::json(&report)?;
    } else {
        print(&report, &rows)?;
    }
    Ok(Verdict::Done)
}

/// The options of the model, by those of files.
fn planned(args: &Prune, options: &Options) -> Result<PruneOptions> {
    let method = match &args.score {
        Ranking::Method(method) => *method,
        Ranking::Score(Score::Magnitude) => Method::Magnitude,
        Ranking::Score(Score::Wanda) => Method::Wanda,
        Ranking::Score(other) => {
            bail!("--score {other}: a pretrained model takes magnitude, wanda, sparsegpt, admm")
        }
    };
    ensure!(
        options.block.is_none(),
        "--pattern: a pretrained model takes unstructured, N:M and N:MxV"
    );
    ensure!(options.axis.is_none(), "--axis is for files: a model's layers say where inputs are");
    ensure!(
        options.include.is_none(),
        "--include is for files: only products in blocks are pruned"
    );
    let mut planned = PruneOptions::new(method, options.sparsity)
        .allocate(args.allocate)
        .pattern(options.pattern)
        .only(options.only.clone())
        .exclude(options.exclude.clone());
    planned.activations.clone_from(&args.activations);
    if let Some(scope) = args.scope {
        planned.scope = scope.into();
    }
    Ok(planned)
}

/// What tells this work from another one in the same place: the model, the rows, and what is to
/// become of them.
fn job(model: &Pretrained, options: &PruneOptions, rows: &Calibration) -> Result<String> {
    let (weights, data) = (model.files().fingerprint()?, rows.digest());
    let settings = model.config().settings();
    Ok(serde_json::to_string(&(weights, settings, data, rows.len(), options))?)
}

fn check_budget(
    gpu: &Gpu,
    model: &Pretrained,
    options: &PruneOptions,
    rows: &Calibration,
) -> Result<()> {
    let Some(budget) = gpu.memory_budget() else { return Ok(()) };
    let memory = model.prune_memory(rows.length() as u32, options, gpu.target())?;
    rows.check_budget(memory, budget)
}

/// What `--plan` prints.
#[derive(Debug, Serialize)]
struct Plan {
    plan: bool,
    blocks: u32,
    #[serde(flatten)]
    counts: Counts,
    device_bytes: u64,
    /// What goes from block to block, in memory.
    host_bytes: u64,
    /// In a file, where it is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    file_bytes: Option<u64>,
}

fn plan(
    args: &Prune,
    model: &Pretrained,
    options: &PruneOptions,
    rows: &Calibration,
) -> Result<Verdict> {
    let (_, target) = target(&args.common)?;
    let length = rows.length() as u32;
    let memory = model.prune_memory(length, options, target)?;
    // The dense model's goes beside the pruned one's.
    let streams = if options.method == Method::Admm { 2 } else { 1 };
    let all = streams * model.stream_bytes(rows.len(), length)?;
    let file_bytes = args.activations.is_some().then_some(all);
    // Of a file one row is in memory on its way to the device, and one on its way back.
    let host_bytes = match file_bytes {
        Some(_) => streams * model.stream_bytes(2, length)?,
        None => all,
    };
    let plan = Plan {
        plan: true,
        blocks: model.architecture().blocks(),
        counts: rows.counts(),
        device_bytes: memory.peak(),
        host_bytes,
        file_bytes,
    };
    if args.common.json {
        output::json(&plan)?;
        return Ok(Verdict::Done);
    }
    let (device, host) = (Bytes(plan.device_bytes), Bytes(plan.host_bytes));
    let file = plan.file_bytes.map(|bytes| format!(" and {} of a file", Bytes(bytes)));
    output::line(&format!(
        "{} blocks, one on the device at a time: {device} at most; {} take {host} of host \
         memory{}; nothing was written",
        plan.blocks,
        rows.told(),
        file.unwrap_or_default()
    ))?;
    Ok(Verdict::Done)
}

/// Outliers are few.
fn percent(share: f64) -> String {
    format!("{:.3} %", 100.0 * share)
}

fn print(report: &Report<'_>, rows: &Calibration) -> Result<()> {
    let by_outliers = report.options.allocate != Allocate::Uniform;
    let row = |b: &BlockReport| {
        let mut row = vec![b.name.clone(), b.weights.len().to_string()];
        if by_outliers {
            row.push(b.outliers.map_or_else(|| "-".to_owned(), percent));
            row.push(b.asked.map_or_else(|| "-".to_owned(), output::percent));
        }
        let (sparsity, error) = (output::percent(b.sparsity()), format!("{:.5}", b.error));
        row.extend([sparsity, error, format!("{:.1}", b.seconds)]);
        row
    };
    let own: &[&str] = if by_outliers { &["outliers", "asked"] } else { &[] };
    let header = [&["block", "weights"], own, &["sparsity", "error", "seconds"]].concat();
    output::table(&header, 1, report.report.blocks.iter().map(row).collect())?;
    if by_outliers {
        let sparsity = output::percent(report.reached_sparsity);
        output::line(&format!("{sparsity} of all weights that were pruned are zero"))?;
    }
    let of = report.report;
    rows.print(of.calibration_perplexity)?;
    output::left_out(report.left_out);
    output::line(&format!(
        "{} on the device at most, {:.1} s: {}",
        Bytes(of.device_bytes),
        report.seconds,
        report.output
    ))
}
