//! What each rank does: this program again, which `mpirun` starts (`launch::Job::scenario`).
use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use std::{env, thread};

use secateur::comm::{Comm, EndsOnPanic, Lane, MpiComm, connect};

use crate::launch::{SCENARIO, dress};
use crate::ranks;
#[cfg(target_os = "linux")]
use crate::trainees;

/// A rank does what its scenario says; by itself this test asks whether a process is alone.
#[test]
fn a_process_without_mpirun_is_alone() {
    if let Ok(name) = env::var(SCENARIO) {
        return scenario(&name);
    }
    let mut command = Command::new(env::current_exe().unwrap());
    dress(&mut command, "promises");
    let output = command.output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{stdout}");
    assert!(stderr.contains("mpirun has started ranks"), "{stdout}{stderr}");
}

fn scenario(name: &str) {
    match name {
        "promises" => promises(),
        "pieces" => pieces(),
        "panics" => panics(),
        "panics_in_a_thread" => panics_in_a_thread(),
        "aborts" => aborts(),
        "connects_twice" => connects_twice(),
        "waits" => waits(),
        "sums" => sums(),
        #[cfg(target_os = "linux")]
        other => trainees::trains(other),
        #[cfg(not(target_os = "linux"))]
        other => panic!("no scenario {other}"),
    }
}

/// The ranks that `mpirun` has started this process among.
pub fn connected() -> Arc<dyn Comm> {
    connect().unwrap().expect("mpirun has started ranks")
}

fn promises() {
    let comm = connected();
    ranks::all(&*comm);
    println!("rank {} of {} kept them, {}", comm.rank(), comm.size(), comm.engine());
}

/// The same in transfers of 1,000 bytes, so that all but the shortest goes in pieces.
fn pieces() {
    let comm = MpiComm::init().unwrap().transfer_bytes(1000);
    ranks::all(&comm);
    // A message of just one full piece, and of two.
    for length in [999, 1000, 2000] {
        // A rank that sends to itself may wait until it receives.
        let got = thread::scope(|scope| {
            scope.spawn(|| comm.send(comm.rank(), Lane::Worker, &vec![7; length]).unwrap());
            comm.receive(Lane::Worker, Duration::MAX).unwrap()
        });
        assert_eq!(got, Some((comm.rank(), vec![7; length])));
    }
    println!("rank {} kept them", comm.rank());
}

fn panics() {
    let comm = connected();
    wait_unless(comm, 1, || panic!("planted"));
}

/// A panic in a thread that does not hold the last handle.
fn panics_in_a_thread() {
    let comm = connected();
    let theirs = Arc::clone(&comm);
    wait_unless(comm, 1, move || {
        let thread = thread::spawn(move || {
            let _ends = EndsOnPanic(&*theirs);
            panic!("planted");
        });
        thread.join().unwrap_err();
    });
}

fn aborts() {
    let comm = connected();
    let theirs = Arc::clone(&comm);
    wait_unless(comm, 0, move || theirs.abort(71, "planted"));
}

/// Rank `rank` does `it`; the others wait for what never comes.
fn wait_unless(comm: Arc<dyn Comm>, rank: usize, it: impl FnOnce()) {
    comm.all_gather_bytes(&[]).unwrap();
    if comm.rank() == rank {
        it();
    }
    comm.all_gather_bytes(&[]).unwrap();
    println!("rank {} goes on", comm.rank());
}

fn connects_twice() {
    let comm = connected();
    let error = connect().unwrap_err().to_string();
    assert!(error.contains("connected already"), "{error}");
    println!("rank {} heard of it", comm.rank());
}

/// How much of the processor waiting takes: rank 0 lets the others wait.
fn waits() {
    let comm = connected();
    let nap = Duration::from_secs(1);
    let before = processor_time();
    if comm.rank() == 0 {
        thread::sleep(nap);
    }
    comm.all_gather_bytes(&[]).unwrap();
    let collective = processor_time() - before;
    let before = processor_time();
    assert_eq!(comm.receive(Lane::Server, nap).unwrap(), None);
    let receiving = processor_time() - before;
    println!("rank {} used {collective:?} and {receiving:?}", comm.rank());
    assert!(collective.max(receiving) < nap / 4, "{collective:?}, {receiving:?}");
}

/// Of this process, on Linux.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    // User and system time, in hundredths of a second.
    let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

/// Prints one line for each distinct result of a hundred sums of the same terms.
fn sums() {
    let comm = connected();
    let length = 100_000;
    let serial = ranks::serial_sum(comm.size(), length, 0);
    let mut seen = Vec::new();
    for _ in 0..100 {
        let sum = ranks::ordered_sum(&*comm, length, 0);
        let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&sum), bits(&serial));
        let mut hash = DefaultHasher::new();
        bits(&sum).hash(&mut hash);
        let hash = hash.finish();
        if !seen.contains(&hash) {
            seen.push(hash);
            println!("\nresult {hash:016x} with {}", comm.engine());
        }
    }
}
