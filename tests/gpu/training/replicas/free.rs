//! Ranks that do not wait for all others: backup workers, and without waiting at all.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use secateur::checkpoint::newest;
use secateur::data::{Batch, BatchSource, Batches, Cursor, Schema, Task};
use secateur::kernels::Pruned;
use secateur::optim::Optimizer;
use secateur::prune::MaskUpdateOp;
use secateur::train::{End, Event, Summaries, TrainOptions};
use secateur::{Error, Result};

use super::super::summaries::{Notes, Seen};
use super::super::{SEED, blobs, pruning, weights};
use super::{Job, all, in_step};
use crate::common::gpu;
use crate::shared::Shared;

/// Batches of a rank that takes its time for each, and counts those that it has made.
struct Slow(Batches, Duration, Arc<AtomicU64>);

impl BatchSource for Slow {
    fn batch_size(&self) -> usize {
        self.0.batch_size()
    }

    fn shape(&self) -> &[usize] {
        self.0.shape()
    }

    fn task(&self) -> Task {
        self.0.task()
    }

    fn schema(&self) -> Schema {
        self.0.schema()
    }

    fn next_batch(&mut self, batch: &mut Batch) -> Result<bool> {
        sleep(self.1);
        self.2.fetch_add(1, Ordering::Relaxed);
        self.0.next_batch(batch)
    }

    fn skip(&mut self, batches: u64) -> Result<u64> {
        self.0.skip(batches)
    }

    fn cursor(&self) -> Cursor {
        self.0.cursor()
    }

    fn seek(&mut self, cursor: Cursor) -> Result<()> {
        self.0.seek(cursor)
    }
}

fn free(steps: u64) -> TrainOptions<'static> {
    TrainOptions::default().number_of_steps(Some(steps))
}

fn notes(seen: &Arc<Shared<Seen>>, options: TrainOptions<'static>) -> TrainOptions<'static> {
    let notes = Summaries::Own(Box::new(Notes::of(seen)));
    options.save_summaries_steps(Some(1)).summary_writer(notes)
}

/// 3 ranks, 2 gradients an update, one rank slow: updates do not wait for it.
#[test]
fn backup_workers_are_not_waited_for() {
    let Some(gpu) = gpu() else { return };
    let job = Job::new(gpu, Optimizer::adam(0.01), pruning(Pruned::Zero));
    let made: [Arc<AtomicU64>; 3] = Default::default();
    let batches = |rank: usize| {
        let pause = Duration::from_millis(if rank == 2 { 400 } else { 0 });
        Slow(Batches::new(blobs(), 16, Some(SEED)).unwrap(), pause, Arc::clone(&made[rank]))
    };
    let seen = Arc::new(Shared::<Seen>::default());
    let outcomes = all(job.with(3, batches, |rank| match rank {
        0 => notes(&seen, in_step(60, 2)),
        _ => in_step(60, 2),
    }));
    assert!(outcomes.iter().all(|o| (o.global_step, o.end) == (60, End::StepLimit)));
    let made = made.map(|made| made.load(Ordering::Relaxed));
    assert!(made[2] < made[0] && made[2] < made[1], "{made:?}");
    let dropped = seen.borrow().scalars.get(&("replicas/dropped".to_owned(), 60)).copied();
    let dropped = dropped.unwrap();
    // Each rank has looked at the first batch before the first step, to compare it.
    let total = made.iter().sum::<u64>() - 3;
    // What was made and neither used nor dropped was on its way at the end.
    let underway = total as i64 - 120 - dropped as i64;
    assert!((0..=3).contains(&underway), "{made:?}, {dropped} dropped");
    let zeros = outcomes[0].session.weights("fc1.weight").unwrap();
    assert_eq!(zeros.iter().filter(|w| **w == 0.0).count(), 96, "80 % of 120");
}

/// Exactly the steps asked for, and a network that has learned.
#[test]
fn without_waiting_it_ends_at_its_limit() {
    let Some(gpu) = gpu() else { return };
    for ranks in [2, 4] {
        let folder = tempfile::tempdir().unwrap();
        let mut job = Job::new(gpu, Optimizer::adam(0.01), pruning(Pruned::Zero));
        job.logdir = Some(folder.path());
        let seen = Arc::new(Shared::<Seen>::default());
        let outcomes = all(job.on(ranks, |rank| match rank {
            0 => notes(&seen, free(300)),
            _ => free(300),
        }));
        assert!(outcomes.iter().all(|o| (o.global_step, o.end) == (300, End::StepLimit)));
        assert_eq!(newest(folder.path()).unwrap().unwrap().manifest.global_step, 300);
        let evaluated = outcomes[0].session.evaluate(&blobs()).unwrap();
        assert!(evaluated.accuracy().unwrap() > 0.7, "{evaluated:?}");
        let seen = seen.borrow();
        assert!(seen.has_histogram("replicas/staleness"), "staleness is a histogram");
    }
}

/// Gradients that are further behind than the limit are dropped; with none allowed, a rank's
/// update is of the weights that it saw.
#[test]
fn staleness_is_bounded() {
    let Some(gpu) = gpu() else { return };
    let job = Job::new(gpu, Optimizer::adam(0.01), MaskUpdateOp::none());
    let seen = Arc::new(Shared::<Seen>::default());
    all(job.on(3, |rank| match rank {
        0 => notes(&seen, free(40).max_staleness(Some(0))),
        _ => free(40).max_staleness(Some(0)),
    }));
    let dropped = seen.borrow().scalars[&("replicas/dropped".to_owned(), 40)];
    assert!(dropped >= 1.0, "three ranks at once, and only the first of each step counts");
}

/// Two epochs: every batch is used once, whoever has it, and the run ends with the data.
#[test]
fn without_waiting_every_batch_is_used_once() {
    let Some(gpu) = gpu() else { return };
    let job = Job::new(gpu, Optimizer::adam(0.01), MaskUpdateOp::none());
    let batches = |_| Batches::new(blobs(), 16, Some(SEED)).unwrap().epochs(Some(2));
    let outcomes = all(job.with(3, batches, |_| TrainOptions::default()));
    for outcome in outcomes {
        assert_eq!((outcome.global_step, outcome.end), (8, End::EndOfData));
    }
}

/// Ranks besides the chief begin at that step.
#[test]
fn others_wait_for_the_startup_delay() {
    let Some(gpu) = gpu() else { return };
    let made: [Arc<AtomicU64>; 2] = Default::default();
    let batches = |rank: usize| {
        let batches = Batches::new(blobs(), 16, Some(SEED)).unwrap();
        Slow(batches, Duration::ZERO, Arc::clone(&made[rank]))
    };
    let at_ten = Arc::new(AtomicU64::new(u64::MAX));
    let job = Job::new(gpu, Optimizer::adam(0.01), MaskUpdateOp::none());
    all(job.with(2, batches, |rank| {
        let (other, at_ten) = (Arc::clone(&made[1]), Arc::clone(&at_ten));
        free(40).startup_delay_steps(20).on_event(Some(Box::new(move |event| {
            if matches!(event, Event::Step(step) if step.step == 10 && rank == 0) {
                at_ten.store(other.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        })))
    }));
    // It has looked at the first batch before the first step, to compare it.
    assert_eq!(at_ten.load(Ordering::Relaxed), 1, "rank 1 began before step 20");
    assert!(made[1].load(Ordering::Relaxed) > 1, "rank 1 never began");
}

/// A stop ends all; what was given out and not used is in the checkpoint, and comes first then.
#[test]
fn a_run_without_waiting_goes_on() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut job = Job::new(gpu, Optimizer::adam(0.01), pruning(Pruned::Freeze));
    job.logdir = Some(folder.path());
    let batches = |_| Batches::new(blobs(), 16, Some(SEED)).unwrap().epochs(Some(4));
    let outcomes = all(job.with(3, batches, |rank| {
        let stop = Arc::new(AtomicBool::new(false));
        let options = TrainOptions::default().stop(Some(Arc::clone(&stop)));
        options.on_event(Some(Box::new(move |event| {
            if matches!(event, Event::Step(step) if step.step == 5 && rank == 0) {
                stop.store(true, Ordering::Relaxed);
            }
        })))
    }));
    let stopped = outcomes[0].global_step;
    assert!(outcomes.iter().all(|o| (o.global_step, o.end) == (stopped, End::Stopped)));
    assert!((5..16).contains(&stopped), "{stopped}");
    let again = all(job.with(2, batches, |_| TrainOptions::default()));
    assert_eq!((again[0].global_step, again[0].end), (16, End::EndOfData), "4 epochs of 4");
    assert_eq!(weights(&again[0]).len(), 120 + 20 + 260 + 13 + 39 + 3);
}

/// An error of a worker, the chief's own included, is the chief's and everybody's.
#[test]
fn an_error_of_a_worker_ends_all() {
    let Some(gpu) = gpu() else { return };
    for fails in 0..3 {
        let job = Job::new(gpu, Optimizer::adam(0.01), MaskUpdateOp::none());
        let batches = |rank| {
            let breaks: fn() -> Result<bool> = || Err(Error::argument("shard-7", "no such file"));
            let at = if rank == fails { 0 } else { 100_000 };
            let batches = Batches::new(blobs(), 16, Some(SEED)).unwrap();
            super::super::rescue::Breaks(batches, at, breaks)
        };
        for outcome in job.with(3, batches, |_| free(100_000)) {
            let error = outcome.unwrap_err().to_string();
            assert!(error.contains("shard-7"), "{fails}: {error}");
        }
    }
}
