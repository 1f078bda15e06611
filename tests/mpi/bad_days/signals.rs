//! Signals to the launcher, which passes them on in its own way.
use std::thread::sleep;
use std::time::Duration;

use crate::jobs::{Training, Way, Who};

/// SIGUSR1 asks for a checkpoint, and the job goes on; SIGTERM ends it after one.
#[test]
fn the_launcher_passes_signals_on() {
    for way in Way::ALL {
        let Some(mut training) = Training::new(way) else { return };
        // None is saved by itself.
        training.more = "--steps 100000 --save-steps 1000000 --save-secs 0".to_owned();
        let Some(mut job) = training.start(way.ranks()) else { return };
        job.says("from step");
        sleep(Duration::from_millis(500));
        assert!(job.signal("-USR1", Who::Mpirun));
        job.says("saved ");
        assert!(job.signal("-TERM", Who::Mpirun));
        let over = job.end();
        // Open MPI has a code of its own for a launcher that was ended.
        assert!([1, 143].contains(&over.code), "{over:?}");
        let stopped = training.newest();
        assert!(stopped > 0 && stopped >= over.acknowledged(), "{over:?}");
        if way == Way::InStep {
            let steps = stopped + 7;
            training.more = format!("--steps {steps} --save-steps 1000000 --save-secs 0");
            let Some(other) = Training::new(way) else { return };
            let other = other.with(&training.more);
            other.complete(1);
            training.ends_as(Some(&other.files(steps)), 4, steps);
        }
    }
}
