//! Floor 11: the command line. Results go to standard output, progress and logs to standard error.
mod adapter;
mod advice;
mod args;
mod bench;
mod calibrated;
mod completions;
mod dashboard;
mod data;
mod devices;
mod eval;
mod exchange;
mod export;
mod fastest;
mod figures;
mod gguf;
mod given;
mod inspect;
mod man;
mod measured;
mod model;
mod modelled;
#[cfg(test)]
#[path = "../../tests/common/needs.rs"]
mod needs;
mod output;
mod pack;
mod page;
mod plan;
mod predict;
mod pretrained;
mod program;
mod progress;
mod prune;
mod ranking;
mod ranks;
mod recipe;
mod replicas;
mod report;
mod selftest;
mod signals;
mod sparse;
mod speed;
mod stripped;
mod subject;
mod sweep;
mod train;
mod watch;

use std::ffi::OsString;
use std::io::{ErrorKind, IsTerminal};
use std::panic::{AssertUnwindSafe, catch_unwind};

use clap::Parser;
use secateur::Error;
use secateur::comm::EXIT_PANIC;

use args::{Args, Command};
use ranks::Ranks;

/// Ran, but missed a check that was stated.
const MISSED: u8 = 1;
/// Wrong usage, or an error.
const FAILED: u8 = 2;
/// A defect: the program panicked.
const PANICKED: u8 = EXIT_PANIC as u8;
/// The device was lost, and again when it was opened afresh.
const DEVICE_LOST: u8 = 72;
/// Checkpoints are there, but none is valid.
const NO_VALID_CHECKPOINT: u8 = 73;
/// Another process works in the logdir.
const LOCKED: u8 = 74;

/// A signal ended the run: its number is added, as shells do.
const SIGNALLED: u8 = 128;

/// How a command that ran to its end did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Done,
    /// A check stated on the command line was missed.
    Missed,
    /// A signal of this number ended the run, after a checkpoint.
    Signalled(u8),
}

impl Verdict {
    /// Whether a test accuracy reaches the one that was stated, if one was.
    ///
    /// # Errors
    /// Where one is stated and the answers are no classes.
    fn of(accuracy: Option<f64>, stated: Option<f64>) -> anyhow::Result<Self> {
        match (stated, accuracy) {
            (Some(least), Some(accuracy)) if accuracy < least => {
                output::note(format_args!("test accuracy {accuracy} is below the stated {least}"));
                Ok(Self::Missed)
            }
            (Some(_), None) => {
                anyhow::bail!("--min-test-accuracy is for classes; what is predicted here is not")
            }
            _ => Ok(Self::Done),
        }
    }
}

/// The exit code of the command line `args`, whose first word is the program's name. What it asks
/// of the parser alone, like `--help`, ends the process. `program` starts this program once more,
/// where its executable alone does not.
pub fn run(args: impl IntoIterator<Item = OsString>, program: Vec<OsString>) -> u8 {
    program::starts_by(program);
    let args: Vec<OsString> = args.into_iter().collect();
    program::called_with(&args);
    let args = Args::parse_from(args);
    log::set_logger(&StderrLogger).expect("the only logger");
    // On a terminal the progress bar says it all.
    let quiet = std::io::stderr().is_terminal();
    log::set_max_level(if quiet { log::LevelFilter::Warn } else { log::LevelFilter::Info });
    let command = args.command.unwrap_or_default();
    let trains = matches!(command, Command::Train(_) | Command::Sweep(_));
    let several = match &command {
        Command::Train(_) | Command::Sweep(_) => true,
        Command::Bench(bench) => bench.exchange,
        _ => false,
    };
    let mut ranks = Ranks::default();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        if several {
            ranks = Ranks::connect()?;
        }
        dispatch(command, &ranks)
    }));
    let Ok(outcome) = outcome else {
        // The hook has said what there is to say. Other ranks would wait for ever.
        ranks.panicked(PANICKED);
        return PANICKED;
    };
    let outcome = match outcome {
        // Nobody reads on.
        Err(e) if code(&e).is_none() => Ok(Verdict::Done),
        outcome => outcome,
    };
    // The chief may have been busy for longer.
    let outcome = outcome.and_then(|verdict| ranks.meet().map(|()| verdict));
    match outcome {
        Ok(Verdict::Done) => 0,
        Ok(Verdict::Missed) => MISSED,
        Ok(Verdict::Signalled(number)) => SIGNALLED + number,
        Err(e) => {
            let code = code(&e).unwrap_or(FAILED);
            ranks.fail(&e, &format!("secateur: {}", said(&e, trains)), code);
            code
        }
    }
}

fn dispatch(command: Command, ranks: &Ranks) -> anyhow::Result<Verdict> {
    // Training takes the signals itself, once it can save, and a sweep hands them on.
    if !matches!(command, Command::Train(_) | Command::Sweep(_)) {
        signals::Signals::leave_nothing()?;
    }
    match command {
        Command::Train(args) => train::run(&args, ranks),
        Command::Eval(args) => eval::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Generate(args) => pretrained::generate(&args),
        Command::Export(args) => export::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Prune(args) => prune::run(&args),
        Command::Report(args) => page::run(&args),
        Command::Sweep(args) => sweep::run(&args, ranks),
        Command::Devices(args) => devices::run(&args),
        Command::SelfTest(args) => selftest::run(&args),
        Command::Bench(args) => bench::run(&args, ranks),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}

/// An error and its causes; the library's own say their cause themselves. Advice that only training
/// can follow is for training.
fn said(error: &anyhow::Error, trains: bool) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    if !trains {
        text = text.replace(", recompute activations (`recompute`)", "");
        text = text.replace("`do_not_prune`", "--exclude").replace("do_not_prune", "--exclude");
    }
    as_here(text)
}

/// A message of the library with the names that the command line has for things.
fn as_here(text: String) -> String {
    let names = [
        ("`number_of_steps`", "--steps"),
        ("`batch_size`", "--batch"),
        ("`categories`", "--categories"),
        ("`no_header`", "--no-header"),
        ("`drop_missing`", "--drop-missing"),
        ("`ignore` ", "--ignore "),
        ("(override_run)", "(--override)"),
        ("(drop_masks)", "(--drop-masks)"),
        ("`share_adapter`", "--share-adapter"),
        ("`replicas_to_aggregate`", "--replicas-to-aggregate"),
    ];
    names.iter().fold(text, |text, (library, here)| text.replace(library, here))
}

/// Exit code of an error; none for a closed pipe, which is no error.
fn code(error: &anyhow::Error) -> Option<u8> {
    if let Some(io) = error.downcast_ref::<std::io::Error>()
        && io.kind() == ErrorKind::BrokenPipe
    {
        return None;
    }
    Some(match error.downcast_ref::<Error>() {
        Some(Error::NoValidCheckpoint { .. }) => NO_VALID_CHECKPOINT,
        Some(Error::Locked { .. }) => LOCKED,
        Some(Error::DeviceLost(_)) => DEVICE_LOST,
        _ => FAILED,
    })
}

/// The library's log lines, on standard error.
struct StderrLogger;

impl log::Log for StderrLogger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("secateur")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let text = as_here(record.args().to_string());
            match record.level() {
                log::Level::Error => output::error(text),
                _ => output::note(text),
            }
        }
    }

    fn flush(&self) {}
}
