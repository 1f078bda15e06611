//! The page: first what came out, then how, then of what.
mod answer;
mod compare;
mod files;
mod learning;
mod pruning;
mod run;
mod time;

use std::path::{Path, PathBuf};

use super::html::{Esc, Html, put};
use super::logdir::Run;
use super::sweep::Sweep;
use super::{SWEEP_FILE, pruned};
use crate::storage::replace;
use crate::{Error, Result};

/// File name of a page in a logdir.
pub const PAGE_FILE: &str = "report.html";

/// A page about runs: one file, whole.
#[derive(Debug, Clone)]
pub struct Page {
    html: String,
}

impl Page {
    /// The page of the runs in `logdirs`, side by side where there are several. A folder may also
    /// be that of a sweep, or one that `secateur prune` has written.
    ///
    /// What of a logdir is missing or damaged is said on the page.
    ///
    /// # Errors
    /// [`Error::File`] for a folder that holds no run, [`Error::Io`] where it cannot be read,
    /// [`Error::Argument`] for no folder at all, or a sweep or pruning beside others.
    pub fn of(logdirs: &[PathBuf]) -> Result<Self> {
        if let [only] = logdirs {
            if only.join(SWEEP_FILE).is_file() {
                return Ok(Self::of_sweep(&Sweep::read(only)?));
            }
            if let Some(numbers) = pruned::numbers(only).filter(|_| !Run::is_at(only)) {
                return Ok(Self { html: pruned::page(&numbers)? });
            }
        }
        let runs: Vec<Run> = logdirs.iter().map(|path| Run::read(path)).collect::<Result<_>>()?;
        match &runs[..] {
            [] => Err(Error::argument("logdirs", "name the logdir of a run")),
            [run] => Ok(Self { html: of_one(run) }),
            _ => Ok(Self { html: compare::page(runs) }),
        }
    }

    /// The page of a sweep.
    pub fn of_sweep(sweep: &Sweep) -> Self {
        Self { html: super::sweep::page(sweep) }
    }

    /// Its text: HTML that is well-formed XML.
    pub fn html(&self) -> &str {
        &self.html
    }

    /// Writes it to `path`, in place of what is there.
    ///
    /// # Errors
    /// [`Error::Io`] names the file.
    pub fn write(&self, path: &Path) -> Result<()> {
        replace(path, self.html.as_bytes())
    }
}

/// A whole page: `sections` are the links at its top, as id and name.
pub(super) fn document(
    title: &str,
    under: &str,
    sections: &[(&str, &str)],
    fill: impl FnOnce(&mut Html),
) -> String {
    let mut html = Html::default();
    put!(html, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n");
    put!(html, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n");
    put!(html, "<meta name=\"color-scheme\" content=\"light dark\"/>\n");
    put!(html, "<meta name=\"generator\" content=\"secateur {}\"/>\n", env!("CARGO_PKG_VERSION"));
    // Without one browsers ask a server for it.
    put!(html, "<link rel=\"icon\" href=\"data:,\"/>\n");
    put!(
        html,
        "<title>{}</title>\n<style>\n{}</style>\n",
        Esc(title),
        include_str!("../style.css")
    );
    put!(html, "</head>\n<body>\n<a class=\"skip\" href=\"#main\">To the content</a>\n<header>\n");
    put!(html, "<h1>{}</h1>\n", Esc(title));
    html.p("sub", under);
    if sections.len() > 1 {
        put!(html, "<nav aria-label=\"Sections\"><ul>\n");
        for (id, name) in sections {
            put!(html, "<li><a href=\"#{id}\">{}</a></li>\n", Esc(name));
        }
        put!(html, "</ul></nav>\n");
    }
    put!(html, "</header>\n<main id=\"main\">\n");
    fill(&mut html);
    put!(
        html,
        "</main>\n<footer>Made by secateur {} from files alone; ",
        env!("CARGO_PKG_VERSION")
    );
    put!(html, "nothing here loads anything.</footer>\n</body>\n</html>\n");
    html.into_text()
}

fn of_one(run: &Run) -> String {
    let mut sections = vec![("learning", "Learning"), ("pruning", "Pruning")];
    sections.extend([("time", "Time"), ("files", "Files"), ("run", "The run")]);
    document(&format!("Run {}", run.name), &run::under(run), &sections, |html| {
        answer::tiles(html, run);
        if !run.missing.is_empty() {
            let rows: Vec<_> = run.missing.iter().map(|what| vec![what.clone()]).collect();
            html.table("What could not be read", &["file and reason"], &rows);
        }
        html.section("learning", "Learning", |html| learning::charts(html, run));
        html.section("pruning", "Pruning", |html| pruning::fill(html, run));
        html.section("time", "Time", |html| time::fill(html, run));
        html.section("files", "Files", |html| files::fill(html, run));
        html.section("run", "The run", |html| run::fill(html, run));
    })
}
