//! Checkpoints while training goes on.
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use secateur::checkpoint::{MODEL_FILE, OPTIMIZER_FILE};
use secateur::data::Batches;
use secateur::kernels::Pruned;
use secateur::optim::Optimizer;
use secateur::prune::MaskUpdateOp;
use secateur::train::{
    End, Event, StepReturn, Summaries, TrainOp, TrainOptions, TrainOutcome, train,
};
use secateur::{Error, Gpu, Model, Result};

use super::summaries::Notes;
use super::{SEED, blobs, pruning, steps, train_op};
use crate::common::gpu;
use crate::shared::Shared;

fn run(gpu: &Gpu, logdir: &Path, options: TrainOptions<'_>) -> Result<TrainOutcome> {
    let op = train_op(gpu, Optimizer::adam(0.01));
    let options = options.max_to_keep(100);
    train(op, Some(logdir), pruning(Pruned::Revive), options)
}

fn files(logdir: &Path, step: u64) -> [Vec<u8>; 2] {
    let folder = logdir.join(format!("ckpt-{step:012}"));
    [MODEL_FILE, OPTIMIZER_FILE].map(|f| fs::read(folder.join(f)).unwrap())
}

/// How long a save takes is the disk's affair: a run that is to see some goes on until it has.
fn until(stop: &Arc<AtomicBool>) -> TrainOptions<'static> {
    steps(100_000).stop(Some(Arc::clone(stop)))
}

/// The copy is taken between two steps, though the host is steps ahead of the device.
#[test]
fn a_save_on_the_way_holds_just_the_steps_before_it() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [saving, straight] = ["saving", "straight"].map(|n| folder.path().join(n));
    let (stop, mut saved) = (Arc::new(AtomicBool::new(false)), Vec::new());
    let options = until(&stop).save_every_n_steps(Some(7)).on_event(Some(Box::new(|event| {
        if let Event::Checkpoint { step, seconds, stall_seconds, .. } = event {
            assert!(0.0 < *stall_seconds && stall_seconds < seconds, "{event:?}");
            saved.push(*step);
            stop.store(saved.len() >= 3, Relaxed);
        }
    })));
    run(gpu, &saving, options).unwrap();
    assert_eq!(saved[0], 7);
    for step in saved {
        let logdir = straight.join(step.to_string());
        run(gpu, &logdir, steps(step)).unwrap();
        assert!(files(&saving, step) == files(&logdir, step), "step {step}");
    }
}

/// One under way is not waited for; one that is wanted meanwhile comes after it, and no other.
#[test]
fn a_save_asked_for_during_another_comes_after_it() {
    let Some(gpu) = gpu() else { return };
    for twice in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let [stop, save] = [false, true].map(|set| Arc::new(AtomicBool::new(set)));
        let (mut saved, said) = (Vec::new(), Shared::new(false));
        let options = until(&stop)
            .save(Some(Arc::clone(&save)))
            .train_step_fn(Some(Box::new(|step| {
                // The copies of the first are not even submitted.
                save.fetch_or(twice && step.global_step() == 1, Relaxed);
                said.set(step.should_stop());
                step.train().map(|()| StepReturn::default())
            })))
            .on_event(Some(Box::new(|event| {
                if let Event::Checkpoint { step, .. } = event {
                    saved.push(*step);
                    stop.store(true, Relaxed);
                }
            })));
        let last = run(gpu, folder.path(), options).unwrap().global_step;
        assert!(said.get() && !save.load(Relaxed), "a stop is known in the step that it precedes");
        let want = if twice { vec![0, last - 1, last] } else { vec![0, last] };
        assert_eq!(saved, want, "at once, when that was done if asked for, and at the end");
    }
}

#[test]
fn a_resumed_run_does_not_save_what_it_has_restored() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut saved = Vec::new();
    for last in [6, 7] {
        let options = steps(last).save_every_n_steps(Some(6)).on_event(Some(Box::new(|event| {
            if let Event::Checkpoint { step, .. } = event {
                saved.push(*step);
            }
        })));
        run(gpu, folder.path(), options).unwrap();
    }
    assert_eq!(saved, [6, 7]);
}

#[test]
fn saves_by_the_clock() {
    let Some(gpu) = gpu() else { return };
    for (seconds, on_the_way) in [(0.0, false), (1e-9, true)] {
        let folder = tempfile::tempdir().unwrap();
        let (stop, mut saved) = (Arc::new(AtomicBool::new(false)), Vec::new());
        let options =
            until(&stop).save_interval_secs(seconds).on_event(Some(Box::new(
                |event| match event {
                    Event::Checkpoint { step, .. } => {
                        saved.push(*step);
                        stop.store(true, Relaxed);
                    }
                    Event::Step(step) if !on_the_way => stop.store(step.step >= 20, Relaxed),
                    _ => {}
                },
            )));
        let last = run(gpu, folder.path(), options).unwrap().global_step;
        let want = if on_the_way { vec![0, last - 1, last] } else { vec![last] };
        assert_eq!(saved, want);
    }
}

/// What a full disk or a network folder that goes away does to the saves.
#[cfg(unix)]
#[test]
fn training_outlasts_saves_that_fail() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [logdir, away] = ["logdir", "away"].map(|n| folder.path().join(n));
    let (stop, mut seen) = (Arc::new(AtomicBool::new(false)), Vec::new());
    let notes = Notes::default();
    let told = Arc::clone(&notes.seen);
    let options = until(&stop)
        .save_every_n_steps(Some(3))
        .summary_writer(Summaries::Own(Box::new(notes)))
        .on_event(Some(Box::new(|event| {
            let (saved, message) = match event {
                Event::Checkpoint { .. } => (true, ""),
                Event::SaveFailed { message, .. } => (false, message.as_str()),
                _ => return,
            };
            seen.push(saved);
            match seen[..] {
                [true] => fs::rename(&logdir, &away).unwrap(),
                [true, false] => assert!(message.contains("cannot"), "{message}"),
                [true, false, false] => fs::rename(&away, &logdir).unwrap(),
                [.., last] => stop.store(last, Relaxed),
                [] => {}
            }
        })));
    let outcome = run(gpu, &logdir, options).unwrap();
    assert_eq!(outcome.end, End::Stopped);
    assert!(
        seen.starts_with(&[true, false, false, true]) && seen.ends_with(&[true, true]),
        "{seen:?}"
    );
    let scalars = &told.borrow().scalars;
    let failures = scalars.iter().filter(|((tag, _), _)| tag == "checkpoint/failures");
    assert_eq!(failures.map(|(_, value)| *value).collect::<Vec<_>>(), [1.0, 2.0]);
    assert!(logdir.join(format!("ckpt-{:012}", outcome.global_step)).exists());
}

/// There is no next save that could find room.
#[cfg(unix)]
#[test]
fn a_last_save_that_fails_is_the_runs_error() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [logdir, away] = ["logdir", "away"].map(|n| folder.path().join(n));
    let options = steps(4).on_event(Some(Box::new(|event| {
        if matches!(event, Event::Step(step) if step.step == 4) {
            fs::rename(&logdir, &away).unwrap();
        }
    })));
    let error = run(gpu, &logdir, options).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}

/// What a process that was killed left of a save.
#[test]
fn leftovers_are_swept_at_the_start() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let left = folder.path().join(".tmp-secateur-ckpt-000000000001-1");
    fs::create_dir(&left).unwrap();
    run(gpu, folder.path(), steps(3)).unwrap();
    assert!(!left.exists());
}

#[test]
fn as_many_are_kept_as_the_options_say() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    for number in [3, 4, 5] {
        let options = steps(number).max_to_keep(2);
        let op = train_op(gpu, Optimizer::adam(0.01));
        train(op, Some(folder.path()), pruning(Pruned::Zero), options).unwrap();
    }
    let exists = |step: u64| folder.path().join(format!("ckpt-{step:012}")).exists();
    assert_eq!([3, 4, 5].map(exists), [false, true, true]);
}

/// Of two parts: 17 MB of one tensor are more than a staging buffer takes, those of the others
/// share the next.
fn large(gpu: &Gpu) -> TrainOp<'static> {
    let sgd = Optimizer::sgd(0.1);
    let batches = Batches::new(blobs(), 16, Some(SEED)).unwrap();
    TrainOp::new(gpu, &Model::mlp(&[720_000]), sgd, batches, SEED).unwrap()
}

#[test]
fn a_save_in_several_parts_comes_back_whole() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let run = || train(large(gpu), Some(folder.path()), MaskUpdateOp::none(), steps(1)).unwrap();
    let [trained, restored] = [run(), run()].map(|outcome| outcome.session);
    for name in ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"] {
        assert!(trained.weights(name).unwrap() == restored.weights(name).unwrap(), "{name}");
    }
}

/// The lock is given back, so nothing may write into the logdir any more.
#[test]
fn an_error_waits_for_the_save_that_is_being_written() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = steps(9).save(Some(Arc::new(AtomicBool::new(true)))).train_step_fn(Some(
        Box::new(|step| {
            // Both parts have been taken, and the thread has only begun.
            if step.global_step() == 3 {
                return Err(Error::NonFinite { step: 3, tensor: "mine".to_owned() });
            }
            step.train()?;
            // The copies have arrived, to be taken one part a step from the second on.
            step.loss().map(|_| StepReturn::default())
        }),
    ));
    train(large(gpu), Some(folder.path()), MaskUpdateOp::none(), options).unwrap_err();
    let names = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name());
    let names: Vec<String> = names.map(|n| n.into_string().unwrap()).collect();
    assert!(names.iter().any(|n| n == "ckpt-000000000000"), "{names:?}");
    assert!(names.iter().all(|n| !n.starts_with(".tmp")), "{names:?}");
}
