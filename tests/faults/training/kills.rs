//! SIGKILL at any time of a run: started again it ends as if nothing had happened, to the last bit.
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::trainee::{Job, Said, Trainee, adapter, files, straight, temporary};
use crate::needs::say;

#[test]
fn three_killed_runs_end_as_one_that_was_not() {
    kills(3, 1);
}

#[test]
#[ignore = "slow: 20 runs, and each again"]
fn twenty_killed_runs_end_as_one_that_was_not() {
    kills(20, 1);
}

#[test]
fn a_run_killed_five_times_ends_as_one_that_was_not() {
    kills(1, 5);
}

/// What became of kills.
#[derive(Default)]
struct Kills {
    /// Steps that the runs were taken up from.
    from: Vec<u64>,
    /// Those that met a save under way.
    in_saves: usize,
}

/// Kills each of so many runs so many times, and lets it come to its end.
fn kills(runs: usize, times: u64) {
    if !adapter() {
        return;
    }
    let straight = straight(60);
    let mut random = ChaCha8Rng::seed_from_u64(runs as u64);
    let mut done = Kills::default();
    for _ in 0..runs {
        // A kill may come too late.
        let killed = (0..100).find_map(|_| killed(times, &straight, &mut random));
        let Kills { from, in_saves } = killed.expect("one run in 100 that is killed in time");
        done.from.extend(from);
        done.in_saves += in_saves;
    }
    let Kills { from, in_saves } = done;
    say(&format!("{} kills, {in_saves} of them in a save; taken up from {from:?}", from.len()));
    // Else nothing was resumed, and this test says nothing.
    assert!(from.iter().any(|&step| step > 0), "{from:?}");
}

/// One run; `None` where it came to its end before it was killed so many times.
fn killed(times: u64, straight: &[Vec<u8>; 2], random: &mut ChaCha8Rng) -> Option<Kills> {
    let dir = tempfile::tempdir().unwrap();
    let job = Job::new(dir.path());
    let mut done = Kills::default();
    for kill in 0..times {
        let mut trainee = Trainee::start(&job);
        let start = started(trainee.next());
        done.from.extend((kill > 0).then_some(start));
        // The later ones in the later parts of the run.
        let part = 55 / times;
        let step = part * kill + 1 + random.next_u64() % part;
        trainee.find(|said| matches!(said, Said::Step(at) if *at >= step));
        if !trainee.kill(Duration::from_micros(random.next_u64() % 10_000)) {
            return None;
        }
        done.in_saves += usize::from(!temporary(dir.path()).is_empty());
    }
    let said = Trainee::start(&job).end();
    done.from.push(started(said.first().cloned()));
    assert_eq!(said.last(), Some(&Said::Done(60)));
    assert_eq!(temporary(dir.path()), [""; 0]);
    assert!(files(dir.path(), 60) == *straight, "taken up from {:?}", done.from);
    Some(done)
}

fn started(said: Option<Said>) -> u64 {
    match said {
        Some(Said::Start(step)) => step,
        other => panic!("{other:?}"),
    }
}
