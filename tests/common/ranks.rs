//! What ranks promise, whatever carries their messages: each rank runs these checks.
use std::thread;
use std::time::{Duration, Instant};

use secateur::Error;
use secateur::comm::{Comm, Lane};

const SECOND: Duration = Duration::from_secs(1);
/// Long enough for a loaded machine; a check that waits for it has failed.
const LONG: Duration = Duration::from_secs(60);

/// All of them, in turn.
pub fn all(comm: &dyn Comm) {
    let (rank, size) = (comm.rank(), comm.size());
    assert!(rank < size && comm.local_rank() < size, "{comm:?}");
    assert!(!comm.engine().is_empty());
    let checks = [
        collectives,
        lengths_that_do_not_fit,
        messages_in_their_order,
        messages_beside_collectives,
        patience,
    ];
    for check in checks {
        check(comm);
        // Nobody's next check meets what this one sends.
        comm.all_gather_bytes(&[]).unwrap();
    }
    assert_eq!(ordered_sum(comm, 1000, 7), serial_sum(size, 1000, 7));
}

/// Values of every rank reach every rank, many collectives in a row, empty ones among them.
fn collectives(comm: &dyn Comm) {
    let (rank, size) = (comm.rank(), comm.size());
    for round in 0..200 {
        let slice = [0, 1, 3, 1000][round % 4];
        let value = |from: usize, to: usize, i: usize| (round + from * 100 + to * 10 + i) as f32;
        let slices = |value: &dyn Fn(usize, usize) -> f32| -> Vec<f32> {
            (0..size * slice).map(|at| value(at / slice, at % slice)).collect()
        };
        let mut taken = vec![f32::NAN; size * slice];
        comm.all_to_all(&slices(&|to, i| value(rank, to, i)), &mut taken).unwrap();
        assert_eq!(taken, slices(&|from, i| value(from, rank, i)), "all_to_all, round {round}");
        taken.fill(f32::NAN);
        let given: Vec<f32> = (0..slice).map(|i| value(rank, 0, i)).collect();
        comm.all_gather(&given, &mut taken).unwrap();
        assert_eq!(taken, slices(&|from, i| value(from, 0, i)), "all_gather, round {round}");
        let longer = [1, 40][round % 2];
        let ragged =
            |from: usize| vec![(round + from) as u8; (round * 7 + from * 11) % 50 * longer];
        let all = comm.all_gather_bytes(&ragged(rank)).unwrap();
        assert_eq!(all, (0..size).map(ragged).collect::<Vec<_>>(), "bytes, round {round}");
    }
}

fn lengths_that_do_not_fit(comm: &dyn Comm) {
    let size = comm.size();
    let wrong = [
        comm.all_to_all(&vec![0.0; size], &mut vec![0.0; 2 * size]),
        comm.all_gather(&[0.0], &mut vec![0.0; size + 1]),
    ];
    assert!(wrong.iter().all(|e| matches!(e, Err(Error::Shape { .. }))), "{wrong:?}");
    if size > 1 {
        let odd = comm.all_to_all(&vec![0.0; size + 1], &mut vec![0.0; size + 1]);
        assert!(odd.unwrap_err().to_string().contains(&format!("{size} ranks")));
    }
    let nobody = comm.send(size, Lane::Server, b"x").unwrap_err().to_string();
    assert!(nobody.contains("to") && nobody.contains(&size.to_string()), "{nobody}");
}

/// Each rank to each, on both lanes at once, short and long messages in turn.
fn messages_in_their_order(comm: &dyn Comm) {
    let (rank, size) = (comm.rank(), comm.size());
    let message = |from: usize, to: usize, n: usize, lane: Lane| {
        let length = [0, 1, 1000, 100_000][n % 4];
        let mut message = vec![(from + 10 * to) as u8; length];
        message.extend([n as u8, lane as u8]);
        message
    };
    thread::scope(|scope| {
        for lane in [Lane::Server, Lane::Worker] {
            scope.spawn(move || {
                for n in 0..12 {
                    let send = |to| comm.send(to, lane, &message(rank, to, n, lane)).unwrap();
                    (0..size).for_each(send);
                }
            });
            scope.spawn(move || {
                let mut next = vec![0; size];
                for _ in 0..12 * size {
                    let (from, got) = comm.receive(lane, LONG).unwrap().expect("a message");
                    assert!(got == message(from, rank, next[from], lane), "{from}: {}", got.len());
                    next[from] += 1;
                }
                assert_eq!(next, vec![12; size]);
            });
        }
    });
}

fn messages_beside_collectives(comm: &dyn Comm) {
    let (rank, size) = (comm.rank(), comm.size());
    let next = (rank + 1) % size;
    thread::scope(|scope| {
        scope.spawn(move || {
            for n in 0..50_u8 {
                comm.send(next, Lane::Worker, &[n; 10]).unwrap();
                let (from, got) = comm.receive(Lane::Worker, LONG).unwrap().expect("a message");
                assert_eq!((from, got), ((rank + size - 1) % size, vec![n; 10]));
            }
        });
        for n in 0..50 {
            let mut taken = vec![0.0; 64 * size];
            comm.all_gather(&[n as f32; 64], &mut taken).unwrap();
            assert_eq!(taken, vec![n as f32; 64 * size]);
        }
    });
}

fn patience(comm: &dyn Comm) {
    for millis in [0, 30] {
        let (start, patience) = (Instant::now(), Duration::from_millis(millis));
        assert_eq!(comm.receive(Lane::Server, patience).unwrap(), None);
        let took = start.elapsed();
        assert!(took >= patience && took < patience + 5 * SECOND, "{took:?} for {patience:?}");
    }
    thread::scope(|scope| {
        let taking = scope.spawn(|| comm.receive(Lane::Server, Duration::MAX).unwrap());
        thread::sleep(Duration::from_millis(20));
        assert_eq!(comm.receive(Lane::Worker, Duration::ZERO).unwrap(), None);
        comm.send(comm.rank(), Lane::Server, b"late").unwrap();
        assert_eq!(taking.join().unwrap(), Some((comm.rank(), b"late".to_vec())));
    });
}

/// What rank `rank` adds in run `run`: of magnitudes that make the order of a sum show.
fn term(rank: usize, run: usize, i: usize) -> f32 {
    let bits =
        (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15 ^ ((rank + 31 * run) as u64) << 17);
    let unit = (bits >> 40) as f32 / (1 << 24) as f32 - 0.5;
    unit * [1.0, 1e3, 1e-3][bits as usize % 3]
}

/// The sum over all ranks, of `length` values, each rank adding its slice in the order of
/// ranks.
pub fn ordered_sum(comm: &dyn Comm, length: usize, run: usize) -> Vec<f32> {
    let (rank, size) = (comm.rank(), comm.size());
    let slice = length.div_ceil(size);
    let mut given: Vec<f32> = (0..length).map(|i| term(rank, run, i)).collect();
    given.resize(slice * size, 0.0);
    let mut terms = vec![0.0; slice * size];
    comm.all_to_all(&given, &mut terms).unwrap();
    let mut sum = vec![0.0; slice];
    for rank in terms.chunks_exact(slice) {
        sum.iter_mut().zip(rank).for_each(|(sum, x)| *sum += x);
    }
    let mut all = vec![0.0; slice * size];
    comm.all_gather(&sum, &mut all).unwrap();
    all.truncate(length);
    all
}

/// The same in one place.
pub fn serial_sum(size: usize, length: usize, run: usize) -> Vec<f32> {
    let sum = |i| (0..size).fold(0.0, |sum, rank| sum + term(rank, run, i));
    (0..length).map(sum).collect()
}
