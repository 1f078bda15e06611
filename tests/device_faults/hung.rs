//! A device that hangs: an error after the timeout, and a program that ends.
use std::process::Command;

use tempfile::TempDir;

use crate::child::waiting;
use crate::layer::{Layer, Run};
use crate::needs::say;

const TIMEOUT: u64 = 1;

#[test]
fn a_device_that_hangs_at_a_submission_is_given_up() {
    submissions([1, 8, 21]);
}

#[test]
fn a_device_that_hangs_at_a_wait_is_given_up() {
    waits([1, 8, 34]);
}

#[test]
#[ignore = "slow: 32 places, some 50 s"]
fn a_device_that_hangs_anywhere_is_given_up() {
    submissions((1..=31).step_by(2));
    waits((1..=46).step_by(3));
}

/// The command line, on a device that hangs at each of `places` in turn.
fn submissions(places: impl IntoIterator<Item = u64>) {
    let Some(layer) = Layer::get() else { return };
    let folder = TempDir::new().unwrap();
    let program = |logdir: &str| {
        let mut command = Command::new(crate::paths::program());
        let train = "train --model mlp:16 --batch 32 --steps 40 --pruning pruning_frequency=5";
        command.args(train.split(' ')).arg("--logdir").arg(folder.path().join(logdir));
        command
    };
    // Whose shaders are compiled: that may take longer than the timeout.
    layer.run(program("before"), &[]);
    let hang = |place| {
        let mut command = program("run");
        command.env("SECATEUR_TIMEOUT", TIMEOUT.to_string());
        layer.run(command, &[("SUBMIT_HANG", place)])
    };
    given_up("submissions", places.into_iter().map(hang).collect());
}

/// A program that waits in each step.
fn waits(places: impl IntoIterator<Item = u64>) {
    let Some(layer) = Layer::get() else { return };
    layer.run(waiting(TempDir::new().unwrap().path()), &[]);
    let hang = |place| {
        let folder = TempDir::new().unwrap();
        let mut command = waiting(folder.path());
        command.env("SECATEUR_TIMEOUT", TIMEOUT.to_string());
        layer.run(command, &[("WAIT_HANG", place)])
    };
    given_up("waits", places.into_iter().map(hang).collect());
}

fn given_up(at: &str, runs: Vec<Run>) {
    for run in &runs {
        assert_eq!(run.faults(), 1, "{}", run.err);
        assert!(run.error().contains("no answer within 1 s; it hangs"), "{}", run.err);
        assert!(run.error().contains("SECATEUR_TIMEOUT"), "{}", run.err);
    }
    let longest = runs.iter().map(Run::fatality).fold(0.0, f64::max);
    say(&format!(
        "{} {at} hung: the program ended at most {longest:.3} s after, at a timeout of {TIMEOUT} s",
        runs.len(),
    ));
}
