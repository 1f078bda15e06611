//! What happens before the first step, and what ends a run early.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use secateur::data::Batches;
use secateur::kernels::Pruned;
use secateur::optim::Optimizer;
use secateur::prune::MaskUpdateOp;
use secateur::train::{End, Event, TrainOp, TrainOptions, train};
use secateur::{Error, Model};

use super::{MODEL, SEED, blobs, pruning, train_op};
use crate::common::gpu;
use crate::shared::Shared;

#[test]
fn explicit_values_then_init_fn_on_a_fresh_start_only() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (inits, locals) = (Shared::new(0), Shared::new(0));
    let run = |steps| {
        let options = TrainOptions::default()
            .number_of_steps(Some(steps))
            .init_feed_dict(vec![("fc3.bias".into(), vec![0.25, 0.5, 0.75])])
            .init_fn(Some(Box::new(|session| {
                inits.set(inits.get() + 1);
                assert_eq!(session.weights("fc3.bias")?, [0.25, 0.5, 0.75]);
                session.set_weights("fc2.bias", &[0.125; 13])
            })))
            .local_init_op(Some(Box::new(|session| {
                locals.set(locals.get() + 1);
                let fresh = session.weights("fc2.bias")? == [0.125; 13];
                assert_eq!(fresh, locals.get() == 1, "restored values are not overwritten");
                Ok(())
            })));
        let op = MaskUpdateOp::none();
        train(train_op(gpu, Optimizer::adam(0.01)), Some(folder.path()), op, options).unwrap()
    };
    run(2);
    run(4);
    assert_eq!((inits.get(), locals.get()), (1, 2));
}

#[test]
fn wrong_initial_values_are_named() {
    let Some(gpu) = gpu() else { return };
    let start = |name: &str, values: Vec<f32>| {
        let options = TrainOptions::default()
            .number_of_steps(Some(2))
            .init_feed_dict(vec![(name.into(), values)]);
        let op = MaskUpdateOp::none();
        train(train_op(gpu, Optimizer::adam(0.01)), None, op, options).unwrap_err()
    };
    let unknown = start("fc9.bias", vec![0.0]).to_string();
    assert!(unknown.contains("fc9.bias") && unknown.contains("fc3.bias"), "{unknown}");
    let length = start("fc3.bias", vec![0.0; 4]);
    assert!(matches!(length, Error::Shape { .. }), "{length}");
    assert!(length.to_string().contains("4 values for [3]"), "{length}");
}

/// Fewer classes in the data than the network tells apart are no mistake; everything else is.
#[test]
fn a_network_must_fit_its_batches() {
    let Some(gpu) = gpu() else { return };
    let made = |batch, width, classes, lr| {
        let network =
            Model::mlp(&MODEL).network(batch, &secateur::nn::Input::flat(width, classes)).unwrap();
        let batches = Batches::new(blobs(), 16, Some(SEED)).unwrap();
        TrainOp::from_network(gpu, network, Optimizer::adam(lr), batches, SEED).map(|_| ())
    };
    made(16, 6, 4, 0.01).unwrap();
    for (batch, width, classes, part) in [
        (8, 6, 3, "batches of 16 rows, the network takes 8"),
        (16, 7, 3, "6 features, the network takes 7"),
        (16, 6, 2, "3 classes"),
    ] {
        let error = made(batch, width, classes, 0.01).unwrap_err();
        assert!(matches!(error, Error::Shape { .. }), "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    let error = made(16, 6, 3, f32::NAN).unwrap_err();
    assert!(matches!(error, Error::Argument { .. }), "{error}");
}

/// In the mode `zero` the products take no mask, so pruned weights must stay zero.
#[test]
fn set_weights_keeps_pruned_ones_zero() {
    let Some(gpu) = gpu() else { return };
    let (mut outcome, _) = super::run(gpu, Optimizer::adam(0.01), pruning(Pruned::Zero), 17);
    let before = outcome.session.weights("fc1.weight").unwrap();
    outcome.session.set_weights("fc1.weight", &vec![0.5; before.len()]).unwrap();
    let after = outcome.session.weights("fc1.weight").unwrap();
    let want: Vec<f32> = before.iter().map(|&w| if w == 0.0 { 0.0 } else { 0.5 }).collect();
    assert_eq!(after, want);
}

#[test]
fn a_stop_ends_the_run_with_a_checkpoint() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&stop);
    let options = TrainOptions::default()
        .number_of_steps(Some(1_000_000))
        .stop(Some(stop))
        .on_event(Some(Box::new(move |event| {
            if let Event::Step(step) = event {
                set.fetch_or(step.step >= 5, Ordering::Relaxed);
            }
        })));
    let op = MaskUpdateOp::none();
    let train_op = train_op(gpu, Optimizer::adam(0.01));
    let outcome = train(train_op, Some(folder.path()), op, options).unwrap();
    assert_eq!(outcome.end, End::Stopped);
    // Known at step 5; by then at most three more are in flight.
    assert!((5..=9).contains(&outcome.global_step), "{}", outcome.global_step);
    assert!(outcome.checkpoint.is_some());
}
