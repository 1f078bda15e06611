//! `secateur train`
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use anyhow::{Context, Result};
use secateur::data::{Batches, Dataset, Prefetch};
use secateur::gpu::{Gpu, Precision};
use secateur::nn::Figures;
use secateur::prune::{LayerSparsity, MaskUpdateOp, Pruning, total_sparsity};
use secateur::session::Evaluation;
use secateur::storage::MadeFolder;
use secateur::train::{End, Event, Recipe, TrainOp, TrainOutcome, train};
use serde::Serialize;

use super::args::Train;
use super::figures::{Figured, line_of};
use super::model::misfit;
use super::plan::{self, MemoryReport};
use super::progress::Progress;
use super::ranks::Ranks;
use super::recipe::{Asked, begin};
use super::signals::Signals;
use super::{Verdict, adapter, output, recipe};

/// What `--json` prints. Accuracies and sparsities are fractions of 1.
#[derive(Debug, Serialize)]
struct Report {
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
    sparsity: f64,
    layers: Vec<LayerSparsity>,
    steps_per_second: f64,
    seconds: f64,
    /// From the start of the command to the end of its first step; for people only.
    #[serde(skip)]
    first_step_seconds: Option<f64>,
    checkpoint: Option<PathBuf>,
}

pub fn run(args: &Train, ranks: &Ranks) -> Result<Verdict> {
    let (started, first_step) = (Instant::now(), OnceLock::new());
    let on_step = || {
        first_step.get_or_init(|| started.elapsed().as_secs_f64());
    };
    ranks.agree(args)?;
    let Asked { recipe, data, continues } = recipe::of(args, ranks)?;
    let pruning = recipe.pruning.clone().map(Pruning::new).transpose()?;
    let mask_update_op =
        pruning.as_ref().map_or_else(MaskUpdateOp::none, Pruning::conditional_mask_update_op);
    if args.plan {
        return match ranks.is_chief() {
            true => plan::print(&args.common, &recipe, &data, &mask_update_op),
            false => Ok(Verdict::Done),
        };
    }
    let mut gpu = adapter::of_rank(&args.common, ranks)?;
    // Refused before there is a folder.
    recipe.training().validate()?;
    let options = ranks.options(&args.replicas).number_of_steps(Some(recipe.steps));
    options.validate(args.logdir.as_deref())?;
    if args.logdir.is_none() {
        mask_update_op.check_fires(0, recipe.steps, 0)?;
        let plan = plan::of(&recipe, &data, &mask_update_op, gpu.target())?;
        plan.check_budget(gpu.memory_budget())?;
    }
    ranks.meet()?;
    let mut made = MadeFolder::default();
    let named = args.recipe.is_some() || args.data.data.is_some() || args.options.has("model");
    let (logdir, baseline) = ranks.chiefs(|| {
        let logdir = match &args.logdir {
            Some(logdir) => logdir.clone(),
            None => {
                let (logdir, new) = new_logdir(&recipe.data)?;
                made = new;
                logdir
            }
        };
        // A run that had one goes on with it.
        let by_itself = if continues { logdir.join("dense").is_dir() } else { !named };
        Ok((logdir, args.baseline || (by_itself && !args.no_baseline)))
    })?;
    let adapter = gpu.report();
    let (name, backend, driver) = (&adapter.name, &adapter.backend, &adapter.driver);
    output::note(format_args!("adapter: {name} ({backend}, {driver})"));
    if pruning.is_none() && !continues {
        output::note("no pruning asked for: dense training");
    }
    let signals = Signals::listen()?;
    let mut dense = Figures::default();
    if baseline && pruning.is_some() {
        let dense_recipe = recipe.clone().pruning(None).trace_every_n_steps(None);
        // Known from here on, though only the baseline may come to its end.
        let whole = Some((&recipe, &*logdir));
        let (recipe, logdir) = (&dense_recipe, &*logdir.join("dense"));
        let (label, trace, on_step) = ("dense", false, &on_step);
        let job = Job { recipe, logdir, whole, label, trace, args, ranks, on_step };
        let outcome = train_one(&gpu, &job, MaskUpdateOp::none(), &data.train, &signals)?;
        // Another one than before, where the device was lost.
        gpu = outcome.session.gpu().clone();
        if outcome.end == End::Stopped {
            return stopped(&outcome, &signals, ranks);
        }
        if ranks.is_chief() {
            dense = outcome.session.evaluate(&data.test)?.figures;
        }
        // Nobody watches over ranks that wait for this.
        ranks.meet()?;
    }
    let label = if mask_update_op.spec().is_some() { "pruned" } else { "dense" };
    let job = Job {
        recipe: &recipe,
        logdir: &logdir,
        whole: None,
        label,
        trace: args.trace,
        args,
        ranks,
        on_step: &on_step,
    };
    let outcome = train_one(&gpu, &job, mask_update_op, &data.train, &signals)?;
    if outcome.end == End::Stopped {
        return stopped(&outcome, &signals, ranks);
    }
    if !ranks.is_chief() {
        return Ok(Verdict::Done);
    }
    if outcome.steps == 0 {
        output::note(format_args!(
            "nothing was done: the run in {} is at global step {}, and was asked for {}; give more \
             --steps to go on",
            logdir.display(),
            outcome.global_step,
            recipe.steps
        ));
    }
    // As many rows as the test set has: a forward pass over all of them can take longer than the
    // run.
    let rows = Arc::new(data.train.head(data.test.rows())?);
    let measured = Measured {
        train: outcome.session.evaluate(&rows)?,
        test: outcome.session.evaluate(&data.test)?,
        dense,
    };
    let report = report(&outcome, &measured, ranks, first_step.get().copied())?;
    if args.common.json {
        output::json(&report)?;
    } else {
        print(&report, &measured, &recipe, &logdir)?;
    }
    Verdict::of(measured.test.accuracy(), args.min_test_accuracy)
}

/// How good the network came out, and the dense one where there is one.
struct Measured {
    train: Evaluation,
    test: Evaluation,
    dense: Figures,
}

/// One of the runs of the command.
struct Job<'a> {
    recipe: &'a Recipe,
    logdir: &'a Path,
    /// Of a baseline the recipe and the logdir of the run that it is for.
    whole: Option<(&'a Recipe, &'a Path)>,
    label: &'static str,
    /// Whether to trace a step of it.
    trace: bool,
    args: &'a Train,
    ranks: &'a Ranks,
    /// Told of every step that is done.
    on_step: &'a (dyn Fn() + Sync),
}

fn train_one(
    gpu: &Gpu,
    job: &Job<'_>,
    mask_update_op: MaskUpdateOp,
    train_set: &Arc<Dataset>,
    signals: &Signals,
) -> Result<TrainOutcome> {
    let &Job { recipe, logdir, whole, label, trace, args, ranks, on_step } = job;
    let batches = Batches::new(Arc::clone(train_set), recipe.batch, Some(recipe.seed))?;
    let batches = batches.drop_last(recipe.drop_last)?;
    let batches = Prefetch::new(batches.augment(true).streams(train_set.is_text()));
    let train_op = TrainOp::new(gpu, &recipe.model, recipe.training(), batches, recipe.seed)
        .map_err(|e| misfit(e.into(), recipe, train_set))?
        .recompute(recipe.recompute)?;
    let mut progress = Progress::new(label, recipe.steps);
    let mut written = Ok(());
    let is_chief = ranks.is_chief();
    let terminal = std::io::stderr().is_terminal();
    let options = ranks
        .options(&args.replicas)
        .number_of_steps(Some(recipe.steps))
        .stop(Some(signals.stop()))
        .save(Some(signals.save()))
        // Ten lines where there is no progress bar.
        .log_every_n_steps((!terminal).then_some((recipe.steps / 10).max(1)))
        .save_summaries_steps(Some((recipe.steps / 100).max(1)))
        .save_interval_secs(recipe.save_secs.unwrap_or(600.0))
        .save_every_n_steps(recipe.save_steps)
        // A run that is killed early does not begin again at 0, and few files are written.
        .first_save_secs(1.0)
        .override_run(args.override_)
        .drop_masks(args.drop_masks)
        .trace_every_n_steps(recipe.trace_every_n_steps)
        // The first step still pays for what later ones find ready.
        .trace_step(trace.then_some(1))
        .on_event(Some(Box::new(|event| {
            // Only now is the logdir this run's own: a refused run must not replace its recipe.
            if let (Event::Start { step, .. }, true) = (event, is_chief) {
                written = recipe::keep(recipe, logdir, *step)
                    .and_then(|()| whole.map_or(Ok(()), |(whole, logdir)| begin(whole, logdir)));
            }
            if let Event::Step(_) = event {
                on_step();
            }
            progress.event(event);
        })));
    let outcome = ranks.known_to_all(train(train_op, Some(logdir), mask_update_op, options))?;
    progress.finish();
    written?;
    Ok(outcome)
}

/// Says where a run that a signal ended can be taken up. Not every rank has had it.
fn stopped(outcome: &TrainOutcome, signals: &Signals, ranks: &Ranks) -> Result<Verdict> {
    let step = outcome.global_step;
    let saved = outcome.checkpoint.as_deref().unwrap_or(Path::new("nothing")).display();
    output::note(format_args!("stopped at global step {step}; saved {saved}"));
    Ok(Verdict::Signalled(ranks.highest(signals.number())?))
}

fn report(
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
        train: Figured::new("train", &measured.train.figures),
        test: Figured::new("test", &measured.test.figures),
        dense_test: Figured::new("dense_test", &measured.dense),
        test_loss: measured.test.loss,
        sparsity: total_sparsity(&layers),
        layers,
        steps_per_second,
        seconds: outcome.seconds,
        first_step_seconds,
        checkpoint: outcome.checkpoint.clone(),
    })
}

fn print(report: &Report, measured: &Measured, recipe: &Recipe, logdir: &Path) -> Result<()> {
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
    facts.extend(measured.train.figures.iter().map(|figure| line_of("train", figure)));
    let mut say = |name: &str, value: String| facts.push((name.to_owned(), value));
    say("data, model", format!("{}, {}", recipe.data, recipe.model));
    let steps = output::thousands(report.global_step);
    let (seconds, rate) = (report.seconds, report.steps_per_second);
    say("steps", format!("{steps} in {seconds:.1} s, {rate:.0} steps/s"));
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
    for (name, value) in facts {
        output::line(&format!("{name:<22} {value}"))?;
    }
    Ok(())
}

/// Makes the first free folder of `logs/<data>-001`, `-002`, ...; it stays if something comes into
/// it.
fn new_logdir(data: &str) -> Result<(PathBuf, MadeFolder)> {
    let name = data.split(':').next().unwrap_or(data);
    let logs = Path::new("logs");
    let mut number = 1;
    loop {
        let path = logs.join(format!("{name}-{number:03}"));
        if !path.exists() {
            let made = MadeFolder::create(&path).context("name a folder with --logdir")?;
            if made.made(&path) {
                return Ok((path, made));
            }
        }
        number += 1;
    }
}
