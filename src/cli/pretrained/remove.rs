//! `secateur prune FOLDER --remove heads=0.25,channels=0.5`
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use secateur::error::Bytes;
use secateur::gpu::Gpu;
use secateur::pretrained::{
    Answer, BlockRemoved, Kind, Left, Pretrained, Removal, RemoveOptions, RemoveReport, Size,
    UnitsKept,
};
use secateur::storage::Rewrite;
use serde::Serialize;

use super::calibration::{Calibration, Counts};
use super::{bar, is_folder};
use crate::cli::args::Prune;
use crate::cli::plan::target;
use crate::cli::{Verdict, adapter, output};

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    /// None where the weights alone say what goes.
    adapter: Option<&'a str>,
    input: String,
    output: String,
    data: Option<&'a str>,
    #[serde(flatten)]
    counts: Option<Counts>,
    remove: &'a RemoveOptions,
    sizes: &'a [Size],
    #[serde(flatten)]
    report: &'a RemoveReport,
    /// Of the tensors, before and after.
    bytes: [u64; 2],
    copied: &'a [String],
    /// What was not, with the reason.
    left_out: &'a [String],
    seconds: f64,
}

/// What `--plan --json` prints.
#[derive(Debug, Serialize)]
struct Plan<'a> {
    plan: bool,
    sizes: &'a [Size],
    blocks: u32,
    /// Weights whose outputs stay as wide as they are, and why.
    left: &'a [Left],
    bytes: [u64; 2],
    /// None without data.
    device_bytes: Option<u64>,
}

pub fn run(args: &Prune, options: &RemoveOptions) -> Result<Verdict> {
    ensure!(
        is_folder(&args.input),
        "--remove: {} is no folder of a pretrained model, with its config.json",
        args.input.display()
    );
    let options = options.multiple(args.multiple);
    let model = Pretrained::open(&args.input)?;
    let removal = model.removal(&options)?;
    let rows = match (&args.data.data, args.data.options.all().first()) {
        (Some(_), _) => Some(Calibration::open(args, &model)?),
        (None, Some((name, _))) => bail!("--{} is for --data", name.replace('_', "-")),
        (None, None) => None,
    };
    ensure!(
        rows.is_some() || args.activations.is_none(),
        "--activations is for --data: without rows nothing goes from block to block"
    );
    if args.plan || args.dry_run {
        return plan(args, &model, &removal, rows.as_ref());
    }
    // The parser asks for it.
    let out = args.output.as_deref().unwrap_or(Path::new(""));
    let begun = Instant::now();
    let gpu = match &rows {
        Some(rows) => {
            let gpu = adapter::gpu(&args.common)?;
            check_budget(&gpu, &removal, rows)?;
            let adapter = gpu.report();
            let (name, backend) = (&adapter.name, &adapter.backend);
            output::note(format_args!("adapter: {name} ({backend}, {})", adapter.driver));
            Some(gpu)
        }
        None => None,
    };
    if rows.is_none() && model.architecture().answer() == Answer::NextToken {
        output::note(
            "warning: a language model whose heads and channels go by their weights alone is left \
             with next to nothing of what it knew; --data text:FILE chooses by what they do",
        );
    }
    // Its place is taken before the work, and nothing is left of it where that is interrupted.
    let mut rewrite = Rewrite::begin(model.files(), out, args.force, &removal.shapes()?)?;
    let bar = bar("blocks");
    bar.set_length(model.architecture().blocks().into());
    let mut told = |block: &BlockRemoved| {
        bar.set_position(u64::from(block.block) + 1);
        if let Some(error) = block.error.filter(|_| bar.is_hidden()) {
            let (at, of, seconds) = (block.block + 1, block.blocks, block.seconds);
            output::note(format_args!("block {at} of {of}: error {error:.4}, {seconds:.1} s"));
        }
    };
    let report = match (&gpu, &rows) {
        (Some(gpu), Some(rows)) => {
            let folder = args.activations.as_deref();
            removal.by_data(gpu, rows.rows(), folder, &mut rewrite, &mut told)
        }
        _ => removal.by_weights(&mut rewrite, &mut told),
    };
    bar.finish_and_clear();
    let report = report?;
    let companions = rewrite.finish(Some(&removal.config()))?;
    let adapter = gpu.as_ref().map(|gpu| gpu.report().name.as_str());
    let report = Report {
        adapter,
        input: args.input.display().to_string(),
        output: out.display().to_string(),
        data: rows.as_ref().map(|rows| &*rows.data),
        counts: rows.as_ref().map(Calibration::counts),
        remove: &options,
        sizes: removal.sizes(),
        report: &report,
        bytes: removal.bytes()?,
        copied: &companions.copied,
        left_out: &companions.left_out,
        seconds: begun.elapsed().as_secs_f64(),
    };
    if args.common.json {
        output::json(&report)?;
    } else {
        print(&report, rows.as_ref())?;
    }
    Ok(Verdict::Done)
}

fn check_budget(gpu: &Gpu, removal: &Removal<'_>, rows: &Calibration) -> Result<()> {
    match gpu.memory_budget() {
        Some(budget) => {
            rows.check_budget(removal.memory(rows.length() as u32, gpu.target())?, budget)
        }
        None => Ok(()),
    }
}

/// A size as people read it: of heads those of queries, and with how many keys.
fn said(size: &Size) -> String {
    let Size { kind, shared, of, kept, .. } = *size;
    let each = match (kind, shared) {
        (Kind::Heads, 2..) => format!(", of keys {of} -> {kept}"),
        _ => String::new(),
    };
    format!("{kind} {} -> {}{each}", of * shared, kept * shared)
}

fn plan(
    args: &Prune,
    model: &Pretrained,
    removal: &Removal<'_>,
    rows: Option<&Calibration>,
) -> Result<Verdict> {
    let device_bytes = match rows {
        Some(rows) => {
            let (_, target) = target(&args.common)?;
            Some(removal.memory(rows.length() as u32, target)?.peak())
        }
        None => None,
    };
    let bytes = removal.bytes()?;
    let (sizes, left) = (removal.sizes(), removal.left());
    let blocks = model.architecture().blocks();
    let plan = Plan { plan: true, sizes, blocks, left, bytes, device_bytes };
    if args.common.json {
        output::json(&plan)?;
        return Ok(Verdict::Done);
    }
    for size in sizes {
        output::line(&format!("{} in each of {blocks} blocks", said(size)))?;
    }
    let first = model.architecture().prefix(0);
    for Left { name, why, .. } in left.iter().filter(|left| left.name.starts_with(&first)) {
        output::line(&format!("outputs of {name} stay: {why}"))?;
    }
    let [before, after] = bytes.map(Bytes);
    let device = device_bytes.map(Bytes).map(|bytes| format!("; {bytes} on the device at most"));
    let device = device.unwrap_or_default();
    output::line(&format!("{before} -> {after}{device}; nothing was written"))?;
    Ok(Verdict::Done)
}

fn print(report: &Report<'_>, rows: Option<&Calibration>) -> Result<()> {
    let row = |block: &BlockRemoved| {
        let kept = |kind: Kind| {
            let of_kind = block.kept.iter().filter(|kept| kept.kind == kind);
            let said = |kept: &UnitsKept| format!("{} of {}", kept.kept.len(), kept.of);
            let all: Vec<String> = of_kind.map(said).collect();
            if all.is_empty() { "all".to_owned() } else { all.join(", ") }
        };
        let error = block.error.map_or_else(|| "-".to_owned(), |error| format!("{error:.5}"));
        let seconds = format!("{:.1}", block.seconds);
        vec![block.name.clone(), kept(Kind::Heads), kept(Kind::Channels), error, seconds]
    };
    let header = ["block", "heads", "channels", "error", "seconds"];
    output::table(&header, 1, report.report.blocks.iter().map(row).collect())?;
    if let Some(rows) = rows {
        rows.print(report.report.calibration_perplexity)?;
    }
    output::left_out(report.left_out);
    let sizes: Vec<String> = report.sizes.iter().map(said).collect();
    let [before, after] = report.bytes.map(Bytes);
    let (sizes, seconds) = (sizes.join("; "), report.seconds);
    output::line(&format!("{sizes}; {before} -> {after}, {seconds:.1} s: {}", report.output))
}
