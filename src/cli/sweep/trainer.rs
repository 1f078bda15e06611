//! One run of a sweep, as a process.
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cli::args::Sweep as Args;
use crate::cli::program;
use crate::cli::signals::Signals;

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// Where a run's messages go, in its folder.
const LOG: &str = "train.log";

/// How a run ended.
#[derive(Debug)]
pub enum Ended {
    Well,
    /// With this message.
    Badly(String),
    /// A signal of this number asked the sweep to end, and the run has saved.
    Signalled(u8),
}

/// Trains the recipe in `folder` there, and waits for the end of it. A signal goes on to it, once.
pub fn train(args: &Args, folder: &Path, signals: &Signals) -> Result<Ended> {
    let log = folder.join(LOG);
    let errors = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = program::command()?;
    command.arg("train").arg("--logdir").arg(folder).args(["--no-baseline", "--json"]);
    let common = &args.common;
    let options = [
        ("--adapter", common.adapter.clone()),
        ("--adapter-index", common.adapter_index.map(|index| index.to_string())),
        ("--precision", common.precision.map(|precision| precision.to_string())),
        ("--memory-budget", common.memory_budget.map(|bytes| bytes.0.to_string())),
    ];
    for (name, value) in options {
        if let Some(value) = value {
            command.arg(name).arg(value);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
    // A terminal signals all processes of a group: this one hands on what it gets.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn().context("cannot start a run")?;
    let status = wait(&mut child, signals)?;
    if signals.stop().load(Ordering::Relaxed) {
        return Ok(Ended::Signalled(signals.number()));
    }
    Ok(match status.code() {
        Some(0) => Ended::Well,
        Some(code) => Ended::Badly(said(&log, &format!("it ended with {code}"))),
        // Somebody has killed the run, and not the sweep.
        None => Ended::Badly(said(&log, "it was killed")),
    })
}

fn wait(child: &mut Child, signals: &Signals) -> Result<ExitStatus> {
    let (stop, mut told) = (signals.stop(), false);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if stop.load(Ordering::Relaxed) && !std::mem::replace(&mut told, true) {
            // The run saves, and ends; elsewhere the console has told it.
            #[cfg(unix)]
            Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().ok();
        }
        thread::sleep(LOOK);
    }
}

/// The last message of a run, else `otherwise`.
fn said(log: &Path, otherwise: &str) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let last = text.lines().rfind(|line| line.starts_with("secateur: "));
    last.map_or_else(|| otherwise.to_owned(), |line| line["secateur: ".len()..].to_owned())
}
