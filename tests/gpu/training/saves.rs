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
    let (saved, failed) = run(gpu, &logdir, 100, Some(3), |step| {
        std::thread::sleep(Duration::from_millis(4));
        match step {
            30 => fs::rename(&logdir, &away).unwrap(),
            60 => fs::rename(&away, &logdir).unwrap(),
            _ => {}
        }
    });
    assert!(!failed.is_empty() && failed.iter().all(|s| (10..66).contains(s)), "{failed:?}");
    assert!(saved[0] < 30 && saved.ends_with(&[100]), "{saved:?}");
    assert!(saved.iter().any(|s| (60..100).contains(s)), "saves go on: {saved:?}");
    // A save that was cut off by the move could not clean up after itself; the next start does.
    run(gpu, &logdir, 100, None, |_| {});
    let left = fs::read_dir(&logdir).unwrap().map(|e| e.unwrap().file_name());
    let left: Vec<String> = left.map(|n| n.to_string_lossy().into_owned()).collect();
    assert!(left.iter().all(|name| !name.starts_with(".tmp")), "{left:?}");
}

/// A trace has rows for the loop, the checkpoint thread and the queue, and readbacks between.
#[test]
fn a_trace_shows_the_checkpoint_and_the_readback() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = TrainOptions {
        number_of_steps: Some(12),
        save_every_n_steps: Some(1),
        trace_every_n_steps: Some(1),
        ..Default::default()
    };
    let op = train_op(gpu, Optimizer::adam(0.01));
    train(op, Some(folder.path()), pruning(Pruned::Zero), options).unwrap();
    let mut rows = std::collections::BTreeMap::new();
    for step in 1..=12 {
        let text = fs::read(folder.path().join(format!("timeline-{step}.json"))).unwrap();
        let trace: serde_json::Value = serde_json::from_slice(&text).unwrap();
        for event in trace["traceEvents"].as_array().unwrap() {
            let name = event["name"].as_str().unwrap().to_owned();
            let row = [&event["pid"], &event["tid"]].map(|n| n.as_u64().unwrap());
            let kind = event["ph"].as_str().unwrap().to_owned();
            *rows.entry((kind, row, name)).or_insert(0) += 1;
        }
    }
    let count = |kind: &str, row: [u64; 2], name: &str| {
        rows.get(&(kind.to_owned(), row, name.to_owned())).copied().unwrap_or(0)
    };
    for name in ["next batch", "upload", "encode", "submit", "wait", "results", "checkpoint"] {
        assert_eq!(count("X", [0, 0], name), 12, "{name}: {rows:#?}");
    }
    // A save takes several of these short steps.
    assert!(count("X", [0, 1], "copy to the host") > 0, "{rows:#?}");
    assert!(count("X", [0, 1], "write checkpoint") > 0, "{rows:#?}");
    assert_eq!((count("b", [0, 0], "readback"), count("e", [0, 0], "readback")), (12, 12));
    if gpu.report().timestamps {
        assert_eq!(count("X", [1, 0], "train"), 12);
        assert_eq!(count("X", [1, 0], "mask_update"), 4, "at steps 3, 6, 9, 12");
        assert_eq!((count("s", [0, 0], "flow"), count("f", [1, 0], "flow")), (12, 12));
    }
}
