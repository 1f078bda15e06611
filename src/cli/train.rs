//! `secateur train`
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use secateur::data::{Batches, Prefetch, Split};
use secateur::gpu::Gpu;
use secateur::nn::{Figures, Metric};
use secateur::prune::MaskUpdateOp;
use secateur::session::Evaluation;
use secateur::storage::MadeFolder;
use secateur::train::{End, Event, Recipe, TrainOp, TrainOutcome, train};

use super::args::Train;
use super::dashboard::Board;
use super::model::misfit;
use super::plan;
use super::progress::{Look, Progress};
use super::ranks::Ranks;
use super::recipe::{Asked, begin};
use super::report::{Measured, print, report};
use super::signals::Signals;
use super::subject::Subject;
use super::{Verdict, adapter, advice, export, output, page, recipe, watch};

pub fn run(args: &Train, ranks: &Ranks) -> Result<Verdict> {
    let (started, first_step) = (Instant::now(), OnceLock::new());
    let on_step = || {
        first_step.get_or_init(|| started.elapsed().as_secs_f64());
    };
    ranks.agree(args)?;
    if args.init_recipe {
        output::lines(&recipe::written(args)?.commented())?;
        return Ok(Verdict::Done);
    }
    if args.recipe_schema {
        output::data(&serde_json::to_string_pretty(&Recipe::schema())?)?;
        return Ok(Verdict::Done);
    }
    let asked = recipe::of(args, ranks)?;
    let Asked { recipe, data, subject, continues, past } = &asked;
    let continues = *continues;
    let network = || subject.network(recipe, &data.train);
    let mask_update_op = subject.mask_update_op(recipe, network, past.as_ref(), args.drop_masks)?;
    check(args, &asked)?;
    if args.plan {
        return match ranks.is_chief() {
            true => plan::print(&args.common, &asked, &mask_update_op),
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
        let plan = plan::of(&asked, &mask_update_op, gpu.target())?;
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
    if recipe.pruning.is_none() && subject.folder().is_none() && !continues {
        output::note("no pruning asked for: dense training");
    }
    advice::of_scale(&data.train);
    let data = &subject.taught(&gpu, data)?;
    let (signals, look) = (Signals::listen()?, Look::of(args.tui));
    let perplexity = |of: &Evaluation| {
        let of_text = of.figures.get(Metric::CrossEntropy).unwrap_or(of.loss);
        subject.has_perplexity().then(|| of_text.exp())
    };
    let (mut dense, mut dense_perplexity) = (Figures::default(), None);
    if baseline && recipe.pruning.is_some() {
        let dense_recipe = recipe.clone().pruning(None).trace_every_n_steps(None);
        // Known from here on, though only the baseline may come to its end.
        let whole = Some((recipe, &*logdir));
        let (recipe, logdir) = (&dense_recipe, &*logdir.join("dense"));
        let (label, trace, on_step) = ("dense", false, &on_step);
        let job = Job { recipe, subject, logdir, whole, label, trace, look, args, ranks, on_step };
        let outcome = train_one(&gpu, &job, MaskUpdateOp::none(), data, &signals)?;
        // Another one than before, where the device was lost.
        gpu = outcome.session.gpu().clone();
        if outcome.end == End::Stopped {
            return stopped(&outcome, &signals, ranks);
        }
        if ranks.is_chief() {
            let evaluation = outcome.session.evaluate(&data.test)?;
            (dense_perplexity, dense) = (perplexity(&evaluation), evaluation.figures);
        }
        // Nobody watches over ranks that wait for this.
        ranks.meet()?;
    }
    let label = if mask_update_op.spec().is_some() { "pruned" } else { "dense" };
    let job = Job {
        recipe,
        subject,
        logdir: &logdir,
        whole: None,
        label,
        trace: args.trace,
        look,
        args,
        ranks,
        on_step: &on_step,
    };
    let outcome = train_one(&gpu, &job, mask_update_op, data, &signals).inspect_err(|_| {
        // Of a run that has begun.
        if ranks.is_chief() && recipe::is_in(&logdir) {
            page::of_run(&logdir);
        }
    })?;
    if outcome.end == End::Stopped {
        if ranks.is_chief() {
            page::of_run(&logdir);
        }
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
    if let (Some(folder), Some(out)) = (subject.folder(), &args.output) {
        let job = export::job(recipe, &logdir, outcome.global_step);
        let mut average = |name: &str| outcome.session.average(name).map(Some);
        output::left_out(&folder.save(out, args.force, &job, &mut average)?.left_out);
    }
    let train = match subject.folder() {
        // Each row takes a pass through a large model.
        Some(_) => Figures::default(),
        // As many rows as the test set has: a forward pass over all of them can take longer than
        // the run.
        None => outcome.session.evaluate(&Arc::new(data.train.head(data.test.rows())?))?.figures,
    };
    let measured = Measured { train, test: outcome.session.evaluate(&data.test)?, dense };
    let mut report = report(&outcome, &measured, ranks, first_step.get().copied())?;
    (report.test_perplexity, report.dense_test_perplexity) =
        (perplexity(&measured.test), dense_perplexity);
    report.output.clone_from(&args.output);
    page::result(&logdir, recipe, [outcome.steps, outcome.global_step], &report);
    page::of_run(&logdir);
    if args.common.json {
        output::json(&report)?;
    } else {
        print(&report, &measured, recipe, &logdir)?;
    }
    Verdict::of(measured.test.accuracy(), args.min_test_accuracy)
}

/// What the options must be to each other, and the output to what is there.
fn check(args: &Train, asked: &Asked) -> Result<()> {
    let alone = args.replicas.replicas_to_aggregate.is_none() && !args.replicas.async_;
    ensure!(
        asked.recipe.accumulate < 2 || alone,
        "--accumulate {}: each rank adds up so many gradients for an update of all; leave out \
         --replicas-to-aggregate and --async",
        asked.recipe.accumulate
    );
    ensure!(
        !args.baseline || asked.recipe.pruning.is_some() || asked.subject.folder().is_none(),
        "--baseline: nothing is pruned by a schedule, so a dense network would be no comparison; \
         give --sparsity or --pruning, or leave it out"
    );
    match (&args.output, asked.subject.folder()) {
        (Some(output), Some(folder)) => Ok(folder.check_save(output, args.force)?),
        (Some(output), None) => bail!(
            "-o {}: is for --init FOLDER; secateur export writes a checkpoint's weights to a file",
            output.display()
        ),
        (None, _) => Ok(()),
    }
}

/// One of the runs of the command.
struct Job<'a> {
    recipe: &'a Recipe,
    subject: &'a Subject,
    logdir: &'a Path,
    /// Of a baseline the recipe and the logdir of the run that it is for.
    whole: Option<(&'a Recipe, &'a Path)>,
    label: &'static str,
    /// Whether to trace a step of it.
    trace: bool,
    look: Look,
    args: &'a Train,
    ranks: &'a Ranks,
    /// Told of every step that is done.
    on_step: &'a (dyn Fn() + Sync),
}

fn train_one(
    gpu: &Gpu,
    job: &Job<'_>,
    mask_update_op: MaskUpdateOp,
    data: &Split,
    signals: &Signals,
) -> Result<TrainOutcome> {
    let &Job { recipe, subject, logdir, whole, label, trace, look, args, ranks, on_step } = job;
    let train_set = &data.train;
    let batches = Batches::new(Arc::clone(train_set), recipe.batch, Some(recipe.seed))?;
    let batches = batches.drop_last(recipe.drop_last)?;
    let batches = Prefetch::new(batches.augment(true).streams(train_set.is_text()));
    let network = subject.network(recipe, train_set)?;
    let mut train_op = TrainOp::from_network(gpu, network, recipe.training(), batches, recipe.seed)
        .map_err(|e| misfit(e.into(), recipe, train_set))?;
    if recipe.accumulate > 1 {
        train_op = train_op.accumulate_gradients();
    }
    let subject_said = format!("{}, {}", recipe.data, recipe.model);
    let board = Board::new(label, recipe.steps).of(subject_said, gpu.report().name.clone());
    let mut progress = Progress::new(look, board, signals)?;
    let board = progress.board();
    let mut written = Ok(());
    let is_chief = ranks.is_chief();
    let terminal = std::io::stderr().is_terminal();
    let options = subject
        .options(recipe, args.drop_masks, ranks.options(&args.replicas))
        .number_of_steps(Some(recipe.steps))
        .stop(Some(signals.stop()))
        .save(Some(signals.save()))
        // Ten lines where there is no progress bar.
        .log_every_n_steps((!terminal).then_some((recipe.steps / 10).max(1)))
        .save_summaries_steps(Some((recipe.steps / 100).max(1)))
        .summary_op(watch::summaries(recipe, subject, &data.test, board)?)
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
                if *step < recipe.steps {
                    page::goes_on(logdir);
                }
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
