//! The exchange of gradients among ranks that are threads: against a fold in one place.
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use secateur::comm::{Comm, Lane, LocalComm, Message};
use secateur::session::Measured;
use secateur::train::{Exchange, Header};
use secateur::{Error, Result};

/// Of each bucket: fewer values than there are ranks, none that divides, and more than a word of
/// mask bits.
const LENGTHS: [usize; 4] = [1, 7, 70, 1000];

/// A value that depends on all of where it is; or a zero whose sign is lost where one is added.
fn value(step: usize, batch: usize, bucket: usize, i: usize) -> f32 {
    if i == 5 {
        return -0.0;
    }
    let mut x = ((step * 31 + batch * 7 + bucket) * 1009 + i) as u64;
    x = x.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (x >> 40) as f32 / 1e7 - 0.8
}

/// Rows of a batch of a step; some have none.
type Rows = fn(step: usize, batch: usize) -> usize;

fn header(rows: usize, last: bool) -> Header {
    Header { batch: Measured { rows, ..Measured::default() }, last, ..Header::default() }
}

/// What `batches` batches a step leave, folded one after the other.
fn serial(steps: usize, batches: usize, rows: Rows) -> Vec<Vec<Vec<u32>>> {
    let bucket = |step: usize, bucket: usize| {
        let (mut mean, mut before) = (vec![0.0; LENGTHS[bucket]], 0);
        for batch in (0..batches).filter(|&batch| rows(step, batch) > 0) {
            before += rows(step, batch);
            let share = rows(step, batch) as f32 / before as f32;
            for (i, mean) in mean.iter_mut().enumerate() {
                let x = value(step, batch, bucket, i);
                *mean = if share == 1.0 { x } else { *mean + share * (x - *mean) };
            }
        }
        mean.into_iter().map(f32::to_bits).collect()
    };
    (0..steps).map(|step| (0..LENGTHS.len()).map(|b| bucket(step, b)).collect()).collect()
}

/// The same of `ranks` ranks in `rounds` rounds; what each of them takes.
fn exchanged(
    ranks: usize,
    rounds: usize,
    steps: usize,
    rows: Rows,
    kept: Option<fn(usize, usize) -> bool>,
) -> Vec<Vec<Vec<Vec<u32>>>> {
    let rank = move |comm: LocalComm| {
        let rank = comm.rank();
        let mut exchange = Exchange::new(Arc::new(comm), LENGTHS.to_vec()).unwrap();
        if let Some(kept) = kept {
            exchange.keep((0..LENGTHS.len()).map(|bucket| bits(bucket, kept)).collect());
        }
        let step = |step: usize| {
            for round in 0..rounds {
                let batch = round * ranks + rank;
                exchange.begin(header(rows(step, batch), round + 1 == rounds));
                for bucket in (0..LENGTHS.len()).filter(|_| rows(step, batch) > 0) {
                    let values = (0..LENGTHS[bucket]).map(|i| value(step, batch, bucket, i));
                    exchange.give(bucket, values.collect());
                }
                let headers = exchange.headers().unwrap();
                let said: Vec<usize> = headers.iter().map(|h| h.batch.rows).collect();
                let want = (0..ranks).map(|rank| rows(step, round * ranks + rank));
                assert_eq!(said, want.collect::<Vec<_>>());
            }
            if (0..ranks * rounds).all(|batch| rows(step, batch) == 0) {
                return LENGTHS.map(|len| vec![0; len]).to_vec();
            }
            let taken = (0..LENGTHS.len()).map(|bucket| {
                let (at, values) = exchange.take().unwrap();
                assert_eq!(at, bucket);
                values.into_iter().map(f32::to_bits).collect()
            });
            taken.collect()
        };
        (0..steps).map(step).collect()
    };
    let threads: Vec<_> =
        LocalComm::group(ranks).into_iter().map(|comm| thread::spawn(move || rank(comm))).collect();
    threads.into_iter().map(|t| t.join().unwrap()).collect()
}

/// Of a bucket the bits of what is `kept`; the second one travels whole.
fn bits(bucket: usize, kept: fn(usize, usize) -> bool) -> Option<Vec<u32>> {
    let mut words = vec![0; LENGTHS[bucket].div_ceil(32)];
    for i in (0..LENGTHS[bucket]).filter(|&i| kept(bucket, i)) {
        words[i / 32] |= 1 << (i % 32);
    }
    (bucket != 1).then_some(words)
}

#[test]
fn any_number_of_ranks_gives_the_bits_of_a_fold_in_one_place() {
    let all: [Rows; 3] = [
        |_, _| 16,
        // The last batch of an epoch is short.
        |step, batch| if batch % 3 == step { 5 } else { 16 },
        // The data ends; and the first one has no rows.
        |step, batch| match (step, batch) {
            (2, 1..) | (1, 0) => 0,
            _ => 16 - batch,
        },
    ];
    for (which, rows) in all.into_iter().enumerate() {
        for (ranks, rounds) in [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (1, 4), (2, 2), (3, 2)] {
            let want = serial(3, ranks * rounds, rows);
            for got in exchanged(ranks, rounds, 3, rows, None) {
                assert!(got == want, "rows {which}: {ranks} ranks in {rounds} rounds");
            }
        }
    }
}

#[test]
fn what_is_kept_has_the_same_bits_and_the_rest_is_zero() {
    let kept: [fn(usize, usize) -> bool; 3] =
        [|_, i| i % 10 == 3, |bucket, i| bucket == 3 && i / 32 == 4, |_, i| i > 2];
    for kept in kept {
        for (ranks, rounds) in [(1, 2), (2, 1), (3, 2)] {
            let mut want = serial(2, ranks * rounds, |_, batch| 16 - batch);
            for (bucket, values) in want.iter_mut().flat_map(|step| step.iter_mut().enumerate()) {
                let travels = |i| bucket == 1 || kept(bucket, i);
                values
                    .iter_mut()
                    .enumerate()
                    .filter(|(i, _)| !travels(*i))
                    .for_each(|(_, v)| *v = 0);
            }
            let got = exchanged(ranks, rounds, 2, |_, batch| 16 - batch, Some(kept));
            assert!(got.iter().all(|got| *got == want), "{ranks} ranks in {rounds} rounds");
        }
    }
}

#[test]
fn headers_travel_whole() {
    let header = Header {
        batch: Measured { rows: 7, loss: f32::NAN, metric: -1.0 / 3.0 },
        wants_stop: true,
        last: false,
        ended: true,
        compute_seconds: 0.1,
        waiting_seconds: f64::MIN_POSITIVE,
    };
    let back = Header::from_bytes(&header.to_bytes()).unwrap();
    assert!(back.batch.loss.is_nan());
    let finite = |h: Header| Header { batch: Measured { loss: 0.0, ..h.batch }, ..h };
    assert_eq!(finite(back), finite(header));
    assert_eq!(Header::from_bytes(&Header::default().to_bytes()), Some(Header::default()));
    assert_eq!(Header::from_bytes(&[1, 2, 3]), None);
}

/// Whether they ask for headers or for gradients.
#[test]
fn a_rank_that_fails_instead_is_an_error_on_all() {
    let ranks = LocalComm::group(3).into_iter().map(|comm| {
        thread::spawn(move || {
            let rank = comm.rank();
            if rank == 1 {
                comm.all_gather_bytes(b"\x01its disk is full").unwrap();
                return None;
            }
            let mut exchange = Exchange::new(Arc::new(comm), vec![8, 8]).unwrap();
            exchange.begin(header(4, true));
            for bucket in [0, 1] {
                exchange.give(bucket, vec![0.5; 8]);
            }
            let first = match rank {
                0 => exchange.headers().map(|_| ()),
                _ => exchange.take().map(|_| ()),
            };
            Some((first.unwrap_err(), exchange.take().unwrap_err().to_string()))
        })
    });
    for rank in ranks.collect::<Vec<_>>() {
        let Some((first, later)) = rank.join().unwrap() else { continue };
        assert!(
            matches!(&first, Error::Peer { rank: 1, message } if message.contains("disk is full")),
            "{first}"
        );
        assert!(later.contains("ended"), "{later}");
    }
}

#[test]
fn ranks_that_take_other_steps_are_an_error() {
    let ranks = LocalComm::group(2).into_iter().map(|comm| {
        thread::spawn(move || {
            let last = comm.rank() == 1;
            let mut exchange = Exchange::new(Arc::new(comm), vec![8]).unwrap();
            exchange.begin(header(0, last));
            exchange.headers().unwrap_err().to_string()
        })
    });
    for rank in ranks.collect::<Vec<_>>() {
        let error = rank.join().unwrap();
        assert!(error.contains("other steps"), "{error}");
    }
}

#[test]
fn the_end_of_a_group_is_an_error_at_take() {
    let mut comms = LocalComm::group(2);
    let (there, here) = (comms.pop().unwrap(), comms.pop().unwrap());
    let mut exchange = Exchange::new(Arc::new(here), vec![8]).unwrap();
    exchange.begin(header(4, true));
    exchange.give(0, vec![0.5; 8]);
    let ends = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        there.abort(70, "it panicked");
    });
    let error = exchange.take().unwrap_err();
    ends.join().unwrap();
    assert!(matches!(&error, Error::Peer { rank: 1, .. }), "{error}");
}

/// It is not waited for where other ranks never come.
#[test]
fn dropping_an_exchange_ends_it() {
    let comms = LocalComm::group(2);
    let mut waits = Exchange::new(Arc::new(comms[0].clone()), vec![8]).unwrap();
    waits.begin(header(4, true));
    waits.give(0, vec![0.5; 8]);
    thread::sleep(Duration::from_millis(50));
    drop(waits);
    drop(Exchange::new(Arc::new(LocalComm::default()), vec![8]).unwrap());
}

#[test]
fn gradients_out_of_their_turn_are_an_error() {
    for (bucket, len, message) in
        [(1, 8, "bucket 1 out of its turn"), (0, 7, "7 values for bucket 0 of 8")]
    {
        let mut exchange = Exchange::new(Arc::new(LocalComm::default()), vec![8, 8]).unwrap();
        exchange.begin(header(4, true));
        exchange.give(bucket, vec![0.5; len]);
        exchange.headers().unwrap();
        let error = exchange.take().unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

/// A comm that panics.
#[derive(Debug)]
struct Broken;

impl Comm for Broken {
    fn engine(&self) -> &str {
        "broken"
    }

    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn local_rank(&self) -> usize {
        0
    }

    fn all_to_all(&self, _: &[f32], _: &mut [f32]) -> Result<()> {
        panic!("the network burns")
    }

    fn all_gather(&self, _: &[f32], _: &mut [f32]) -> Result<()> {
        Ok(())
    }

    fn all_gather_bytes(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
        Ok(vec![bytes.to_vec()])
    }

    fn send(&self, _: usize, _: Lane, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn receive(&self, _: Lane, _: Duration) -> Result<Option<Message>> {
        Ok(None)
    }

    fn abort(&self, _: i32, _: &str) {}
}

#[test]
fn a_panic_in_the_thread_is_an_error_at_take() {
    let mut exchange = Exchange::new(Arc::new(Broken), vec![8]).unwrap();
    exchange.begin(header(4, true));
    exchange.give(0, vec![0.5; 8]);
    let error = exchange.take().unwrap_err().to_string();
    assert!(error.contains("the network burns"), "{error}");
}
