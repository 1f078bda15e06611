//! What goes wrong on one rank ends every rank, with a message that says where and what.
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use secateur::checkpoint::newest;
use secateur::data::{Answers, Batches, Dataset};
use secateur::kernels::Pruned;
use secateur::optim::Optimizer;
use secateur::prune::MaskUpdateOp;
use secateur::session::Session;
use secateur::train::{Carried, StepContext, SyncReplicas, TrainOptions, TrainOutcome};
use secateur::{Error, Gpu, Result};

use super::super::rescue::Breaks;
use super::super::{SEED, blobs, pruning};
use super::{Job, in_step};
use crate::common::gpu;

fn dense(gpu: &Gpu) -> Job<'_> {
    Job::new(gpu, Optimizer::adam(0.01), MaskUpdateOp::none())
}

/// The error of every rank, as text.
fn errors(outcomes: Vec<Result<TrainOutcome>>) -> Vec<String> {
    outcomes.into_iter().map(|outcome| outcome.unwrap_err().to_string()).collect()
}

fn synchronous() -> TrainOptions<'static> {
    TrainOptions::default().number_of_steps(Some(50)).sync_optimizer(Some(SyncReplicas::default()))
}

/// The chief saves the steps that are complete, whoever has failed.
#[test]
fn an_error_of_one_ends_all_and_the_chief_saves() {
    let Some(gpu) = gpu() else { return };
    for fails in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let job = Job { logdir: Some(folder.path()), ..dense(gpu) };
        let batches = |rank| {
            let breaks: fn() -> Result<bool> = || Err(Error::argument("shard-7", "no such file"));
            let at = if rank == fails { 0 } else { 1000 };
            Breaks(Batches::new(blobs(), 16, Some(SEED)).unwrap(), at, breaks)
        };
        for (rank, error) in errors(job.with(3, batches, |_| synchronous())).iter().enumerate() {
            let own = rank == fails;
            let named = error.contains(&format!("rank {fails}"));
            assert!(error.contains("shard-7") && named != own, "rank {rank}: {error}");
        }
        let saved = newest(folder.path()).unwrap().unwrap();
        assert!(saved.manifest.global_step > 0, "{fails}");
    }
}

/// One that fails before the first step, and one whose logdir is another process's.
#[test]
fn an_error_at_the_start_ends_all() {
    let Some(gpu) = gpu() else { return };
    let outcomes = dense(gpu).on(2, |rank| {
        let fails = move |_: &mut Session| match rank {
            1 => Err(Error::argument("vocabulary", "not on this machine")),
            _ => Ok(()),
        };
        synchronous().local_init_op(Some(Box::new(fails)))
    });
    for error in errors(outcomes) {
        assert!(error.contains("not on this machine"), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let _lock = secateur::checkpoint::Lock::acquire(folder.path()).unwrap();
    let job = Job { logdir: Some(folder.path()), ..dense(gpu) };
    let outcomes = job.on(2, |_| synchronous());
    assert!(matches!(outcomes[0], Err(Error::Locked { .. })), "{:?}", outcomes[0]);
    let error = outcomes[1].as_ref().unwrap_err().to_string();
    assert!(error.contains("rank 0") && error.contains("in use"), "{error}");
}

/// The loss of all ranks together is not finite: all say so of the same step.
#[test]
fn what_is_not_finite_ends_all_in_the_same_step() {
    let Some(gpu) = gpu() else { return };
    let job = Job::new(gpu, Optimizer::sgd(1e30), MaskUpdateOp::none());
    let steps: Vec<u64> = job
        .on(2, |_| synchronous())
        .into_iter()
        .map(|outcome| match outcome {
            Err(Error::NonFinite { step, .. }) => step,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(steps[0], steps[1]);
}

/// Ranks that would do different things are refused, by name.
#[test]
fn ranks_must_agree() {
    let Some(gpu) = gpu() else { return };
    let options = |rank: usize| synchronous().number_of_steps(Some(50 + rank as u64));
    for error in errors(dense(gpu).on(2, options)) {
        assert!(error.contains("number_of_steps") && error.contains("51"), "{error}");
    }
    let other_seed = |rank| Batches::new(blobs(), 16, Some(SEED + rank as u64)).unwrap();
    let other_batch = |rank| Batches::new(blobs(), 16 - rank, Some(SEED)).unwrap();
    let other_rows = |rank| {
        let rows: Vec<f32> = (0..52 * 6).map(|i| (i * (rank + 3) % 17) as f32).collect();
        let answers = Answers::classes((0..52u32).map(|i| i % 3), 3);
        let data = Dataset::new("rows", &[6], rows, answers.clone()).unwrap();
        Batches::new(Arc::new(data), 16, Some(SEED)).unwrap()
    };
    for error in errors(dense(gpu).with(2, other_batch, |_| synchronous())) {
        assert!(error.contains("batch") && error.contains("15"), "{error}");
    }
    for error in errors(dense(gpu).with(2, other_rows, |_| synchronous())) {
        assert!(error.contains("`data`"), "{error}");
    }
    for error in errors(dense(gpu).with(2, other_seed, |_| synchronous())) {
        assert!(error.contains("first_rows"), "{error}");
    }
}

/// One whose weights are others is found at the start, by the name of the tensor.
#[test]
fn weights_that_differ_are_found() {
    let Some(gpu) = gpu() else { return };
    let outcomes = Job::new(gpu, Optimizer::adam(0.01), pruning(Pruned::Zero)).on(3, |rank| {
        let init = move |session: &mut Session| {
            let mut weights = session.weights("fc2.weight")?;
            weights[7] += if rank == 2 { 1e-6 } else { 0.0 };
            session.set_weights("fc2.weight", &weights)
        };
        synchronous().init_fn(Some(Box::new(init)))
    });
    for error in errors(outcomes) {
        assert!(error.contains("fc2.weight") && error.contains("rank 2"), "{error}");
    }
}

/// A rank that hangs says nothing: the watchdogs of the others end the job.
#[test]
fn a_rank_that_hangs_ends_the_job() {
    let Some(gpu) = gpu() else { return };
    let begun = Instant::now();
    let options = |rank| {
        let hangs = move |_: &mut Session| {
            // Longer than the first step of a job is given, ten times its limit.
            let hang = if rank == 1 { Duration::from_secs(8) } else { Duration::ZERO };
            sleep(hang);
            Ok(())
        };
        synchronous()
            .watchdog(Some(Duration::from_millis(300)))
            .local_init_op(Some(Box::new(hangs)))
    };
    for error in errors(dense(gpu).on(2, options)) {
        assert!(error.contains("no step") || error.contains("watchdog"), "{error}");
    }
    assert!(begun.elapsed() < Duration::from_secs(60));
}

/// Numbers that do not fit the ranks, and options that do not fit each other.
#[test]
fn options_that_do_not_fit_are_refused() {
    let Some(gpu) = gpu() else { return };
    for error in errors(dense(gpu).on(3, |_| in_step(5, 4))) {
        assert!(error.contains("replicas_to_aggregate") && error.contains('4'), "{error}");
    }
    let meant = SyncReplicas::default().total_num_replicas(Some(4));
    for error in errors(dense(gpu).on(2, |_| synchronous().sync_optimizer(Some(meant.clone())))) {
        assert!(error.contains("total_num_replicas") && error.contains('4'), "{error}");
    }
    for error in errors(dense(gpu).on(2, |_| synchronous().startup_delay_steps(3))) {
        assert!(error.contains("startup_delay_steps"), "{error}");
    }
    let own = |_| {
        let step = Box::new(|step: &mut StepContext<'_>| step.train().map(|()| Default::default()));
        TrainOptions::default().number_of_steps(Some(5)).train_step_fn(Some(step))
    };
    for error in errors(dense(gpu).on(2, own)) {
        assert!(error.contains("train_step_fn") && error.contains("in step"), "{error}");
    }
    let kept = SyncReplicas::default().replicas_to_aggregate(Some(1)).carried(Carried::Kept);
    for error in errors(dense(gpu).on(2, |_| synchronous().sync_optimizer(Some(kept.clone())))) {
        assert!(error.contains("carried"), "{error}");
    }
}
