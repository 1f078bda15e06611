//! `secateur report`, and the pages that other commands make in the end.
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use secateur::report::{self, Page, RESULT_FILE};
use secateur::storage::replace;
use secateur::train::Recipe;
use serde::Serialize;

use super::args::Report as Args;
use super::{Verdict, output, program};

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    runs: Vec<PathBuf>,
    output: PathBuf,
    bytes: u64,
}

pub fn run(args: &Args) -> Result<Verdict> {
    let output = args.output.clone().unwrap_or_else(|| report::default_output(&args.runs));
    ensure!(
        args.force || !output.exists() || is_page(&output),
        "{} is there, and is no report of secateur: name another file with -o, or replace it with \
         --force",
        output.display()
    );
    let page = Page::of(&args.runs)?;
    page.write(&output)?;
    let bytes = page.html().len() as u64;
    if args.json {
        output::json(&Report { runs: args.runs.clone(), output, bytes })?;
    } else {
        output::line(&format!("{} ({} bytes)", output.display(), output::thousands(bytes)))?;
    }
    Ok(Verdict::Done)
}

/// Whether the file at `path` is a page of this program, whatever version wrote it.
fn is_page(path: &Path) -> bool {
    let mut head = [0; 1024];
    let read = File::open(path).and_then(|file| file.take(1024).read(&mut head));
    let head = String::from_utf8_lossy(&head[..read.unwrap_or(0)]).into_owned();
    head.contains("<meta name=\"generator\" content=\"secateur ")
}

/// What the result of a run says besides its report.
#[derive(Debug, Serialize)]
struct CameTo<'a, T> {
    /// Of the recipe.
    fingerprint: String,
    /// Whether the run has taken all steps of its recipe.
    complete: bool,
    /// The command line.
    arguments: Vec<String>,
    #[serde(flatten)]
    report: &'a T,
}

/// Leaves what a run came to in its logdir, for its page and for sweeps. A call that took no step
/// changes nothing of an earlier one's.
pub fn result(logdir: &Path, recipe: &Recipe, steps: [u64; 2], report: &impl Serialize) {
    let [taken, reached] = steps;
    let path = logdir.join(RESULT_FILE);
    if taken == 0 && path.is_file() {
        return;
    }
    let (fingerprint, complete) = (recipe.fingerprint(), reached >= recipe.steps);
    let arguments = program::arguments().to_vec();
    let result = CameTo { fingerprint, complete, arguments, report };
    let written = serde_json::to_string_pretty(&result)
        .context("what came out is no JSON")
        .and_then(|text| Ok(replace(&path, text.as_bytes())?));
    said(written);
}

/// Makes the page of a run. That it cannot be written ends nothing.
pub fn of_run(logdir: &Path) {
    let page = Page::of(&[logdir.to_owned()]);
    said(page.and_then(|page| page.write(&logdir.join(report::PAGE_FILE))).map_err(Into::into));
}

/// Makes the page of a folder that was pruned, beside it, and leaves the numbers that it is made of.
pub fn of_pruning(folder: &Path, numbers: &impl Serialize) {
    let write = || {
        let text = serde_json::to_string_pretty(numbers)?;
        replace(&report::numbers_of(folder), text.as_bytes())?;
        Page::of(&[report::numbers_of(folder)])?.write(&report::page_of(folder))?;
        Ok(())
    };
    said(write());
}

/// Takes away what a run came to, where it goes on: it has not yet come to its end.
pub fn goes_on(logdir: &Path) {
    fs::remove_file(logdir.join(RESULT_FILE)).ok();
}

fn said(written: Result<()>) {
    if let Err(e) = written {
        output::note(format_args!("no report: {e:#}"));
    }
}
