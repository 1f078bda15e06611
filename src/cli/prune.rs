//! `secateur prune`
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use secateur::oneshot::{self, Fate, Options, Survey, TensorPlan, TensorReport};
use secateur::pretrained::Allocate;
use secateur::prune::{Pattern, Role, Scope, Score, TensorPattern};
use serde::Serialize;

use super::args::Prune;
use super::ranking::Ranking;
use super::{Verdict, adapter, advice, calibrated, output, page, pretrained};

/// What `--json` prints. Sparsities are fractions of 1.
#[derive(Debug, Serialize)]
struct Report {
    adapter: String,
    backend: String,
    input: String,
    output: String,
    scope: Scope,
    pattern: String,
    score: String,
    #[serde(flatten)]
    report: oneshot::Report,
    seconds: f64,
}

/// What `--dry-run --json` prints.
#[derive(Debug, Serialize)]
struct DryRun {
    dry_run: bool,
    input: String,
    pattern: String,
    #[serde(flatten)]
    survey: Survey,
}

pub fn run(args: &Prune) -> Result<Verdict> {
    pretrained::check_no_run(&args.input, "prune")?;
    if let Some(options) = &args.remove {
        return pretrained::remove(args, options);
    }
    ensure!(args.multiple.is_none(), "--multiple is for --remove");
    if args.pattern == "2:4" {
        advice::warn_of_language(&args.input);
    }
    let options = options(args)?;
    let by_data = args.score != Ranking::Score(Score::Magnitude) || args.data.data.is_some();
    let is_folder = pretrained::is_folder(&args.input);
    if args.plan && !is_folder {
        bail!(
            "--plan: {} is no folder of a pretrained model, with its config.json; --dry-run says \
             what would become of a file",
            args.input.display()
        );
    }
    if is_folder && (args.plan || by_data) {
        return pretrained::prune(args, &options);
    }
    ensure!(
        args.allocate == Allocate::Uniform,
        "--allocate {} counts outliers of a pretrained model: it takes a folder with config.json \
         and --data",
        args.allocate
    );
    if args.dry_run {
        return dry_run(args, &options);
    }
    // The parser asks for it.
    let output = args.output.as_deref().unwrap_or(Path::new(""));
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
    let report = match &args.score {
        Ranking::Score(Score::Magnitude) => {
            oneshot::prune_file(&gpu, &args.input, output, &options, &mut progress)
                .map_err(Into::into)
        }
        score => calibrated::prune(&gpu, (args, score), output, &options),
    };
    bar.finish_and_clear();
    let report = Report {
        adapter: name,
        backend,
        input: args.input.display().to_string(),
        output: output.display().to_string(),
        scope: options.scope,
        pattern: args.pattern.clone(),
        score: args.score.to_string(),
        report: report?,
        seconds: begun.elapsed().as_secs_f64(),
    };
    warn(&report.report.warnings);
    if is_folder {
        page::of_pruning(output, &report);
    }
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
                "--pattern {text}: must be unstructured, N:M like 2:4, N:MxV like 8:32x32 or \
                 block:HxW like block:4x4"
            )
        })?,
    };
    let sparsity = match (args.sparsity, pattern.sparsity()?) {
        (Some(sparsity), _) | (None, Some(sparsity)) => sparsity,
        // Which tensors are weights does not depend on how many of them go.
        (None, None) if args.dry_run => 0.5,
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
        scope: args.scope.unwrap_or_default().into(),
        pattern,
        block,
        include: regex("include", &args.include)?,
        exclude: regex("exclude", &args.exclude)?,
        only: regex("only", &args.only)?,
        axis: args.axis,
        force: args.force,
        chunk: None,
    })
}

fn dry_run(args: &Prune, options: &Options) -> Result<Verdict> {
    let survey = match &args.score {
        Ranking::Score(Score::Magnitude) => oneshot::survey_file(&args.input, options)?,
        score => calibrated::survey((args, score), options)?,
    };
    warn(&survey.warnings);
    if args.common.json {
        let (input, pattern) = (args.input.display().to_string(), args.pattern.clone());
        output::json(&DryRun { dry_run: true, input, pattern, survey })?;
        return Ok(Verdict::Done);
    }
    let axis = |t: &TensorPlan| t.axis.map_or_else(|| "-".to_owned(), |axis| axis.to_string());
    let row = |t: &TensorPlan| {
        let shape = output::shape(&t.shape);
        let taken = t.role.to_string();
        vec![t.name.clone(), t.dtype.clone(), shape, taken, fate(t.fate), axis(t), t.why.clone()]
    };
    let header = ["tensor", "dtype", "shape", "taken for", "becomes", "inputs' axis", "why"];
    output::table(&header, header.len(), survey.tensors.iter().map(row).collect())?;
    let pruned = survey.tensors.iter().filter(|t| t.fate == Fate::Pruned);
    let elements = |t: &TensorPlan| t.shape.iter().map(|&d| d as u64).product::<u64>();
    output::line(&format!(
        "{} weights in {} of {} tensors would be pruned; nothing was written",
        output::thousands(pruned.clone().map(elements).sum()),
        pruned.count(),
        survey.tensors.len(),
    ))?;
    Ok(Verdict::Done)
}

fn fate(fate: Fate) -> String {
    format!("{fate:?}").to_lowercase()
}

fn warn(warnings: &[String]) {
    warnings.iter().for_each(|warning| output::note(format_args!("warning: {warning}")));
}

fn print(report: &Report) -> Result<()> {
    let row = |t: &TensorReport| {
        let threshold = t.threshold.map_or_else(|| "-".to_owned(), |t| format!("{t:.6}"));
        let nonzero = t.nonzero.map_or_else(|| "-".to_owned(), output::thousands);
        let sparsity = t.sparsity.map_or_else(|| "-".to_owned(), output::percent);
        let (plan, taken) = (&t.plan, t.plan.role.to_string());
        let shape = output::shape(&plan.shape);
        vec![plan.name.clone(), plan.dtype.clone(), shape, taken, nonzero, sparsity, threshold]
    };
    let header = ["tensor", "dtype", "shape", "taken for", "nonzero", "sparsity", "threshold"];
    let done = &report.report;
    output::table(&header, 4, done.tensors.iter().map(row).collect())?;
    for (role, names) in &done.dense {
        // There are as many of them as layers, and nobody expects them to be pruned.
        let names = match role {
            Role::Vector | Role::Bias => format!("{} tensors", names.len()),
            _ => names.join(", "),
        };
        output::line(&format!("left dense: {role}: {names}"))?;
    }
    for (what, names) in [("copied", &done.files.copied), ("not copied", &done.files.left_out)] {
        if !names.is_empty() {
            output::line(&format!("{what}: {}", names.join(", ")))?;
        }
    }
    let [sparsity, whole] = [done.sparsity, done.whole_sparsity].map(output::percent);
    let pruned = done.tensors.iter().filter(|t| t.plan.fate == Fate::Pruned).count();
    output::line(&format!(
        "{sparsity} of {pruned} tensors pruned, {whole} of the whole file, in {:.1} s: {}",
        report.seconds, report.output
    ))?;
    let pruned = done.tensors.iter().filter(|t| t.plan.fate == Fate::Pruned);
    advice::of_pruned(pruned.filter_map(|t| Some((&t.plan, t.nonzero?))))
}
