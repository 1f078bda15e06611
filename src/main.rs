//! Parses, runs, and turns the outcome into an exit code; nothing else.
mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
