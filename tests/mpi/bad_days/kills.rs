//! SIGKILL at any moment, to any process of a job.
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::jobs::{STEPS, Training, Way, Who, straight};
use crate::needs::say;

/// A job without its launcher, or without a rank, is over by then.
const SOON: Duration = Duration::from_secs(20);
const ALL: [Who; 3] = [Who::Rank(1), Who::Rank(0), Who::Mpirun];

/// How many jobs of each process are killed; 1 without this.
const KILLS: &str = "SECATEUR_KILLS";

#[test]
fn a_killed_job_in_step_ends_as_one_that_was_not() {
    each(Way::InStep);
}

#[test]
fn a_killed_job_with_backup_workers_is_taken_up() {
    each(Way::Backup);
}

#[test]
fn a_killed_asynchronous_job_is_taken_up() {
    each(Way::Async);
}

fn each(way: Way) {
    let jobs = std::env::var(KILLS).map_or(1, |n| n.parse().expect("SECATEUR_KILLS is a number"));
    ALL.into_iter().for_each(|who| kills(way, who, jobs));
}

/// Seconds to the job's end, and to the first save of the next one, 5 steps on at most.
struct Took {
    end: f64,
    again: Option<f64>,
    from: u64,
}

/// Kills `who` in each of so many jobs, and takes each up, with another number of ranks.
fn kills(way: Way, who: Who, jobs: usize) {
    let Some(straight) = straight() else { return };
    let mut random = ChaCha8Rng::seed_from_u64(jobs as u64);
    let mut all = Vec::new();
    while all.len() < jobs {
        // One may come too late.
        all.extend(kill(way, who, all.len(), straight, &mut random));
    }
    let list = |mut seconds: Vec<f64>| {
        seconds.sort_unstable_by(f64::total_cmp);
        let median = seconds.get(seconds.len() / 2).copied().unwrap_or_default();
        format!(
            "median {median:.2} s, at most {:.2} s",
            seconds.last().copied().unwrap_or_default()
        )
    };
    let ends = list(all.iter().map(|took| took.end).collect());
    let again = list(all.iter().filter_map(|took| took.again).collect());
    let from: Vec<u64> = all.iter().map(|took| took.from).collect();
    say(&format!(
        "{way:?}, {who:?} killed {jobs} times: all gone {ends}; kill to the next job's first save \
         {again}; taken up from {from:?}"
    ));
}

/// `None` where the job was at its end before.
fn kill(
    way: Way,
    who: Who,
    number: usize,
    straight: &[Vec<u8>; 2],
    random: &mut ChaCha8Rng,
) -> Option<Took> {
    let training = Training::new(way)?;
    let mut job = training.start(way.ranks())?;
    // Every fourth one in its start.
    if number % 4 == 3 {
        sleep(Duration::from_millis(random.next_u64() % 1500));
    } else {
        for _ in 0..=random.next_u64() % 5 {
            job.says("saved ");
        }
        sleep(Duration::from_micros(random.next_u64() % 30_000));
    }
    let begun = Instant::now();
    if !job.signal("-KILL", who) {
        return None;
    }
    let over = job.end();
    let end = begun.elapsed();
    if over.code == 0 {
        return None;
    }
    assert!(end < SOON, "{end:?}: {:#?}", over.said);
    match who {
        Who::Mpirun => assert_eq!(over.code, -9),
        // Open MPI says whom it missed; MPICH gives the signal.
        Who::Rank(_) => assert!([137, 9].contains(&over.code), "{over:?}"),
    }
    let (from, told) = (training.newest(), over.acknowledged());
    assert!(from >= told, "the save of step {told} is lost, {from} is the newest");
    let ranks = match way {
        Way::InStep => [1, 2, 4][number % 3],
        _ => way.ranks() + number % 2,
    };
    let mut job = training.start(ranks)?;
    let first = (from < STEPS).then(|| {
        job.says("saved ");
        begun.elapsed().as_secs_f64()
    });
    job.end().expect(0);
    training.ends_as(Some(straight), ranks, STEPS);
    Some(Took { end: end.as_secs_f64(), again: first, from })
}
