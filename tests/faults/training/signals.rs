//! Signals to the program, and how long it takes them. A second one is in `held`; what they leave
//! to be resumed is in `tests/cli/signals.rs`.
use std::io::{self, PipeReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use secateur::checkpoint::newest;

use super::trainee::{adapter, lines};
use crate::needs::say;
use crate::paths;

/// The program at work; killed when dropped.
pub struct Program {
    pub child: Child,
    pub lines: Box<dyn Iterator<Item = String>>,
}

impl Program {
    /// `train` with more arguments, once it has begun.
    fn train(folder: &Path, args: &str) -> Self {
        let (child, pipe) = Self::spawn(folder, args);
        let mut this = Self { child, lines: Box::new(lines(pipe)) };
        this.says("from step");
        this
    }

    /// The same at its start, and what it says.
    pub fn spawn(folder: &Path, args: &str) -> (Child, PipeReader) {
        let (pipe, stderr) = io::pipe().unwrap();
        let mut command = Command::new(paths::program());
        command.arg("train").args(args.split_whitespace()).args(["--logdir", "run"]);
        // With an empty cache a first step may take many seconds.
        command.current_dir(folder).env("HOME", folder).env("XDG_CACHE_HOME", paths::cache());
        (command.stderr(stderr).spawn().unwrap(), pipe)
    }

    /// Waits for a line with `text`.
    pub fn says(&mut self, text: &str) {
        let found = self.lines.find(|line| line.contains(text));
        assert!(found.is_some(), "it never said `{text}`");
    }

    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end: exit code, or that of a shell for a death by signal, and last lines.
    pub fn end(mut self) -> (i32, Vec<String>) {
        let rest = self.lines.by_ref().collect();
        let status = self.child.wait().unwrap();
        (status.code().or(status.signal().map(|n| -n)).unwrap(), rest)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_terminated_run_saves_and_is_out() {
    terminate(2);
}

#[test]
#[ignore = "slow: 10 runs"]
fn ten_terminated_runs_save_and_are_out() {
    terminate(10);
}

/// SIGTERM at a random moment of so many runs.
fn terminate(runs: usize) {
    if !adapter() {
        return;
    }
    let mut random = ChaCha8Rng::seed_from_u64(runs as u64);
    let mut times = Vec::new();
    for _ in 0..runs {
        let dir = tempfile::tempdir().unwrap();
        let mut program = Program::train(dir.path(), "--model mlp:32 --steps 30000");
        // A save on request, and it trains on.
        program.signal("-USR1");
        program.says("saved run/ckpt-");
        sleep(Duration::from_micros(random.next_u64() % 300_000));
        let sent = Instant::now();
        program.signal("-TERM");
        let (code, said) = program.end();
        times.push(sent.elapsed().as_secs_f64());
        assert_eq!(code, 143, "{said:?}");
        let found = newest(&dir.path().join("run")).unwrap().expect("a checkpoint");
        let stopped = format!("stopped at global step {};", found.manifest.global_step);
        assert!(said.iter().any(|line| line.contains(&stopped)), "{stopped} {said:?}");
    }
    times.sort_unstable_by(f64::total_cmp);
    let (median, most) = (times[runs / 2], times[runs - 1]);
    say(&format!("SIGTERM to exit: median {median:.3} s, at most {most:.3} s, of {runs}"));
    assert!(most < 10.0, "{times:?}");
}
