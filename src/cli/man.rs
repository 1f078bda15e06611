//! `secateur man`
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Command, CommandFactory};
use clap_mangen::Man as Page;
use secateur::storage::replace;

use super::args::{Args, Man};
use super::{Verdict, output};

pub fn run(args: &Man) -> Result<Verdict> {
    let pages = pages()?;
    let Some(folder) = &args.folder else {
        output::data(pages[0].1.trim_end())?;
        return Ok(Verdict::Done);
    };
    let paths: Vec<PathBuf> = pages.iter().map(|(name, _)| folder.join(name)).collect();
    // Before the first is written: all or none.
    for path in &paths {
        ensure!(
            args.force || !path.exists() || is_page(path),
            "{} is there, and is no manual page of secateur: name another folder, or replace it \
             with --force",
            path.display()
        );
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (path, (_, text)) in paths.iter().zip(&pages) {
        replace(path, text.as_bytes())?;
    }
    output::line(&format!("{} pages in {}", pages.len(), folder.display()))?;
    Ok(Verdict::Done)
}

/// Names of files and their texts, the main page first.
fn pages() -> Result<Vec<(String, String)>> {
    let mut main = Args::command().disable_help_subcommand(true);
    main.build();
    let mut pages = vec![page(main.clone())?];
    for command in main.get_subcommands() {
        pages.push(page(command.clone())?);
    }
    Ok(pages)
}

/// Pages are named by their command's words with hyphens between, as readers of manuals have it.
fn page(command: Command) -> Result<(String, String)> {
    let program = concat!("secateur ", env!("CARGO_PKG_VERSION"));
    let page = Page::new(command).source(program).manual("secateur");
    let mut text = Vec::new();
    page.render(&mut text)?;
    Ok((page.get_filename(), String::from_utf8(text)?))
}

/// Whether the file at `path` is a page of this program, whatever version wrote it.
fn is_page(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(1024).read_to_end(&mut head));
    read.is_ok() && String::from_utf8_lossy(&head).contains("\n.TH secateur")
}
