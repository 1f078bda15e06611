//! Checkpoints while training goes on.
use std::fs;
use std::path::Path;
use std::time::Duration;

use secateur::kernels::Pruned;
use secateur::optim::Optimizer;
use secateur::train::checkpoint::{MODEL_FILE, OPTIMIZER_FILE};
use secateur::train::{Event, TrainOptions, train};

use super::{pruning, train_op};
use crate::common::gpu;

/// Trains `steps` steps, saving every `every`; returns the steps saved and those that failed.
fn run(
    gpu: &secateur::Gpu,
    logdir: &Path,
    steps: u64,
    every: Option<u64>,
    mut at_step: impl FnMut(u64),
) -> (Vec<u64>, Vec<u64>) {
    let (mut saved, mut failed) = (Vec::new(), Vec::new());
    let options = TrainOptions {
        number_of_steps: Some(steps),
        save_every_n_steps: every,
        max_to_keep: 100,
        on_event: Some(Box::new(|event| match event {
            Event::Step(step) => at_step(step.step),
            Event::Checkpoint { step, .. } => saved.push(*step),
            Event::SaveFailed { step, message } => {
                assert!(message.contains("cannot"), "{message}");
                failed.push(*step);
            }
            _ => {}
        })),
        ..Default::default()
    };
    let op = train_op(gpu, Optimizer::adam(0.01));
    train(op, Some(logdir), pruning(Pruned::Revive), options).unwrap();
    (saved, failed)
}

fn files(logdir: &Path, step: u64) -> [Vec<u8>; 2] {
    let folder = logdir.join(format!("ckpt-{step:012}"));
    [MODEL_FILE, OPTIMIZER_FILE].map(|f| fs::read(folder.join(f)).unwrap())
}

/// The copy is taken between two steps, though the host is steps ahead of the device.
#[test]
fn a_save_on_the_way_holds_just_the_steps_before_it() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [saving, straight] = ["saving", "straight"].map(|n| folder.path().join(n));
    // Long enough that the writer is done before the next save is due.
    let slow = |_| std::thread::sleep(Duration::from_millis(5));
    let (saved, failed) = run(gpu, &saving, 30, Some(7), slow);
    assert_eq!(failed, [0; 0]);
    assert!(saved.len() >= 3 && saved.ends_with(&[30]), "{saved:?}");
    for &step in &saved {
        let logdir = straight.join(step.to_string());
        run(gpu, &logdir, step, None, |_| {});
        assert!(files(&saving, step) == files(&logdir, step), "step {step}");
    }
}

/// What a full disk or a network folder that goes away does to the saves.
#[cfg(unix)]
#[test]
fn training_outlasts_saves_that_fail() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [logdir, away] = ["logdir", "away"].map(|n| folder.path().join(n));
    let (saved, failed) = run(gpu, &logdir, 60, Some(3), |step| {
        std::thread::sleep(Duration::from_millis(2));
        match step {
            10 => fs::rename(&logdir, &away).unwrap(),
            40 => fs::rename(&away, &logdir).unwrap(),
            _ => {}
        }
    });
    assert!(!failed.is_empty() && failed.iter().all(|s| (8..45).contains(s)), "{failed:?}");
    assert!(saved[0] < 10 && saved.ends_with(&[60]), "{saved:?}");
    assert!(saved.iter().any(|s| (40..60).contains(s)), "saves go on: {saved:?}");
    // A save that was cut off by the move could not clean up after itself; the next start does.
    run(gpu, &logdir, 60, None, |_| {});
    let left = fs::read_dir(&logdir).unwrap().map(|e| e.unwrap().file_name());
    let left: Vec<String> = left.map(|n| n.to_string_lossy().into_owned()).collect();
    assert!(left.iter().all(|name| !name.starts_with(".tmp")), "{left:?}");
}
