//! `secateur sweep`: a process a run, so that one that fails takes no other with it.
mod grid;
mod trainer;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use secateur::report::{Group, Sweep, Trial, TrialOutcome};
use secateur::train::Recipe;
use serde::Serialize;

use super::args::Sweep as Args;
use super::ranks::Ranks;
use super::signals::Signals;
use super::subject::Subject;
use super::{Verdict, output};
use trainer::Ended;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    logdir: &'a Path,
    #[serde(flatten)]
    sweep: &'a Sweep,
    groups: &'a [Group],
    files: &'a [PathBuf],
}

pub fn run(args: &Args, ranks: &Ranks) -> Result<Verdict> {
    ensure!(
        ranks.size() == 1,
        "a sweep is started once, without a launcher: each of its runs is a process of its own"
    );
    let axes = grid::axes(args)?;
    let base = grid::base(args, &args.recipe)?;
    let mut runs = grid::runs(&base, &axes, args.seeds)?;
    for (_, recipe) in runs.iter_mut().filter(|(_, recipe)| recipe.init.is_some()) {
        // Its fingerprint and its layers are part of what tells runs apart.
        Subject::of(recipe)?;
    }
    let stem = args.recipe.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let logdir = args.logdir.clone().unwrap_or_else(|| format!("logs/sweep-{stem}").into());
    let states = runs
        .iter()
        .map(|(trial, recipe)| state(&logdir.join(&trial.name), recipe))
        .collect::<Result<Vec<_>>>()?;
    if args.plan {
        return plan(args, &runs, &states);
    }
    let signals = Signals::listen()?;
    let name = logdir.file_name().unwrap_or(logdir.as_os_str()).to_string_lossy();
    let axes = axes.into_iter().map(|axis| axis.key).collect();
    let mut sweep = Sweep::new(&name, &args.recipe.display().to_string(), axes);
    sweep.trials = runs.iter().map(|(trial, _)| trial.clone()).collect();
    for (trial, state) in sweep.trials.iter_mut().zip(&states) {
        trial.outcome = state.done.clone();
    }
    let mut files = Vec::new();
    for (at, (trial, recipe)) in runs.iter().enumerate() {
        let folder = logdir.join(&trial.name);
        let of = format!("{} of {}: {}", at + 1, runs.len(), trial.name);
        if sweep.trials[at].outcome.is_some() {
            output::note(format_args!("{of}: done before"));
            continue;
        }
        output::note(format_args!("{of}{}", if states[at].begun { ": goes on" } else { "" }));
        recipe.write(&folder)?;
        match trainer::train(args, &folder, &signals)? {
            Ended::Well => match TrialOutcome::read(&folder) {
                Ok(Some(outcome)) => sweep.trials[at].outcome = Some(outcome),
                Ok(None) => sweep.trials[at].failed = Some("it left no result".to_owned()),
                Err(e) => sweep.trials[at].failed = Some(e.to_string()),
            },
            Ended::Badly(why) => {
                output::note(format_args!("{}: {why}", trial.name));
                sweep.trials[at].failed = Some(why);
            }
            Ended::Signalled(number) => {
                sweep.write(&logdir)?;
                output::note("stopped; the same command goes on from here");
                return Ok(Verdict::Signalled(number));
            }
        }
        files = sweep.write(&logdir)?;
    }
    if files.is_empty() {
        files = sweep.write(&logdir)?;
    }
    told(args, &logdir, &sweep, &files)?;
    let failed = sweep.trials.iter().filter(|trial| trial.outcome.is_none());
    let failed: Vec<&str> = failed.map(|trial| trial.name.as_str()).collect();
    ensure!(
        failed.is_empty(),
        "{} of {} runs failed: {}; the same command tries them again",
        failed.len(),
        sweep.trials.len(),
        failed.join(", ")
    );
    Ok(Verdict::Done)
}

/// How far a run has come.
#[derive(Debug, Default)]
struct State {
    /// What it came to, where it has ended.
    done: Option<TrialOutcome>,
    /// There is a checkpoint to go on from.
    begun: bool,
}

/// How far the run of `recipe` in `folder` has come.
///
/// # Errors
/// Where the run there is of other settings.
fn state(folder: &Path, recipe: &Recipe) -> Result<State> {
    let path = folder.join("recipe.toml");
    if !path.is_file() {
        return Ok(State::default());
    }
    let there = Recipe::read(&path)?;
    let other = there.differences(recipe).into_iter().filter(|d| !d.keeps_run);
    let other: Vec<String> = other.map(|difference| difference.to_string()).collect();
    // A run can go on for more steps, but it cannot take any back.
    let longer = there.steps > recipe.steps;
    if !other.is_empty() || longer {
        let steps = format!("steps {} -> {}", there.steps, recipe.steps);
        let other = if longer { [&other[..], &[steps]].concat() } else { other };
        bail!(
            "{} is of a run with other settings: {}; choose another --logdir",
            folder.display(),
            other.join(", ")
        );
    }
    let begun = secateur::checkpoint::is_in(folder);
    let result = folder.join(secateur::report::RESULT_FILE);
    if !result.is_file() {
        return Ok(State { done: None, begun });
    }
    let text = std::fs::read_to_string(&result)?;
    let result: serde_json::Value = serde_json::from_str(&text)
        .with_context(|| format!("{} is damaged; remove it", result.display()))?;
    let same = result["fingerprint"].as_str() == Some(&recipe.fingerprint());
    let done = match same && result["complete"].as_bool() == Some(true) {
        true => TrialOutcome::read(folder)?,
        false => None,
    };
    Ok(State { done, begun })
}

/// Says which runs there would be.
fn plan(args: &Args, runs: &[(Trial, Recipe)], states: &[State]) -> Result<Verdict> {
    let state = |state: &State| match (&state.done, state.begun) {
        (Some(_), _) => "done",
        (None, true) => "goes on",
        (None, false) => "to do",
    };
    let named = runs.iter().zip(states).map(|((trial, _), s)| (trial, state(s)));
    if args.common.json {
        let named: Vec<_> = named.collect();
        let runs: Vec<_> = named
            .iter()
            .map(|(t, state)| serde_json::json!({"name": t.name, "seed": t.seed, "state": state}))
            .collect();
        output::json(&serde_json::json!({"plan": true, "runs": runs}))?;
        return Ok(Verdict::Done);
    }
    let rows = named.map(|(trial, state)| vec![trial.name.clone(), state.to_owned()]).collect();
    output::table(&["run", "state"], 2, rows)?;
    Ok(Verdict::Done)
}

/// The table of all settings.
fn told(args: &Args, logdir: &Path, sweep: &Sweep, files: &[PathBuf]) -> Result<()> {
    let groups = sweep.groups();
    if args.common.json {
        return output::json(&Report { logdir, sweep, groups: &groups, files });
    }
    let figure = groups.iter().map(|group| group.figure.as_str()).find(|name| !name.is_empty());
    let head = Group::head(&sweep.axes, figure.unwrap_or_default());
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let rows = groups.iter().map(|group| group.row(&sweep.axes)).collect();
    output::table(&head, sweep.axes.len(), rows)?;
    let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
    output::line(&names.join(", "))
}
