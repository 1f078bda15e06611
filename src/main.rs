//! Parses, runs, and turns the outcome into an exit code; nothing else.
mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(cli::run(std::env::args_os(), Vec::new()))
}
