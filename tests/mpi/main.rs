//! Ranks that are processes: jobs under `mpirun`, of this test program and of the command line.
//!
//! Where `mpirun` is missing a line on stderr says so, or the tests fail, where
//! `SECATEUR_REQUIRE_TOOLS=1`. `SECATEUR_MPIRUN` names another `mpirun`, of the library that these
//! tests were built with: `scripts/judge_mpich.sh` does so.
#[cfg(target_os = "linux")]
mod bad_days;
mod command_line;
mod exchange;
#[cfg(target_os = "linux")]
mod jobs;
mod launch;
#[cfg(target_os = "linux")]
#[path = "../faults/mount.rs"]
#[allow(dead_code, reason = "disks here do not turn read-only")]
mod mount;
#[path = "../common/needs.rs"]
mod needs;
#[path = "../common/paths.rs"]
mod paths;
#[cfg(all(target_os = "linux", feature = "text"))]
mod pretrained;
#[path = "../common/ranks.rs"]
mod ranks;
mod scenarios;
#[cfg(target_os = "linux")]
mod trainees;

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use launch::{dress, mpirun};

/// Runs `scenario` on 2 and 4 ranks, each of which must say `words`.
fn every_rank_says(scenario: &str, words: &str) {
    for ranks in [2, 4] {
        let Some(job) = mpirun(ranks) else { return };
        let ended = job.scenario(scenario).run().expect(0);
        let said = ended.stdout.matches(words).count();
        assert_eq!(said, ranks, "{}\n{}", ended.stdout, ended.stderr);
    }
}

#[test]
fn processes_keep_what_ranks_promise() {
    every_rank_says("promises", "kept them");
}

#[test]
fn what_is_too_long_for_a_transfer_goes_in_pieces() {
    every_rank_says("pieces", "kept them");
}

#[test]
fn a_second_connection_is_refused() {
    every_rank_says("connects_twice", "heard of it");
}

#[cfg(target_os = "linux")]
#[test]
fn waiting_takes_no_core() {
    every_rank_says("waits", "used");
}

/// Runs `scenario`, in which one of 4 ranks ends the job with `code`.
fn one_rank_ends_all(scenario: &str, code: i32) {
    let Some(job) = mpirun(4) else { return };
    let ended = job.scenario(scenario).run().expect(code);
    assert!(!ended.stdout.contains("goes on"), "{}", ended.stdout);
    assert!(ended.took < Duration::from_secs(20), "{:?}", ended.took);
}

#[test]
fn a_panic_in_one_rank_ends_the_job() {
    one_rank_ends_all("panics", 70);
}

#[test]
fn a_panic_in_a_thread_ends_the_job() {
    one_rank_ends_all("panics_in_a_thread", 70);
}

#[test]
fn a_rank_ends_the_job_with_its_code() {
    one_rank_ends_all("aborts", 71);
}

/// A job of one rank, and one whose launcher is another library's.
#[test]
fn ranks_that_do_not_find_each_other_are_no_run() {
    let Some(job) = mpirun(1) else { return };
    let ended = job.scenario("promises").run();
    assert!(ended.stderr.contains("mpirun has started ranks"), "{}", ended.stderr);
    let mut command = Command::new(std::env::current_exe().unwrap());
    dress(&mut command, "promises");
    let output = command.env("PMI_SIZE", "3").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && stderr.contains("started 3 ranks, and MPI says 1"),
        "{stderr}"
    );
}

#[test]
fn a_hundred_sums_in_the_order_of_ranks_are_one() {
    let Some(job) = mpirun(4) else { return };
    let ended = job.scenario("sums").run().expect(0);
    let results: BTreeSet<&str> =
        ended.stdout.lines().filter(|line| line.starts_with("result ")).collect();
    assert_eq!(results.len(), 1, "{}", ended.stdout);
    needs::say(results.first().expect("one"));
}
