//! Processes that stand still, and panics where nobody looks for them.
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::jobs::{Training, Way, Who};
use crate::launch::mpirun;

/// As the jobs here have it.
const LIMIT: Duration = Duration::from_secs(3);
const LONG: &str = "--steps 100000 --save-steps 50 --watchdog 3";

/// A rank that is stopped ends the job by another one's watchdog.
fn stopped(way: Way, rank: usize) {
    let Some(training) = Training::new(way) else { return };
    let training = training.with(LONG);
    let Some(mut job) = training.start(way.ranks()) else { return };
    job.says("saved ");
    assert!(job.signal("-STOP", Who::Rank(rank)));
    let begun = Instant::now();
    let over = job.end().expect(71);
    let took = begun.elapsed();
    assert!(took > LIMIT / 2 && took < 10 * LIMIT, "{took:?}");
    over.says(&["rank ", "no step for", "3.0 s are allowed; waits for "]);
    assert!(!over.said.iter().any(|line| line.contains("waits for the first step")), "{over:?}");
    assert!(training.newest() >= over.acknowledged());
}

#[test]
fn a_stopped_worker_ends_the_job() {
    stopped(Way::InStep, 1);
    stopped(Way::Async, 1);
}

#[test]
fn a_stopped_chief_ends_the_job() {
    stopped(Way::InStep, 0);
    stopped(Way::Async, 0);
}

#[test]
fn a_stopped_rank_of_backup_workers_ends_the_job() {
    stopped(Way::Backup, 1);
    stopped(Way::Backup, 0);
}

#[test]
fn a_rank_that_goes_on_in_time_ends_nothing() {
    for (way, rank) in [(Way::InStep, 1), (Way::Async, 0)] {
        let Some(training) = Training::new(way) else { return };
        let training = training.with(LONG);
        let Some(mut job) = training.start(way.ranks()) else { return };
        job.says("saved ");
        assert!(job.signal("-STOP", Who::Rank(rank)));
        sleep(LIMIT / 2);
        assert!(job.signal("-CONT", Who::Rank(rank)));
        for _ in 0..3 {
            job.says("saved ");
        }
        assert!(job.signal("-TERM", Who::Rank(rank)));
        job.end().expect(143).says(&["stopped at global step"]);
    }
}

/// A panic that nothing of the library catches, in the middle of a run.
#[test]
fn a_panic_in_training_ends_the_job() {
    for scenario in ["trains_and_panics_in_step", "trains_and_panics_async"] {
        let Some(training) = Training::new(Way::InStep) else { return };
        let Some(job) = mpirun(2) else { return };
        let begun = Instant::now();
        let over = training.launch(job.scenario(scenario)).end().expect(70);
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
        over.says(&["planted: of rank 1"]);
    }
}
