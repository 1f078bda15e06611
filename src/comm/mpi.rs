//! Ranks that are processes, started by an MPI launcher.
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mpi::datatype::PartitionMut;
use mpi::environment::{Universe, initialize_with_threading, library_version};
use mpi::point_to_point::{Message as Found, Status};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Destination, MatchedReceiveVec, Source};
use mpi::{Count, Rank, Tag, Threading, request};

use super::{Comm, EXIT_PANIC, Lane, Message, check_all_gather, check_all_to_all, check_rank};
use crate::{Error, Result};

/// MPI counts in 31 bits.
const TRANSFER: usize = 1 << 30;
/// What a wait takes before it sleeps: peers that are close are not missed by a sleep.
const AWAKE: Duration = Duration::from_micros(50);
const SHORTEST_SLEEP: Duration = Duration::from_micros(20);
const LONGEST_SLEEP: Duration = Duration::from_micros(200);

/// The processes that an MPI launcher has started together; [`connect`](super::connect) makes it
/// where there are any.
///
/// Dropping it ends this rank's part of the job in order, which waits for every rank to do so.
/// While its thread panics it ends every rank instead, with the exit code [`EXIT_PANIC`]: the
/// others would wait for ever.
pub struct MpiComm {
    rank: usize,
    size: usize,
    local_rank: usize,
    engine: String,
    transfer: usize,
    /// By receiver and lane: the pieces of a message are not mixed with another one's.
    sending: Vec<[Mutex<()>; 2]>,
    receiving: [Mutex<()>; 2],
    _universe: Universe,
}

impl MpiComm {
    /// Connects to the other ranks, which all do so.
    ///
    /// # Errors
    /// [`Error::Argument`] the second time in the life of a process, and where the library is not
    /// made for calls from several threads.
    pub fn init() -> Result<Self> {
        let engine = library_version().unwrap_or_default();
        let engine = engine.split([',', '\n']).next().unwrap_or_default().trim().to_owned();
        let (universe, level) =
            initialize_with_threading(Threading::Multiple).ok_or_else(|| {
                Error::argument("mpi", "connected already; connect once and pass the handle on")
            })?;
        if level != Threading::Multiple {
            let message = format!(
                "{engine} gives threads at level {level:?}, {:?} is needed; use an MPI library \
                 that was built for it",
                Threading::Multiple
            );
            return Err(Error::argument("mpi", message));
        }
        let world = universe.world();
        let (rank, size) = (world.rank() as usize, world.size() as usize);
        Ok(Self {
            rank,
            size,
            local_rank: world.split_shared(world.rank()).rank() as usize,
            engine,
            transfer: TRANSFER,
            sending: (0..size).map(|_| Default::default()).collect(),
            receiving: Default::default(),
            _universe: universe,
        })
    }

    /// With transfers of at most `bytes` (from 1 to 2^30, which is the default), the same on every
    /// rank; what is longer goes in pieces.
    #[must_use]
    pub fn transfer_bytes(mut self, bytes: usize) -> Self {
        self.transfer = bytes.clamp(1, TRANSFER);
        self
    }

    /// Waits for all ranks to come here, so that what follows finds them all and spins for nobody.
    fn meet(&self) {
        let mut pause = Pause::new();
        let mut meeting = world().immediate_barrier();
        while let Err(unfinished) = meeting.test() {
            meeting = unfinished;
            pause.take(None);
        }
    }

    fn send_piece(&self, to: usize, tag: Tag, piece: &[u8]) {
        let mut pause = Pause::new();
        request::scope(|scope| {
            let world = world();
            let to = world.process_at_rank(to as Rank);
            let mut sending = to.immediate_send_with_tag(scope, piece, tag);
            while let Err(unfinished) = sending.test() {
                sending = unfinished;
                pause.take(None);
            }
        });
    }

    /// The message that begins with `found`, from its sender.
    fn rest(&self, found: (Found, Status), tag: Tag) -> Message {
        let (mut message, status) = found.matched_receive_vec();
        let from = status.source_rank();
        let mut last = message.len();
        while last == self.transfer {
            let mut pause = Pause::new();
            let next = loop {
                let next = world().process_at_rank(from).immediate_matched_probe_with_tag(tag);
                match next {
                    Some(next) => break next,
                    None => pause.take(None),
                }
            };
            let (piece, _) = next.matched_receive_vec::<u8>();
            last = piece.len();
            message.extend(piece);
        }
        (from as usize, message)
    }
}

impl Comm for MpiComm {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn local_rank(&self) -> usize {
        self.local_rank
    }

    fn engine(&self) -> &str {
        &self.engine
    }

    fn all_to_all(&self, send: &[f32], receive: &mut [f32]) -> Result<()> {
        let slice = check_all_to_all(send, receive, self.size)?;
        self.meet();
        let most = (self.transfer / (4 * self.size)).max(1);
        if (1..=most).contains(&slice) {
            world().all_to_all_into(send, receive);
            return Ok(());
        }
        for start in (0..slice).step_by(most) {
            let part = start..slice.min(start + most);
            let given = send.chunks_exact(slice).flat_map(|to| &to[part.clone()]);
            let given: Vec<f32> = given.copied().collect();
            let mut taken = vec![0.0; given.len()];
            world().all_to_all_into(&given[..], &mut taken[..]);
            let slices = receive.chunks_exact_mut(slice).zip(taken.chunks_exact(part.len()));
            slices.for_each(|(to, from)| to[part.clone()].copy_from_slice(from));
        }
        Ok(())
    }

    fn all_gather(&self, send: &[f32], receive: &mut [f32]) -> Result<()> {
        let slice = check_all_gather(send, receive, self.size)?;
        self.meet();
        let most = (self.transfer / (4 * self.size)).max(1);
        if (1..=most).contains(&slice) {
            world().all_gather_into(send, receive);
            return Ok(());
        }
        for start in (0..slice).step_by(most) {
            let part = start..slice.min(start + most);
            let mut taken = vec![0.0; part.len() * self.size];
            world().all_gather_into(&send[part.clone()], &mut taken[..]);
            let slices = receive.chunks_exact_mut(slice).zip(taken.chunks_exact(part.len()));
            slices.for_each(|(to, from)| to[part.clone()].copy_from_slice(from));
        }
        Ok(())
    }

    fn all_gather_bytes(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
        self.meet();
        let mut lengths = vec![0_u64; self.size];
        world().all_gather_into(&(bytes.len() as u64), &mut lengths[..]);
        let lengths: Vec<usize> = lengths.into_iter().map(|length| length as usize).collect();
        let most = (self.transfer / self.size).max(1);
        let mut all: Vec<Vec<u8>> = lengths.iter().map(|n| Vec::with_capacity(*n)).collect();
        for start in (0..lengths.iter().copied().max().unwrap_or(0)).step_by(most) {
            let part = |length: usize| start.min(length)..length.min(start + most);
            let counts: Vec<Count> = lengths.iter().map(|n| part(*n).len() as Count).collect();
            let ends = counts.iter().scan(0, |end, count| {
                *end += count;
                Some(*end)
            });
            let starts: Vec<Count> = ends.zip(&counts).map(|(end, count)| end - count).collect();
            let mut taken = vec![0_u8; counts.iter().sum::<Count>() as usize];
            let given = &bytes[part(bytes.len())];
            let mut places = PartitionMut::new(&mut taken[..], &counts[..], &starts[..]);
            world().all_gather_varcount_into(given, &mut places);
            for ((from, count), to) in starts.iter().zip(&counts).zip(&mut all) {
                to.extend_from_slice(&taken[*from as usize..][..*count as usize]);
            }
        }
        Ok(all)
    }

    fn send(&self, to: usize, lane: Lane, message: &[u8]) -> Result<()> {
        check_rank(to, self.size)?;
        let _turn = turn(&self.sending[to][lane as usize]);
        let mut rest = message;
        loop {
            // A piece that is not full ends the message, and may be empty for that.
            let (piece, more) = rest.split_at(rest.len().min(self.transfer));
            self.send_piece(to, tag(lane), piece);
            if piece.len() < self.transfer {
                return Ok(());
            }
            rest = more;
        }
    }

    fn receive(&self, lane: Lane, patience: Duration) -> Result<Option<Message>> {
        let until = Instant::now().checked_add(patience);
        let mut pause = Pause::new();
        loop {
            let taking = turn(&self.receiving[lane as usize]);
            let found = world().any_process().immediate_matched_probe_with_tag(tag(lane));
            if let Some(found) = found {
                return Ok(Some(self.rest(found, tag(lane))));
            }
            drop(taking);
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(None);
            }
            pause.take(until);
        }
    }

    fn abort(&self, code: i32, why: &str) {
        log::error!("rank {} of {} ends the job with code {code}: {why}", self.rank, self.size);
        world().abort(code)
    }
}

impl Drop for MpiComm {
    fn drop(&mut self) {
        if thread::panicking() {
            self.abort(EXIT_PANIC, "it panicked");
        }
    }
}

impl fmt::Debug for MpiComm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rank, size, engine, .. } = self;
        write!(f, "MpiComm {{ rank: {rank}, size: {size}, engine: {engine:?} }}")
    }
}

/// Of the calling thread: with Open MPI the handle is not `Send`.
fn world() -> SimpleCommunicator {
    SimpleCommunicator::world()
}

fn tag(lane: Lane) -> Tag {
    lane as Tag + 1
}

fn turn(of: &Mutex<()>) -> MutexGuard<'_, ()> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Between two looks whether something has come: it gives the core away, then sleeps longer and
/// longer.
struct Pause {
    since: Instant,
    sleep: Duration,
}

impl Pause {
    fn new() -> Self {
        Self { since: Instant::now(), sleep: SHORTEST_SLEEP }
    }

    /// A pause that does not go on after `until`.
    fn take(&mut self, until: Option<Instant>) {
        let now = Instant::now();
        if now.saturating_duration_since(self.since) < AWAKE {
            return thread::yield_now();
        }
        let left = until.map(|until| until.saturating_duration_since(now));
        thread::sleep(left.map_or(self.sleep, |left| left.min(self.sleep)));
        self.sleep = LONGEST_SLEEP.min(2 * self.sleep);
    }
}
