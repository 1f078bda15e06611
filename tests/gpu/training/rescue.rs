//! What an error leaves behind: the steps before it, or nothing.
use std::fs;
use std::path::Path;

use secateur::checkpoint::{MODEL_FILE, OPTIMIZER_FILE, newest};
use secateur::data::{Batch, BatchSource, Batches, Cursor, Task};
use secateur::kernels::Pruned;
use secateur::optim::Optimizer;
use secateur::prune::MaskUpdateOp;
use secateur::train::{Event, StepContext, StepReturn, TrainOp, train};
use secateur::{Error, Model, Result};

use super::{MODEL, SEED, blobs, pruning, steps, train_op};
use crate::common::gpu;
use crate::shared::Shared;

/// A source whose 8th batch is what the function says; it counts its batches.
pub struct Breaks(pub Batches, pub u64, pub fn() -> Result<bool>);

impl BatchSource for Breaks {
    fn batch_size(&self) -> usize {
        self.0.batch_size()
    }

    fn shape(&self) -> &[usize] {
        self.0.shape()
    }

    fn task(&self) -> Task {
        self.0.task()
    }

    fn next_batch(&mut self, batch: &mut Batch) -> Result<bool> {
        self.1 += 1;
        if self.1 == 8 { self.2() } else { self.0.next_batch(batch) }
    }

    fn cursor(&self) -> Cursor {
        self.0.cursor()
    }

    fn seek(&mut self, cursor: Cursor) -> Result<()> {
        self.0.seek(cursor)
    }
}

/// Whatever fails, the steps before it are saved.
#[test]
fn an_error_leaves_a_checkpoint() {
    let Some(gpu) = gpu() else { return };
    let panics: fn() -> Result<bool> = || panic!("no data");
    let fails: fn() -> Result<bool> = || Err(Error::argument("shard-7", "no such file"));
    for (breaks, text) in [(panics, "`batches` panicked: no data"), (fails, "shard-7")] {
        let folder = tempfile::tempdir().unwrap();
        let batches = Breaks(Batches::new(blobs(), 16, Some(SEED)).unwrap(), 0, breaks);
        let op =
            TrainOp::new(gpu, &Model::mlp(&MODEL), Optimizer::adam(0.01), batches, SEED).unwrap();
        let error = train(op, Some(folder.path()), MaskUpdateOp::none(), steps(20)).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        let found = newest(folder.path()).unwrap().unwrap();
        assert_eq!(found.manifest.global_step, 7, "{text}");
    }
}

/// An observer that fails is not told of the checkpoint that follows.
#[test]
fn an_observer_that_panics_is_not_called_again() {
    let Some(gpu) = gpu() else { return };
    let (folder, calls) = (tempfile::tempdir().unwrap(), Shared::new(0));
    let options = steps(20).on_event(Some(Box::new(|event| {
        calls.set(calls.get() + 1);
        assert!(!matches!(event, Event::Step(step) if step.step == 5), "seen enough");
    })));
    let op = train_op(gpu, Optimizer::adam(0.01));
    let error = train(op, Some(folder.path()), pruning(Pruned::Zero), options).unwrap_err();
    assert!(error.to_string().contains("`on_event` panicked: seen enough"), "{error}");
    let found = newest(folder.path()).unwrap().unwrap();
    assert!((5..=8).contains(&found.manifest.global_step), "{}", found.manifest.global_step);
    assert_eq!(calls.get(), 6, "the start, and steps 1 to 5");
}

/// A diverging run ends before a bad value is saved.
#[test]
fn what_is_not_finite_is_never_saved() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = steps(400).save_every_n_steps(Some(1));
    let op = train_op(gpu, Optimizer::sgd(1e30));
    let error = train(op, Some(folder.path()), MaskUpdateOp::none(), options).unwrap_err();
    assert!(matches!(error, Error::NonFinite { .. }), "{error}");
    if let Some(found) = newest(folder.path()).unwrap() {
        let values = found.model.iter().map(|t| format!("{:?}", t.data));
        assert!(values.into_iter().all(|v| !v.contains("NaN") && !v.contains("inf")));
    }
}

/// The names of the checkpoints in `logdir`.
fn checkpoints(logdir: &Path) -> Vec<String> {
    let names = fs::read_dir(logdir).unwrap().map(|e| e.unwrap().file_name());
    let names = names.map(|n| n.into_string().unwrap());
    let mut names: Vec<_> = names.filter(|n| n.starts_with("ckpt-")).collect();
    names.sort();
    names
}

/// Part of the step has reached the weights: they are no state that a run could go on from.
#[test]
fn a_torn_step_is_not_saved() {
    let Some(gpu) = gpu() else { return };
    type Work = fn(&mut StepContext<'_>) -> Result<f32>;
    let trained: Work = |step| step.train().and_then(|()| step.loss());
    let applied: Work =
        |step| step.accumulate().and_then(|()| step.apply()).and_then(|()| step.loss());
    let and_more: Work = |step| {
        step.train()?;
        step.loss()?;
        step.accumulate()?;
        step.loss()
    };
    let in_one_part: Work = |step| {
        step.accumulate()?;
        step.loss()?;
        step.apply()?;
        step.accumulate()?;
        step.loss()
    };
    let only_read: Work = |step| step.accumulate().and_then(|()| step.loss());
    for (i, (work, torn)) in [
        (trained, true),
        (applied, true),
        (and_more, true),
        (in_one_part, true),
        (only_read, false),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = tempfile::tempdir().unwrap();
        let options = steps(9).train_step_fn(Some(Box::new(move |step| {
            if step.global_step() == 4 {
                work(step)?;
                return Err(Error::argument("mine", "no more"));
            }
            step.train().map(|()| StepReturn::default())
        })));
        let op = train_op(gpu, Optimizer::adam(0.01)).accumulate_gradients();
        let error = train(op, Some(folder.path()), MaskUpdateOp::none(), options).unwrap_err();
        assert!(error.to_string().contains("no more"), "{error}");
        let saved = checkpoints(folder.path());
        assert_eq!(saved.is_empty(), torn, "{i}: {saved:?}");
    }
}

/// The copies of a save wait for the step's submission: neither is made, and the save begun anew.
#[test]
fn an_error_before_the_submission_forgets_the_step_and_the_save() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [failed, straight] = ["failed", "straight"].map(|n| folder.path().join(n));
    let options = steps(9).save_every_n_steps(Some(6)).train_step_fn(Some(Box::new(|step| {
        step.train()?;
        match step.global_step() {
            7 => Err(Error::argument("mine", "no more")),
            _ => Ok(StepReturn::default()),
        }
    })));
    let run = |logdir: &Path, options| {
        train(train_op(gpu, Optimizer::adam(0.01)), Some(logdir), pruning(Pruned::Revive), options)
    };
    let error = run(&failed, options).unwrap_err();
    assert!(error.to_string().contains("no more"), "{error}");
    run(&straight, steps(6)).unwrap();
    assert_eq!(checkpoints(&failed), ["ckpt-000000000006"]);
    for file in [MODEL_FILE, OPTIMIZER_FILE] {
        let of = |logdir: &Path| fs::read(logdir.join("ckpt-000000000006").join(file)).unwrap();
        assert!(of(&failed) == of(&straight), "{file}");
    }
}

/// A loss of one's own hides what has become of the weights; the mask update and the save see it.
#[test]
fn a_value_that_is_not_finite_is_named_where_the_loss_hides_it() {
    let Some(gpu) = gpu() else { return };
    let run = |op: MaskUpdateOp, number, name: &str, value: f32, losses: fn(u64) -> Option<f32>| {
        let folder = tempfile::tempdir().unwrap();
        let len = if name == "fc1.weight" { 120 } else { 260 };
        let options = steps(number)
            .init_feed_dict(vec![(name.to_owned(), vec![value; len])])
            .train_step_fn(Some(Box::new(move |step| {
                step.train()?;
                Ok(StepReturn::default().loss(losses(step.global_step())))
            })));
        let op = train(train_op(gpu, Optimizer::adam(0.01)), Some(folder.path()), op, options);
        assert_eq!(checkpoints(folder.path()), [""; 0]);
        match op.unwrap_err() {
            Error::NonFinite { step, tensor } => (step, tensor),
            other => panic!("{other}"),
        }
    };
    let mask_update = run(pruning(Pruned::Zero), 9, "fc1.weight", f32::NAN, |_| Some(1.0));
    assert_eq!(mask_update, (3, "fc1.weight".to_owned()));
    let saved = run(MaskUpdateOp::none(), 2, "fc1.weight", f32::NAN, |_| Some(1.0));
    assert_eq!(saved.0, 2);
    // The squares of these gradients overflow; the update divides by their root, and is none.
    let slot = run(MaskUpdateOp::none(), 1, "fc2.weight", 1e25, |_| Some(1.0));
    assert_eq!(slot, (1, "fc1.weight/second".to_owned()));
    let own =
        run(MaskUpdateOp::none(), 5, "fc1.weight", 0.1, |step| (step == 3).then_some(f32::NAN));
    assert_eq!(own, (3, "the loss".to_owned()));
}

/// Steps in flight are looked at before they are saved.
#[test]
fn an_error_after_a_loss_that_is_not_finite_saves_nothing() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = steps(9).train_step_fn(Some(Box::new(|step| {
        step.train()?;
        match step.global_step() {
            3 => Ok(StepReturn::default().loss(Some(f32::NAN))),
            4 => Err(Error::argument("mine", "no more")),
            _ => Ok(StepReturn::default()),
        }
    })));
    let op = train_op(gpu, Optimizer::adam(0.01));
    // Which error it is depends on what has arrived.
    train(op, Some(folder.path()), MaskUpdateOp::none(), options).unwrap_err();
    assert_eq!(checkpoints(folder.path()), [""; 0]);
}
