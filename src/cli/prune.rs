//! `secateur prune`
use std::time::Instant;

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use secateur::oneshot::{self, Options, TensorReport};
use secateur::prune::{Pattern, Scope, Score, TensorPattern};
use serde::Serialize;

use super::args::Prune;
use super::{Verdict, adapter, calibrated, output};

/// What `--json` prints. Sparsities are fractions of 1.
#[derive(Debug, Serialize)]
struct Report {
    adapter: String,
    backend: String,
    input: String,
    output: String,
    scope: Scope,
    pattern: String,
    score: Score,
    #[serde(flatten)]
    report: oneshot::Report,
    seconds: f64,
}

pub fn run(args: &Prune) -> Result<Verdict> {
    let options = options(args)?;
    let gpu = adapter::gpu(&args.common)?;
    let adapter = gpu.report();
    let (name, backend) = (adapter.name.clone(), adapter.backend.to_string());
    output::note(format_args!("adapter: {name} ({backend}, {})", adapter.driver));
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let template = "[{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta} left";
    bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
    let mut progress = |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let begun = Instant::now();
    let report = match args.score {
        Score::Magnitude => {
            oneshot::prune_file(&gpu, &args.input, &args.output, &options, &mut progress)
                .map_err(Into::into)
        }
        _ => calibrated::prune(&gpu, args, &options),
    };
    bar.finish_and_clear();
    let report = Report {
        adapter: name,
        backend,
        input: args.input.display().to_string(),
        output: args.output.display().to_string(),
        scope: options.scope,
        pattern: args.pattern.clone(),
        score: args.score.clone(),
        report: report?,
        seconds: begun.elapsed().as_secs_f64(),
    };
    if args.common.json {
        output::json(&report)?;
    } else {
        print(&report)?;
    }
    Ok(Verdict::Done)
}

fn options(args: &Prune) -> Result<Options> {
    let extents = args.pattern.strip_prefix("block:").and_then(|text| text.split_once('x'));
    let block = extents.and_then(|(h, w)| Some([h.parse().ok()?, w.parse().ok()?]));
    let pattern: Pattern = match args.pattern.as_str() {
        "unstructured" => Pattern::Element,
        _ if block.is_some() => Pattern::Element,
        text => text.parse().map_err(|_| {
            anyhow::anyhow!(
                "--pattern {text}: must be unstructured, N:M like 2:4 or block:HxW like block:4x4"
            )
        })?,
    };
    let sparsity = match (args.sparsity, pattern.sparsity()?) {
        (Some(sparsity), _) | (None, Some(sparsity)) => sparsity,
        (None, None) => bail!("--sparsity is missing: the share of weights to prune, like 0.5"),
    };
    let regex = |option: &str, text: &Option<String>| {
        let pattern = text.as_deref().map(TensorPattern::new);
        match pattern.as_ref().and_then(|p| Some((p, p.error()?))) {
            Some((pattern, wrong)) => bail!("--{option} {pattern}: {wrong}"),
            None => Ok(pattern),
        }
    };
    Ok(Options {
        sparsity,
        scope: args.scope.into(),
        pattern,
        block,
        include: regex("include", &args.include)?,
        exclude: regex("exclude", &args.exclude)?,
        force: args.force,
        chunk: None,
    })
}

fn print(report: &Report) -> Result<()> {
    let row = |t: &TensorReport| {
        let threshold = t.threshold.map_or_else(|| "-".to_owned(), |t| format!("{t:.6}"));
        let nonzero = t.nonzero.map_or_else(|| "-".to_owned(), output::thousands);
        let sparsity = t.sparsity.map_or_else(|| "-".to_owned(), output::percent);
        vec![t.name.clone(), t.dtype.clone(), output::shape(&t.shape), nonzero, sparsity, threshold]
    };
    let header = ["tensor", "dtype", "shape", "nonzero", "sparsity", "threshold"];
    output::table(&header, 3, report.report.tensors.iter().map(row).collect())?;
    let sparsity = output::percent(report.report.sparsity);
    let files = &report.report.files;
    for (what, names) in [("copied", &files.copied), ("not copied", &files.left_out)] {
        if !names.is_empty() {
            output::line(&format!("{what}: {}", names.join(", ")))?;
        }
    }
    let pruned = report.report.tensors.iter().filter(|t| t.threshold.is_some()).count();
    output::line(&format!(
        "{sparsity} of {pruned} tensors pruned in {:.1} s: {}",
        report.seconds, report.output
    ))
}
