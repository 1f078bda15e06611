//! Ranks in step: the same bits, however many share the batches of an update.
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use secateur::checkpoint::{MODEL_FILE, OPTIMIZER_FILE, newest};
use secateur::data::{Batches, Dataset};
use secateur::kernels::Pruned;
use secateur::optim::{Clip, Momentum, Optimizer, Training};
use secateur::prune::{MaskUpdateOp, Pruning, Regrow};
use secateur::train::{
    Carried, End, Event, StepReturn, Summaries, SyncReplicas, TrainOp, TrainOptions, train,
};

use super::super::step_fn::two_heads_op;
use super::super::summaries::{Notes, Seen};
use super::super::{SEED, blobs, pruning, spec, steps, train_op, weights};
use super::{Job, all, in_step};
use crate::common::gpu;
use crate::shared::Shared;

/// 52 rows in batches of 16: 4 batches an epoch, the last of 4 rows.
#[test]
fn the_bits_do_not_depend_on_the_number_of_ranks() {
    let Some(gpu) = gpu() else { return };
    let momentum =
        Optimizer::Momentum(Momentum::new(0.05).momentum(0.9).nesterov(true).weight_decay(0.01));
    let clipped = Training::from(Optimizer::adam(0.01)).average(Some(0.9));
    let clipped = clipped.clip(Clip::default().global_norm(Some(0.05)));
    for (training, mode) in [
        (Optimizer::sgd(0.1).into(), Pruned::Freeze),
        (momentum.into(), Pruned::Revive),
        (clipped.clone(), Pruned::Zero),
        (clipped, Pruned::Pull),
    ] {
        let job = Job::new(gpu, training, pruning(mode));
        // 14 steps of 4 batches: of 1, 2 and 4 ranks, with 4, 2 and 1 batches each.
        let runs = [1, 2, 4].map(|ranks| all(job.on(ranks, |_| in_step(14, 4))));
        let first = weights(&runs[0][0]);
        for (run, ranks) in runs.iter().zip([1, 2, 4]) {
            for (rank, outcome) in run.iter().enumerate() {
                assert_eq!((outcome.global_step, outcome.end), (14, End::StepLimit));
                assert_eq!(weights(outcome), first, "{mode:?}: rank {rank} of {ranks}");
                let masks = outcome.session.get_masks().unwrap();
                assert_eq!(masks, runs[0][0].session.get_masks().unwrap());
                assert_eq!(outcome.loss.map(f32::to_bits), runs[0][0].loss.map(f32::to_bits));
                assert_eq!(outcome.metric, runs[0][0].metric);
            }
        }
        let other = all(job.on(2, |_| in_step(14, 2)));
        assert_ne!(weights(&other[0]), first, "2 batches an update are other updates");
    }
}

/// What ranks do together is what a step function does alone with two batches.
#[test]
fn two_ranks_are_one_process_with_two_batches() {
    let Some(gpu) = gpu() else { return };
    let adam = Optimizer::adam(0.01);
    let together = all(Job::new(gpu, adam, pruning(Pruned::Zero)).on(2, |_| in_step(20, 2)));
    let op = train_op(gpu, adam).accumulate_gradients();
    let options = steps(20).train_step_fn(Some(Box::new(|step| {
        step.accumulate()?;
        step.accumulate()?;
        step.apply().map(|()| StepReturn::default())
    })));
    let alone = train(op, None, pruning(Pruned::Zero), options).unwrap();
    assert_eq!(weights(&together[0]), weights(&alone));
    assert_eq!(together[1].loss.map(f32::to_bits), alone.loss.map(f32::to_bits));
}

/// A step function of one's own, whose `apply` is where the ranks meet.
#[test]
fn steps_of_ones_own_are_shared_too() {
    let Some(gpu) = gpu() else { return };
    let job = Job::new(gpu, Optimizer::adam(0.01), pruning(Pruned::Zero));
    let by_default = all(job.on(2, |_| in_step(9, 4)));
    let own = all(job.on(2, |_| {
        in_step(9, 4).train_step_fn(Some(Box::new(|step| {
            step.accumulate()?;
            step.accumulate()?;
            step.apply().map(|()| StepReturn::default())
        })))
    }));
    assert_eq!(weights(&own[1]), weights(&by_default[0]));
}

/// Updates by two losses in turn: the ranks meet at each of them.
#[test]
fn every_update_of_a_step_is_shared() {
    let Some(gpu) = gpu() else { return };
    let job = Job::new(gpu, Optimizer::sgd(0.1), MaskUpdateOp::none());
    let weights = |ranks: usize| {
        let step = |_| {
            in_step(6, 2).train_step_fn(Some(Box::new(|step| {
                step.train_on("side")?;
                step.train().map(|()| StepReturn::default())
            })))
        };
        let outcomes = all(job.of(ranks, |_| Ok(two_heads_op(gpu)), step));
        let session = &outcomes[ranks - 1].session;
        let names = ["below", "above", "head", "side"];
        names.map(|name| {
            session.weights(name).unwrap().into_iter().map(f32::to_bits).collect::<Vec<_>>()
        })
    };
    assert_eq!(weights(1), weights(2));
}

/// States that go on from batch to batch need every rank in every step.
#[test]
fn carried_states_are_for_ranks_in_step() {
    let Some(gpu) = gpu() else { return };
    let tokens: Vec<u8> = (0..400).map(|i| (i * i % 7) as u8).collect();
    let op = |_| {
        let data = Dataset::text("text", &tokens, ['a', 'b', 'c', 'd', 'e', 'f', 'g'], 8)?;
        let batches = Batches::new(data, 4, None)?.streams(true);
        TrainOp::new(gpu, &"charlstm:5x1".parse()?, Optimizer::adam(0.01), batches, SEED)
    };
    let job = Job::new(gpu, Optimizer::adam(0.01), MaskUpdateOp::none());
    for outcome in job.of(2, op, |_| steps(4)) {
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("sync_optimizer") && error.contains("batch to batch"), "{error}");
    }
    for outcome in all(job.of(2, op, |_| in_step(4, 2))) {
        assert_eq!((outcome.global_step, outcome.end), (4, End::StepLimit));
    }
}

/// Only the gradients of kept weights travel, and no bit changes.
#[test]
fn kept_gradients_are_enough() {
    let Some(gpu) = gpu() else { return };
    for mode in [Pruned::Zero, Pruned::Revive, Pruned::Freeze, Pruned::Pull] {
        let clipped = Training::from(Optimizer::adam(0.01));
        let clipped = clipped.clip(Clip::default().global_norm(Some(0.05)));
        let job = Job::new(gpu, clipped, pruning(mode));
        let carries = |carried| {
            let sync = SyncReplicas::default().carried(carried);
            all(job.on(2, |_| steps(20).sync_optimizer(Some(sync.clone()))))
        };
        let [every, kept] = [Carried::All, Carried::Kept].map(carries);
        assert_eq!(weights(&every[0]), weights(&kept[1]), "{mode:?}");
    }
}

/// A score that ranks by gradients of pruned weights needs them all; RigL's mean is everybody's.
#[test]
fn regrowth_by_gradients_is_everybodys() {
    let Some(gpu) = gpu() else { return };
    let rigl = spec(Pruned::Zero).regrow(Regrow::Rigl).end_pruning_step(14);
    let masks = || Pruning::new(rigl.clone()).unwrap().conditional_mask_update_op();
    let job = Job::new(gpu, Optimizer::adam(0.01), masks());
    let [alone, together] = [1, 2].map(|ranks| all(job.on(ranks, |_| in_step(14, 2))));
    assert_eq!(weights(&alone[0]), weights(&together[1]));
    let sync = SyncReplicas::default().carried(Carried::Kept);
    for outcome in job.on(2, |_| steps(14).sync_optimizer(Some(sync.clone()))) {
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("carried"), "{error}");
    }
}

/// Files are the chief's; a run may go on with another number of ranks.
#[test]
fn a_run_goes_on_with_other_ranks() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let files = |path: &std::path::Path| {
        let path = newest(path).unwrap().unwrap().path;
        [MODEL_FILE, OPTIMIZER_FILE].map(|f| fs::read(path.join(f)).unwrap())
    };
    let [straight, parts] = ["straight", "parts"].map(|name| folder.path().join(name));
    let mut job = Job::new(gpu, Optimizer::adam(0.01), pruning(Pruned::Revive));
    job.logdir = Some(&straight);
    all(job.on(1, |_| in_step(15, 4)));
    job.logdir = Some(&parts);
    for (ranks, until) in [(4, 5), (1, 9), (2, 15)] {
        let outcomes = all(job.on(ranks, |_| in_step(until, 4)));
        assert!(outcomes[0].checkpoint.is_some());
        assert!(outcomes[1..].iter().all(|outcome| outcome.checkpoint.is_none()));
        assert!(outcomes.iter().all(|outcome| outcome.global_step == until));
    }
    assert!(files(&straight) == files(&parts), "weights, slots, masks");
}

/// Every rank stops after the same step, whoever is asked.
#[test]
fn a_stop_of_one_is_a_stop_of_all() {
    let Some(gpu) = gpu() else { return };
    let job = Job::new(gpu, Optimizer::adam(0.01), MaskUpdateOp::none());
    let outcomes = all(job.on(3, |rank| {
        let stop = Arc::new(AtomicBool::new(false));
        let options = in_step(1000, 3).stop(Some(Arc::clone(&stop)));
        options.on_event(Some(Box::new(move |event| {
            if matches!(event, Event::Step(step) if step.step == 4 && rank == 2) {
                stop.store(true, Ordering::Relaxed);
            }
        })))
    }));
    let ends: Vec<_> = outcomes.iter().map(|o| (o.global_step, o.end)).collect();
    assert_eq!(ends, vec![ends[0]; 3]);
    assert_eq!(ends[0].1, End::Stopped);
    assert!((5..20).contains(&ends[0].0), "{ends:?}");
}

/// Two epochs of 4 batches for 3 ranks: 3 + 3 + 2 batches, and every rank sees the end there.
#[test]
fn the_end_of_the_data_is_everybodys() {
    let Some(gpu) = gpu() else { return };
    let job = Job::new(gpu, Optimizer::adam(0.01), MaskUpdateOp::none());
    let batches = |_| {
        let batches = Batches::new(blobs(), 16, Some(SEED));
        batches.unwrap().epochs(Some(2))
    };
    let unlimited = |_| TrainOptions::default().sync_optimizer(Some(SyncReplicas::default()));
    let outcomes = all(job.with(3, batches, unlimited));
    for outcome in &outcomes {
        assert_eq!((outcome.global_step, outcome.end), (3, End::EndOfData));
        assert_eq!(weights(outcome), weights(&outcomes[0]));
    }
}

/// Step and waiting times of each rank are among the chief's summaries.
#[test]
fn the_chief_summarises_every_rank() {
    let Some(gpu) = gpu() else { return };
    let job = Job::new(gpu, Optimizer::adam(0.01), MaskUpdateOp::none());
    let seen = [0, 1].map(|_| Arc::new(Shared::<Seen>::default()));
    all(job.on(2, |rank| {
        let notes = Notes::of(&seen[rank]);
        in_step(5, 2).save_summaries_steps(Some(1)).summary_writer(Summaries::Own(Box::new(notes)))
    }));
    assert!(seen[1].borrow_mut().scalars.is_empty(), "others write nothing");
    let scalars = &seen[0].borrow_mut().scalars;
    for tag in ["step_seconds", "wait_seconds"] {
        for rank in 0..2 {
            let tag = format!("replicas/{tag}/rank_{rank}");
            let values = scalars.iter().filter(|((other, _), _)| *other == tag);
            let values: Vec<f32> = values.map(|(_, value)| *value).collect();
            assert!(values.len() >= 4, "{tag}: {values:?}");
            assert!(values.iter().all(|v| v.is_finite() && *v >= 0.0), "{tag}: {values:?}");
        }
    }
}
