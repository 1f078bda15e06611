//! A device that is lost at any submission or wait: the run recovers within itself, bit for bit.
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::child::{trained, training, waiting};
use crate::layer::Layer;
use crate::needs::say;

const SOME: [u64; 9] = [1, 2, 3, 5, 8, 13, 21, 34, 50];

#[test]
fn a_run_recovers_from_a_loss_at_a_submission() {
    recovers("SUBMIT_LOST", training, SOME);
}

#[test]
fn a_run_recovers_from_a_loss_at_a_wait() {
    recovers("WAIT_LOST", waiting, SOME);
}

#[test]
#[ignore = "slow: every place of 50, some 80 s"]
fn a_run_recovers_from_a_loss_anywhere() {
    recovers("SUBMIT_LOST", training, 1..=50);
    recovers("WAIT_LOST", waiting, 1..=50);
}

#[test]
fn a_run_recovers_from_one_loss_after_the_other() {
    let Some(layer) = Layer::get() else { return };
    let folder = TempDir::new().unwrap();
    let [straight, lost] = ["straight", "lost"].map(|name| folder.path().join(name));
    layer.run(training(&straight), &[]);
    let run = layer.run(training(&lost), &[("SUBMIT_LOST", 18), ("TIMES", 3)]);
    assert_eq!((run.code, run.faults(), run.lines("lost: ").count()), (0, 3, 3), "{}", run.err);
    assert!(trained(&lost) == trained(&straight), "{}", run.err);
}

/// Runs `program` once for each of `places`, and loses the device there.
fn recovers(fault: &str, program: fn(&Path) -> Command, places: impl IntoIterator<Item = u64>) {
    let Some(layer) = Layer::get() else { return };
    let folder = TempDir::new().unwrap();
    let straight = folder.path().join("straight");
    layer.run(program(&straight), &[]);
    let (mut recoveries, mut runs) = (Vec::new(), Vec::new());
    for place in places {
        let logdir = folder.path().join(place.to_string());
        let run = layer.run(program(&logdir), &[(fault, place)]);
        assert_eq!(run.faults(), 1, "{fault} {place} is in the run: {}", run.err);
        assert_eq!((run.code, run.lines("lost: ").count()), (0, 1), "{fault} {place}: {}", run.err);
        assert!(trained(&logdir) == trained(&straight), "{fault} {place}: {}", run.err);
        recoveries.push(run.recovery());
        runs.push(run.seconds);
    }
    say(&format!(
        "{fault}: {} runs recovered; {} from the loss to the next start; {} for the whole run",
        runs.len(),
        spread(recoveries),
        spread(runs),
    ));
}

fn spread(mut seconds: Vec<f64>) -> String {
    seconds.sort_unstable_by(f64::total_cmp);
    let (median, max) = (seconds[seconds.len() / 2], seconds[seconds.len() - 1]);
    format!("median {median:.3} s, max {max:.3} s")
}
