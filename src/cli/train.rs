//! `secateur train`
use std::cell::Cell;
use std::fs;
use std::io::{ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use secateur::data::{Batches, Dataset, Prefetch, Split};
use secateur::gpu::Gpu;
use secateur::prune::{LayerSparsity, MaskUpdateOp, Pruning, total_sparsity};
use secateur::train::{End, Event, TrainOp, TrainOptions, TrainOutcome, train};
use serde::Serialize;

use super::args::Train;
use super::plan::{self, MemoryReport};
use super::progress::Progress;
use super::recipe::Recipe;
use super::signals::Signals;
use super::{Verdict, data, output};

/// What `--json` prints. Accuracies and sparsities are fractions of 1.
#[derive(Debug, Serialize)]
struct Report {
    adapter: String,
    backend: String,
    global_step: u64,
    /// Of the last step of this call; null when the run was at its limit already.
    loss: Option<f32>,
    memory: MemoryReport,
    train_accuracy: f64,
    test_accuracy: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dense_test_accuracy: Option<f64>,
    sparsity: f64,
    layers: Vec<LayerSparsity>,
    steps_per_second: f64,
    seconds: f64,
    /// From the start of the command to the end of its first step; for people only.
    #[serde(skip)]
    first_step_seconds: Option<f64>,
    checkpoint: Option<PathBuf>,
}

pub fn run(args: &Train) -> Result<Verdict> {
    let (started, first_step) = (Instant::now(), Cell::new(None));
    let on_step = || {
        let seconds = first_step.get().unwrap_or_else(|| started.elapsed().as_secs_f64());
        first_step.set(Some(seconds));
    };
    let recipe = Recipe::of(args)?;
    let pruning = recipe.pruning.clone().map(Pruning::new).transpose()?;
    let data = data::open(&recipe.data, recipe.length)?;
    let mask_update_op =
        pruning.as_ref().map_or_else(MaskUpdateOp::none, Pruning::conditional_mask_update_op);
    if args.plan {
        return plan::print(&args.common, &recipe, &data, &mask_update_op);
    }
    let mut gpu = data::gpu(&args.common)?;
    let logdir = match &args.logdir {
        Some(logdir) => logdir.clone(),
        None => {
            // Refused before there is a folder.
            recipe.training().validate()?;
            mask_update_op.check_fires(0, recipe.steps, 0)?;
            let plan = plan::of(&recipe, &data, &mask_update_op, gpu.target())?;
            plan.check_budget(gpu.memory_budget())?;
            new_logdir(&recipe.data)?
        }
    };
    let adapter = gpu.report();
    let (name, backend, driver) = (&adapter.name, &adapter.backend, &adapter.driver);
    output::note(format_args!("adapter: {name} ({backend}, {driver})"));
    if pruning.is_none() {
        output::note("no pruning asked for: dense training");
    }
    let nothing_named = args.recipe.is_none() && args.data.is_none() && args.model.is_none();
    let baseline = args.baseline || (nothing_named && !args.no_baseline);
    let signals = Signals::listen()?;
    let mut dense_test_accuracy = None;
    if baseline && pruning.is_some() {
        let dense = Recipe { pruning: None, trace_every_n_steps: None, ..recipe.clone() };
        let (recipe, logdir) = (&dense, &*logdir.join("dense"));
        let job = Job { recipe, logdir, label: "dense", trace: false, on_step: &on_step };
        let outcome = train_one(&gpu, &job, MaskUpdateOp::none(), &data.train, &signals)?;
        // Another one than before, where the device was lost.
        gpu = outcome.session.gpu().clone();
        if outcome.end == End::Stopped {
            return Ok(stopped(&outcome, &signals));
        }
        dense_test_accuracy = Some(outcome.session.evaluate(&data.test)?.accuracy);
    }
    let label = if mask_update_op.spec().is_some() { "pruned" } else { "dense" };
    let job = Job { recipe: &recipe, logdir: &logdir, label, trace: args.trace, on_step: &on_step };
    let outcome = train_one(&gpu, &job, mask_update_op, &data.train, &signals)?;
    if outcome.end == End::Stopped {
        return Ok(stopped(&outcome, &signals));
    }
    let report = report(&outcome, &data, dense_test_accuracy, first_step.get())?;
    if args.common.json {
        output::json(&report)?;
    } else {
        print(&report, &recipe, &logdir)?;
    }
    Ok(Verdict::of(report.test_accuracy, args.min_test_accuracy))
}

/// One of the runs of the command.
struct Job<'a> {
    recipe: &'a Recipe,
    logdir: &'a Path,
    label: &'static str,
    /// Whether to trace a step of it.
    trace: bool,
    /// Told of every step that is done.
    on_step: &'a dyn Fn(),
}

fn train_one(
    gpu: &Gpu,
    job: &Job<'_>,
    mask_update_op: MaskUpdateOp,
    train_set: &Arc<Dataset>,
    signals: &Signals,
) -> Result<TrainOutcome> {
    let &Job { recipe, logdir, label, trace, on_step } = job;
    let batches = Batches::new(Arc::clone(train_set), recipe.batch, Some(recipe.seed))?;
    let batches = batches.drop_last(recipe.drop_last)?;
    let batches = Prefetch::new(batches.augment(true).streams(train_set.is_text()));
    let train_op = TrainOp::new(gpu, &recipe.model, recipe.training(), batches, recipe.seed)?
        .recompute(recipe.recompute)?;
    let mut progress = Progress::new(label, recipe.steps);
    let mut written = Ok(());
    let terminal = std::io::stderr().is_terminal();
    let options = TrainOptions {
        number_of_steps: Some(recipe.steps),
        stop: Some(signals.stop()),
        save: Some(signals.save()),
        // Ten lines where there is no progress bar.
        log_every_n_steps: (!terminal).then_some((recipe.steps / 10).max(1)),
        save_summaries_steps: Some((recipe.steps / 100).max(1)),
        trace_every_n_steps: recipe.trace_every_n_steps,
        // The first step still pays for what later ones find ready.
        trace_step: trace.then_some(1),
        on_event: Some(Box::new(|event| {
            // Only now is the logdir this run's own: a refused run must not replace its recipe.
            if let Event::Start { .. } = event {
                written = recipe.write(logdir);
            }
            if let Event::Step(_) = event {
                on_step();
            }
            progress.event(event);
        })),
        ..Default::default()
    };
    let outcome = train(train_op, Some(logdir), mask_update_op, options)?;
    progress.finish();
    written.map(|()| outcome)
}

/// Says where a run that a signal ended can be taken up.
fn stopped(outcome: &TrainOutcome, signals: &Signals) -> Verdict {
    let step = outcome.global_step;
    let saved = outcome.checkpoint.as_deref().unwrap_or(Path::new("nothing")).display();
    output::note(format_args!("stopped at global step {step}; saved {saved}"));
    Verdict::Signalled(signals.number())
}

fn report(
    outcome: &TrainOutcome,
    data: &Split,
    dense_test_accuracy: Option<f64>,
    first_step_seconds: Option<f64>,
) -> Result<Report> {
    let adapter = outcome.session.gpu().report();
    let layers = outcome.session.layers()?;
    let steps_per_second =
        if outcome.steps == 0 { 0.0 } else { outcome.steps as f64 / outcome.seconds };
    Ok(Report {
        adapter: adapter.name.clone(),
        backend: adapter.backend.clone(),
        global_step: outcome.global_step,
        loss: outcome.loss,
        memory: outcome.session.memory().into(),
        // As many rows as the test set has: a forward pass over all of them can take longer than the run.
        train_accuracy: outcome
            .session
            .evaluate(&Arc::new(data.train.head(data.test.rows())?))?
            .accuracy,
        test_accuracy: outcome.session.evaluate(&data.test)?.accuracy,
        dense_test_accuracy,
        sparsity: total_sparsity(&layers),
        layers,
        steps_per_second,
        seconds: outcome.seconds,
        first_step_seconds,
        checkpoint: outcome.checkpoint.clone(),
    })
}

fn print(report: &Report, recipe: &Recipe, logdir: &Path) -> Result<()> {
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
    let mut facts = vec![("test accuracy", output::percent(report.test_accuracy))];
    if let Some(dense) = report.dense_test_accuracy {
        facts[0].0 = "test accuracy, pruned";
        facts.insert(0, ("test accuracy, dense", output::percent(dense)));
    }
    facts.push(("train accuracy", output::percent(report.train_accuracy)));
    facts.push(("data, model", format!("{}, {}", recipe.data, recipe.model)));
    facts.push((
        "steps",
        format!(
            "{} in {:.1} s, {:.0} steps/s",
            output::thousands(report.global_step),
            report.seconds,
            report.steps_per_second
        ),
    ));
    if let Some(seconds) = report.first_step_seconds {
        facts.push(("first step done", format!("{seconds:.2} s after the start")));
    }
    facts.push(("adapter", format!("{} ({})", report.adapter, report.backend)));
    facts.push(("files", logdir.display().to_string()));
    for (name, value) in facts {
        output::line(&format!("{name:<22} {value}"))?;
    }
    Ok(())
}

/// Makes the first free folder of `logs/<data>-001`, `-002`, ...
fn new_logdir(data: &str) -> Result<PathBuf> {
    let name = data.split(':').next().unwrap_or(data);
    let logs = Path::new("logs");
    fs::create_dir_all(logs).context("cannot create logs; name a folder with --logdir")?;
    let mut number = 1;
    loop {
        let path = logs.join(format!("{name}-{number:03}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(e) => return Err(e).with_context(|| format!("cannot create {}", path.display())),
        }
    }
}
