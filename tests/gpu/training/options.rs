//! What a run starts from, and what its functions and its logdir say of it.
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use secateur::checkpoint::{Retention, newest, save};
use secateur::data::{BatchSource, Batches, Cursor};
use secateur::kernels::Pruned;
use secateur::optim::Optimizer;
use secateur::prune::MaskUpdateOp;
use secateur::train::{InitOp, TrainOp, TrainOptions, TrainOutcome, train};
use secateur::{Error, Gpu, Model, Pruning, Result};

use super::{MODEL, SEED, blobs, pruning, spec, steps, train_op};
use crate::common::gpu;

const ADAM: fn() -> Optimizer = || Optimizer::adam(0.01);

fn go(gpu: &Gpu, logdir: Option<&Path>, options: TrainOptions<'_>) -> Result<TrainOutcome> {
    train(train_op(gpu, ADAM()), logdir, pruning(Pruned::Zero), options)
}

#[test]
fn without_an_init_op_every_value_must_come_from_somewhere() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let some = || {
        steps(4)
            .init_op(InitOp::Off)
            .init_feed_dict(vec![("fc1.bias".into(), vec![0.0; 20])])
            .init_fn(Some(Box::new(|session| session.set_weights("fc3.bias", &[0.0; 3]))))
    };
    let error = go(gpu, Some(folder.path()), some()).unwrap_err();
    assert!(matches!(&error, Error::Argument { name, .. } if name == "ready_op"), "{error}");
    let text = error.to_string();
    for (name, missing) in [
        ("fc1.weight", true),
        ("fc1.bias", false),
        ("fc2.weight", true),
        ("fc2.bias", true),
        ("fc3.weight", true),
        ("fc3.bias", false),
    ] {
        assert_eq!(text.contains(name), missing, "{name}: {text}");
    }
    // A checkpoint has them all.
    go(gpu, Some(folder.path()), steps(3)).unwrap();
    assert_eq!(go(gpu, Some(folder.path()), some()).unwrap().global_step, 4);
}

#[test]
fn a_network_that_is_not_ready_trains_no_step() {
    let Some(gpu) = gpu() else { return };
    let options =
        steps(2).ready_op(Some(Box::new(|session| match session.weights("fc3.bias")?[0] {
            0.5 => Ok(()),
            other => Err(Error::argument("fc3.bias", format!("{other} is not 0.5"))),
        })));
    let error = go(gpu, None, options).unwrap_err();
    assert!(error.to_string().contains("0 is not 0.5"), "{error}");
}

/// Whichever of the user's functions panics, the error says which.
#[test]
fn a_panic_before_the_first_step_names_the_function() {
    let Some(gpu) = gpu() else { return };
    let init_fn = steps(2).init_fn(Some(Box::new(|_| panic!("no"))));
    let local = steps(2).local_init_op(Some(Box::new(|_| panic!("no"))));
    let ready = steps(2).ready_op(Some(Box::new(|_| panic!("no"))));
    for (name, options) in [("init_fn", init_fn), ("local_init_op", local), ("ready_op", ready)] {
        let error = go(gpu, None, options).unwrap_err();
        assert!(matches!(error, Error::Panicked { what, .. } if what == name), "{name}: {error}");
    }
}

#[test]
fn what_cannot_run_leaves_no_folder() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let logdir = folder.path().join("run");
    let error = go(gpu, Some(&logdir), steps(0)).unwrap_err();
    assert!(error.to_string().contains("number_of_steps"), "{error}");
    let spec = spec(Pruned::Zero).do_not_prune(vec!["fc".into()]);
    let op = Pruning::new(spec).unwrap().conditional_mask_update_op();
    train(train_op(gpu, ADAM()), Some(&logdir), op, steps(20)).unwrap_err();
    assert!(!logdir.exists());
}

/// Five steps more would prune, had they been the first; after steps that have pruned they need
/// not.
#[test]
fn a_resumed_run_that_cannot_prune_any_more_is_refused() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let op = train_op(gpu, ADAM());
    train(op, Some(folder.path()), MaskUpdateOp::none(), steps(10)).unwrap();
    let spec = spec(Pruned::Zero).end_pruning_step(9).sparsity_function_end_step(9);
    let op = || Pruning::new(spec.clone()).unwrap().conditional_mask_update_op();
    let error = train(train_op(gpu, ADAM()), Some(folder.path()), op(), steps(15)).unwrap_err();
    assert!(error.to_string().contains("starts at step 10"), "{error}");
    let pruned = folder.path().join("pruned");
    for number in [10, 15] {
        train(train_op(gpu, ADAM()), Some(&pruned), op(), steps(number)).unwrap();
    }
}

/// A source that was used before the run: the checkpoint of no step at all says where it is.
#[test]
fn a_checkpoint_before_the_first_step_has_the_place_in_the_data() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut batches = Batches::new(blobs(), 16, Some(SEED)).unwrap();
    batches.seek(Cursor { epoch: 2, row: 16 }).unwrap();
    let op = TrainOp::new(gpu, &Model::mlp(&MODEL), ADAM(), batches, SEED).unwrap();
    let options = steps(9).stop(Some(Arc::new(AtomicBool::new(true))));
    train(op, Some(folder.path()), pruning(Pruned::Zero), options).unwrap();
    let manifest = newest(folder.path()).unwrap().unwrap().manifest;
    assert_eq!((manifest.global_step, manifest.epoch, manifest.cursor), (0, 2, 16));
    assert!(manifest.pruning.unwrap().contains("target_sparsity=0.8"));
}

#[test]
fn a_resumed_run_knows_when_it_was_first_begun() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let begun = |number| {
        go(gpu, Some(folder.path()), steps(number)).unwrap();
        let manifest = newest(folder.path()).unwrap().unwrap().manifest;
        assert!(manifest.begun_unix > 0 && manifest.created_unix >= manifest.begun_unix);
        manifest.begun_unix
    };
    let first = begun(3);
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(begun(6), first); // A checkpoint that does not say: then this run has begun it.
    let silent = folder.path().join("silent");
    std::fs::create_dir(&silent).unwrap();
    let found = newest(folder.path()).unwrap().unwrap();
    let manifest = found.manifest.begun_unix(0).files(Vec::new());
    save(&silent, manifest, &found.model, &found.optimizer, Retention::newest(5)).unwrap();
    go(gpu, Some(&silent), steps(7)).unwrap();
    assert!(newest(&silent).unwrap().unwrap().manifest.begun_unix > first);
}
