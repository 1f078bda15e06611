//! The thread that exchanges gradients while the backward pass goes on.
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use super::fold::{fold, pack, share, unpack};
use super::group;
use super::header::Header;
use crate::comm::Comm;
use crate::{Error, Result};

/// Folds the gradients of all ranks into one mean, the same bits on each.
///
/// A step has rounds, and in each a rank gives one gradient at most: [`begin`](Self::begin), then
/// [`give`](Self::give) for each bucket in order, unless its batch has no rows. After the last
/// round [`take`](Self::take) has the mean of each bucket in order. The mean is folded in the order
/// of rounds and, in each, of ranks, weighted by rows: `n` ranks give the bits of one that folds
/// `n` times as many rounds. Each rank folds a slice of every bucket; slices travel by
/// [`Comm::all_to_all`], means by [`Comm::all_gather`].
///
/// Every rank makes the same calls. An error ends it, at the next call that has an answer.
#[derive(Debug)]
pub struct Exchange {
    rank: usize,
    jobs: Option<Sender<Job>>,
    answers: Receiver<Result<Answer>>,
    /// Answers that have come before they were asked for.
    headers: VecDeque<Vec<Header>>,
    thread: Option<JoinHandle<()>>,
    state: Arc<State>,
}

#[derive(Debug)]
enum Job {
    Begin(Header),
    Give(usize, Vec<f32>),
    Keep(Vec<Option<Vec<u32>>>),
}

#[derive(Debug)]
enum Answer {
    Headers(Vec<Header>),
    Bucket(usize, Vec<f32>),
}

/// What says whether the thread can be waited for: it is not, where others keep it.
#[derive(Debug, Default)]
struct State {
    ends: AtomicBool,
    waits: AtomicBool,
}

impl Exchange {
    /// A thread that exchanges buckets of `lengths` values over `comm`, whose collectives are its
    /// own from [`begin`](Self::begin) to the last answer.
    ///
    /// # Errors
    /// [`Error::Device`] where no thread can be started.
    pub fn new(comm: Arc<dyn Comm>, lengths: Vec<usize>) -> Result<Self> {
        let (jobs, taken) = channel();
        let (answer, answers) = channel();
        let (rank, state) = (comm.rank(), Arc::<State>::default());
        let means = vec![Vec::new(); lengths.len()];
        let kept = vec![None; lengths.len()];
        let mut folding = Folding {
            comm,
            state: Arc::clone(&state),
            lengths,
            kept,
            means,
            rows: 0,
            packed: Vec::new(),
            received: Vec::new(),
        };
        let work = move || {
            let run = AssertUnwindSafe(|| folding.run(&taken, &answer));
            let ended = catch_unwind(run)
                .unwrap_or_else(|panic| Err(Error::panicked("exchange of gradients", &*panic)));
            if let Err(error) = ended {
                // Where nobody asks any more, nobody needs to know.
                let _ = answer.send(Err(error));
            }
        };
        let thread = thread::Builder::new().name("exchange".to_owned()).spawn(work);
        let thread = thread.map_err(|e| Error::Device(format!("no thread to exchange by: {e}")))?;
        let (jobs, thread, headers) = (Some(jobs), Some(thread), VecDeque::new());
        Ok(Self { rank, jobs, answers, headers, thread, state })
    }

    /// Begins a round.
    pub fn begin(&mut self, header: Header) {
        self.ask(Job::Begin(header));
    }

    /// What every rank said of the round begun least lately whose headers have not been asked for;
    /// waits for them.
    ///
    /// # Errors
    /// [`Error::Peer`] with the failure of the first rank that has one, and where ranks do not take
    /// the same steps; of the comm, and of a panic
    /// in the thread.
    pub fn headers(&mut self) -> Result<Vec<Header>> {
        match self.headers.pop_front() {
            Some(headers) => Ok(headers),
            None => match self.answer()? {
                Answer::Headers(headers) => Ok(headers),
                Answer::Bucket(bucket, _) => Err(self.misused(format!("bucket {bucket} waits"))),
            },
        }
    }

    /// Gives this rank's gradients in bucket `bucket` of the round begun last.
    pub fn give(&mut self, bucket: usize, values: Vec<f32>) {
        self.ask(Job::Give(bucket, values));
    }

    /// The next bucket and its mean over all ranks and rounds; waits for it. There is none in a
    /// step in which no rank had rows.
    ///
    /// # Errors
    /// As [`headers`](Self::headers).
    pub fn take(&mut self) -> Result<(usize, Vec<f32>)> {
        loop {
            match self.answer()? {
                Answer::Headers(headers) => self.headers.push_back(headers),
                Answer::Bucket(bucket, values) => return Ok((bucket, values)),
            }
        }
    }

    /// From the next round on only those values of each bucket travel whose bits are set in
    /// `kept`, all where that is `None`; the others are 0 in the means. Every rank must say the
    /// same, between two steps.
    pub fn keep(&mut self, kept: Vec<Option<Vec<u32>>>) {
        self.ask(Job::Keep(kept));
    }

    fn ask(&self, job: Job) {
        // A thread that has ended has left its error among the answers.
        let _ = self.jobs.as_ref().map(|jobs| jobs.send(job));
    }

    fn answer(&self) -> Result<Answer> {
        let ended = |_| self.misused("it has ended with an error before".to_owned());
        self.answers.recv().map_err(ended)?
    }

    fn misused(&self, message: String) -> Error {
        Error::Peer { rank: self.rank, message: format!("exchange of gradients: {message}") }
    }
}

/// Ends the thread. One that waits for other ranks ends once they answer, or [`Comm::abort`] is
/// called; that is not waited for.
impl Drop for Exchange {
    fn drop(&mut self) {
        self.state.ends.store(true, SeqCst);
        self.jobs = None;
        if let Some(thread) = self.thread.take().filter(|_| !self.state.waits.load(SeqCst)) {
            // What it had to say is among the answers.
            let _ = thread.join();
        }
    }
}

/// The thread's own.
#[derive(Debug)]
struct Folding {
    comm: Arc<dyn Comm>,
    state: Arc<State>,
    lengths: Vec<usize>,
    kept: Vec<Option<Vec<u32>>>,
    /// This rank's slice of each bucket.
    means: Vec<Vec<f32>>,
    /// Of the step so far, on all ranks.
    rows: usize,
    packed: Vec<f32>,
    received: Vec<f32>,
}

impl Folding {
    fn run(&mut self, jobs: &Receiver<Job>, answers: &Sender<Result<Answer>>) -> Result<()> {
        while let Ok(job) = jobs.recv() {
            match job {
                Job::Keep(kept) => self.kept = kept,
                Job::Begin(header) => self.round(header, jobs, answers)?,
                Job::Give(bucket, _) => return Err(self.unasked(bucket)),
            }
        }
        Ok(())
    }

    fn round(
        &mut self,
        header: Header,
        jobs: &Receiver<Job>,
        answers: &Sender<Result<Answer>>,
    ) -> Result<()> {
        let (headers, last) = (self.headers(&header)?, header.last);
        let rows: Vec<usize> = headers.iter().map(|h| h.batch.rows).collect();
        let (here, all) = (header.batch.rows, rows.iter().sum::<usize>());
        // Whoever does not listen any more does not go on either.
        let _ = answers.send(Ok(Answer::Headers(headers)));
        for bucket in 0..self.lengths.len() {
            let mut values = if here == 0 {
                vec![0.0; self.lengths[bucket]]
            } else {
                match jobs.recv() {
                    Ok(Job::Give(at, values)) if at == bucket => values,
                    Ok(Job::Give(at, _)) => return Err(self.unasked(at)),
                    Ok(_) => return Err(self.unasked(bucket)),
                    Err(_) => return Ok(()),
                }
            };
            if values.len() != self.lengths[bucket] {
                let (got, need) = (values.len(), self.lengths[bucket]);
                return Err(self.misused(format!("{got} values for bucket {bucket} of {need}")));
            }
            if all > 0 || (last && self.rows > 0) {
                self.exchange(bucket, &mut values, &rows, last)?;
                if last {
                    let _ = answers.send(Ok(Answer::Bucket(bucket, values)));
                }
            }
        }
        self.rows = if last { 0 } else { self.rows + all };
        Ok(())
    }

    fn headers(&self, header: &Header) -> Result<Vec<Header>> {
        let all = self.call(|comm| group::gather(comm, &header.to_bytes()))?;
        let read = |(rank, bytes): (usize, &Vec<u8>)| {
            let error = |message| Error::Peer { rank, message };
            let theirs = Header::from_bytes(bytes)
                .ok_or_else(|| error(format!("{} bytes are no header", bytes.len())))?;
            if theirs.last != header.last {
                let message = "it takes other steps than this rank: a step function must take as \
                               many batches on each";
                return Err(error(message.to_owned()));
            }
            Ok(theirs)
        };
        all.iter().enumerate().map(read).collect()
    }

    /// Folds this rank's slice of `bucket`, of ranks with `rows`; in the last round `values` is
    /// then the mean.
    fn exchange(
        &mut self,
        bucket: usize,
        values: &mut Vec<f32>,
        rows: &[usize],
        last: bool,
    ) -> Result<()> {
        let kept = self.kept[bucket].take();
        let mut packed = std::mem::take(&mut self.packed);
        if let Some(kept) = &kept {
            pack(values, kept, &mut packed);
        }
        let travel = if kept.is_some() { &mut packed } else { &mut *values };
        let len = travel.len();
        let slice = len.div_ceil(rows.len());
        travel.resize(slice * rows.len(), 0.0);
        if slice > 0 {
            if rows.iter().any(|&rows| rows > 0) {
                self.fold(bucket, travel, rows)?;
            }
            if last {
                self.call(|comm| comm.all_gather(&self.means[bucket], travel))?;
            }
        }
        travel.truncate(len);
        if let Some(kept) = kept.as_ref().filter(|_| last) {
            unpack(&packed, kept, values);
        }
        (self.packed, self.kept[bucket]) = (packed, kept);
        Ok(())
    }

    fn fold(&mut self, bucket: usize, travel: &[f32], rows: &[usize]) -> Result<()> {
        let mut received = std::mem::take(&mut self.received);
        received.resize(travel.len(), 0.0);
        self.call(|comm| comm.all_to_all(travel, &mut received))?;
        let slice = travel.len() / rows.len();
        let (mean, mut before) = (&mut self.means[bucket], self.rows);
        mean.resize(slice, 0.0);
        for (x, &rows) in received.chunks_exact(slice).zip(rows).filter(|&(_, &rows)| rows > 0) {
            fold(mean, x, share(rows, before));
            before += rows;
        }
        self.received = received;
        Ok(())
    }

    /// A call that waits for other ranks.
    fn call<T>(&self, call: impl FnOnce(&dyn Comm) -> Result<T>) -> Result<T> {
        self.state.waits.store(true, SeqCst);
        if self.state.ends.load(SeqCst) {
            return Err(self.misused("nobody takes it any more".to_owned()));
        }
        let called = call(&*self.comm);
        self.state.waits.store(false, SeqCst);
        called
    }

    fn unasked(&self, bucket: usize) -> Error {
        self.misused(format!("bucket {bucket} out of its turn"))
    }

    fn misused(&self, message: String) -> Error {
        let rank = self.comm.rank();
        Error::Peer { rank, message: format!("exchange of gradients: {message}") }
    }
}
