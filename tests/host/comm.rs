//! Ranks that are threads, and what a launcher says in the environment.
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use secateur::Error;
use secateur::comm::{Comm, EXIT_PANIC, EndsOnPanic, Lane, Launch, LocalComm, connect};

use crate::rank_checks;

/// What each of `size` ranks returns, by rank.
///
/// # Panics
/// Where one panics, or they take over a minute.
fn on_ranks<T: Send + 'static>(
    size: usize,
    work: impl Fn(LocalComm) -> T + Send + Sync + 'static,
) -> Vec<T> {
    let work = Arc::new(work);
    let (sender, done) = mpsc::channel();
    for comm in LocalComm::group(size) {
        let (work, sender) = (Arc::clone(&work), sender.clone());
        thread::spawn(move || {
            let rank = comm.rank();
            sender.send((rank, work(comm))).unwrap();
        });
    }
    drop(sender);
    let next = || done.recv_timeout(Duration::from_secs(60)).expect("a rank failed or hangs");
    let mut all: Vec<_> = (0..size).map(|_| next()).collect();
    all.sort_by_key(|(rank, _)| *rank);
    all.into_iter().map(|(_, result)| result).collect()
}

#[test]
fn threads_keep_what_ranks_promise() {
    for size in [1, 2, 3, 5] {
        on_ranks(size, |comm| rank_checks::all(&comm));
    }
}

#[test]
fn ranks_that_give_unlike_lengths_are_named() {
    let errors = on_ranks(3, |comm| {
        let length = 1 + usize::from(comm.rank() == 2);
        comm.all_gather(&vec![0.0; length], &mut vec![0.0; 3 * length]).unwrap_err().to_string()
    });
    assert_eq!(errors[0], "all_gather: rank 2 gives 2 values, rank 0 gives 1");
    assert_eq!(errors[2], "all_gather: rank 0 gives 1 values, rank 2 gives 2");
}

#[test]
fn an_end_reaches_every_rank_wherever_it_waits() {
    let errors = on_ranks(5, |comm| match comm.rank() {
        0 => {
            thread::sleep(Duration::from_millis(50));
            comm.abort(2, "no more");
            // The first word stands.
            comm.abort(3, "never");
            comm.send(1, Lane::Server, b"x").map(|()| Vec::new())
        }
        1 => comm.receive(Lane::Server, Duration::MAX).map(|_| Vec::new()),
        2 => comm.receive(Lane::Worker, Duration::from_secs(50)).map(|_| Vec::new()),
        _ => comm.all_gather_bytes(b"x"),
    });
    for error in errors {
        let Err(Error::Peer { rank: 0, message }) = &error else { panic!("{error:?}") };
        assert_eq!(message, "no more");
    }
}

#[test]
fn a_rank_that_panics_ends_the_others() {
    let errors = on_ranks(2, |comm| {
        if comm.rank() == 1 {
            let panic = thread::spawn(move || {
                let _ends = EndsOnPanic(&comm);
                panic!("planted");
            });
            panic.join().unwrap_err();
            return None;
        }
        let _ends = EndsOnPanic(&comm);
        Some(comm.receive(Lane::Worker, Duration::MAX).unwrap_err().to_string())
    });
    assert_eq!(errors[0].as_deref(), Some("rank 1 ended the job: it panicked"));
    assert_eq!(EXIT_PANIC, 70);
}

/// What is found where these variables are set.
fn found(variables: &[(&str, &str)]) -> Option<(&'static str, Option<usize>)> {
    let read = |name: &str| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Launch::found(read).map(|launch| (launch.variable, launch.ranks))
}

#[test]
fn launchers_are_known_by_the_environment() {
    let open_mpi = [("PMIX_RANK", "3"), ("OMPI_COMM_WORLD_SIZE", "4"), ("PMI_SIZE", "9")];
    assert_eq!(found(&open_mpi), Some(("OMPI_COMM_WORLD_SIZE", Some(4))));
    assert_eq!(found(&[("PMI_RANK", "0"), ("PMI_SIZE", "2")]), Some(("PMI_SIZE", Some(2))));
    assert_eq!(found(&[("MV2_COMM_WORLD_SIZE", "8")]), Some(("MV2_COMM_WORLD_SIZE", Some(8))));
    let srun = [("SLURM_STEP_ID", "0"), ("SLURM_PROCID", "1"), ("SLURM_STEP_NUM_TASKS", "2")];
    assert_eq!(found(&srun), Some(("SLURM_STEP_NUM_TASKS", Some(2))));
    assert_eq!(found(&[("PMIX_RANK", "0")]), Some(("PMIX_RANK", None)));
    // mpirun within a job of Slurm.
    let both = [srun.as_slice(), &[("OMPI_COMM_WORLD_SIZE", "16")]].concat();
    assert_eq!(found(&both), Some(("OMPI_COMM_WORLD_SIZE", Some(16))));
}

#[test]
fn a_process_that_is_alone_is_found_to_be() {
    assert_eq!(found(&[]), None);
    assert_eq!(found(&[("OMPI_COMM_WORLD_SIZE", "1"), ("PMIX_RANK", "0")]), None);
    assert_eq!(found(&[("OMPI_COMM_WORLD_SIZE", "many")]), None);
    // The script of sbatch, and the shell of salloc, as a step of its own and without one.
    let script = [("SLURM_NTASKS", "4"), ("SLURM_PROCID", "0"), ("SLURM_JOB_ID", "7")];
    assert_eq!(found(&script), None);
    let shell = [("SLURM_STEP_ID", "4294967290"), ("SLURM_STEP_NUM_TASKS", "4")];
    assert_eq!(found(&[script.as_slice(), &shell].concat()), None);
    // An interactive shell that is the one task of its step.
    let bash = [("SLURM_STEP_ID", "0"), ("SLURM_STEP_NUM_TASKS", "1"), ("PMIX_RANK", "0")];
    assert_eq!(found(&bash), None);
    assert!(connect().unwrap().is_none());
}
