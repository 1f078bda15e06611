//! This program, as further processes of it are started.
use std::ffi::OsString;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result};

/// The words that start it, where the executable alone is another program.
static WORDS: OnceLock<Vec<OsString>> = OnceLock::new();

/// Says which words start it; none where its executable does.
pub fn starts_by(words: Vec<OsString>) {
    WORDS.get_or_init(|| words);
}

/// What it was called with, behind its name.
static ARGUMENTS: OnceLock<Vec<String>> = OnceLock::new();

/// Notes what it was called with: in Python the words of the process are others.
pub fn called_with(args: &[OsString]) {
    let text = |arg: &OsString| arg.to_string_lossy().into_owned();
    ARGUMENTS.get_or_init(|| args.iter().skip(1).map(text).collect());
}

/// What it was called with, behind its name.
pub fn arguments() -> &'static [String] {
    ARGUMENTS.get().map_or(&[], Vec::as_slice)
}

/// A process of it, without arguments yet.
pub fn command() -> Result<Command> {
    if let Some([program, words @ ..]) = WORDS.get().map(Vec::as_slice) {
        let mut command = Command::new(program);
        command.args(words);
        return Ok(command);
    }
    Ok(Command::new(std::env::current_exe().context("cannot find this program")?))
}
