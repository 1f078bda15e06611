//! The arguments of `secateur completions` and `secateur man`.
use std::path::PathBuf;

use clap::Args as ClapArgs;
use clap_complete::Shell;

pub const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  secateur completions bash > ~/.local/share/bash-completion/completions/secateur
  secateur completions fish > ~/.config/fish/completions/secateur.fish";

pub const MAN_EXAMPLES: &str = "\
Examples:
  secateur man | man -l -
  secateur man ~/.local/share/man/man1";

#[derive(Debug, ClapArgs)]
pub struct Completions {
    /// The shell.
    pub shell: Shell,
}

#[derive(Debug, ClapArgs)]
pub struct Man {
    /// Folder for the pages: secateur.1, and secateur-COMMAND.1 of each command. Without one the
    /// main page goes to standard output.
    pub folder: Option<PathBuf>,
    /// Replace files of these names that are there, though they are no pages of secateur.
    #[arg(long, requires = "folder")]
    pub force: bool,
}
