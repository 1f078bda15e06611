//! Batches made ahead by a thread.
use super::{Batch, BatchSource, Cursor, Schema, Shard, Task};
use crate::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

/// The batches of another source, made by a thread while earlier ones are in use.
///
/// They are those of the source itself, to the bit, errors included: a source that fails is asked
/// no further ahead, and again when the next batch is asked for. A panic in it is an error.
/// Dropping waits for the batch that is being made.
#[derive(Debug)]
pub struct Prefetch<S: BatchSource + 'static> {
    name: String,
    batch_size: usize,
    schema: Schema,
    fingerprint: Option<u64>,
    in_streams: bool,
    depth: usize,
    /// After the batch last handed out; the source is ahead of it while there is a worker.
    cursor: Cursor,
    /// Batches that then come before the one at the cursor.
    first: Vec<Cursor>,
    ranks: usize,
    /// Locked by the worker as long as there is one.
    source: Arc<Mutex<Shard<S>>>,
    worker: Option<Worker>,
}

#[derive(Debug)]
struct Worker {
    made: Receiver<Made>,
    /// Buffers to use again.
    used: Sender<Batch>,
    thread: JoinHandle<()>,
}

/// An answer of the source.
struct Made {
    batch: Batch,
    answer: Result<bool>,
    /// Where it has left the source, unless it panicked.
    cursor: Option<Cursor>,
}

impl<S: BatchSource + 'static> Prefetch<S> {
    /// Batches of `source` from where it is, two ahead. The thread starts with the first batch.
    pub fn new(source: S) -> Self {
        Self {
            name: source.name().to_owned(),
            batch_size: source.batch_size(),
            schema: source.schema(),
            fingerprint: source.fingerprint(),
            in_streams: source.in_streams(),
            depth: 2,
            cursor: source.cursor(),
            first: Vec::new(),
            ranks: 1,
            source: Arc::new(Mutex::new(Shard::new(source))),
            worker: None,
        }
    }

    /// Keeps up to `depth` batches ready, besides the one that is being made.
    pub fn depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }

    fn start(&self) -> Result<Worker> {
        let (send, made) = sync_channel(self.depth);
        let (used, buffers) = channel();
        let source = Arc::clone(&self.source);
        let thread = Builder::new().name("batches".into());
        let thread = thread.spawn(move || work(&mut *lock(&source), &send, &buffers));
        let thread = thread.map_err(|error| {
            let message = format!("no thread for it: {error}; use the source as it is");
            Error::argument("prefetch", message)
        })?;
        Ok(Worker { made, used, thread })
    }

    /// Ends the thread, which leaves the source ahead of the cursor by what it has made.
    fn stop(&mut self) {
        if let Some(Worker { made, used, thread }) = self.worker.take() {
            // Nobody takes what it makes: that is its sign to end.
            drop((made, used));
            thread.join().ok();
        }
    }

    /// Ends the thread, with the source where the cursor is.
    fn rewind(&mut self) -> Result<()> {
        if self.worker.is_none() {
            return Ok(());
        }
        self.stop();
        lock(&self.source).go_back(self.cursor, &self.first)
    }
}

fn work(source: &mut impl BatchSource, made: &SyncSender<Made>, buffers: &Receiver<Batch>) {
    loop {
        let mut batch = buffers.try_recv().unwrap_or_default();
        let answer = catch_unwind(AssertUnwindSafe(|| {
            let answer = source.next_batch(&mut batch);
            (answer, Some(source.cursor()))
        }));
        let (answer, cursor) =
            answer.unwrap_or_else(|panic| (Err(Error::panicked("batches", &*panic)), None));
        let goes_on = matches!(answer, Ok(true));
        if made.send(Made { batch, answer, cursor }).is_err() || !goes_on {
            return;
        }
    }
}

/// A panic of the source is caught inside the lock, so that the lock is never poisoned by one.
fn lock<S>(source: &Mutex<S>) -> MutexGuard<'_, S> {
    source.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: BatchSource + 'static> BatchSource for Prefetch<S> {
    fn name(&self) -> &str {
        &self.name
    }

    fn batch_size(&self) -> usize {
        self.batch_size
    }

    fn shape(&self) -> &[usize] {
        &self.schema.shape
    }

    fn task(&self) -> Task {
        self.schema.task
    }

    fn schema(&self) -> Schema {
        self.schema.clone()
    }

    fn fingerprint(&self) -> Option<u64> {
        self.fingerprint
    }

    fn next_batch(&mut self, batch: &mut Batch) -> Result<bool> {
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None => self.start()?,
        };
        let worker = self.worker.insert(worker);
        let Ok(Made { batch: new, answer, cursor }) = worker.made.recv() else {
            self.stop();
            let message = "the thread that makes them has ended".to_owned();
            return Err(Error::Panicked { what: "batches", message });
        };
        let used = std::mem::replace(batch, new);
        // A thread that has ended needs no buffers.
        worker.used.send(used).ok();
        if let Some(cursor) = cursor {
            self.cursor = cursor;
            self.first.drain(..self.ranks.min(self.first.len()));
        }
        if !matches!(answer, Ok(true)) {
            self.stop();
        }
        answer
    }

    fn cursor(&self) -> Cursor {
        self.cursor
    }

    fn seek(&mut self, cursor: Cursor) -> Result<()> {
        let was_ahead = self.worker.is_some();
        self.stop();
        let mut source = lock(&self.source);
        let found = source.seek(cursor);
        match found {
            Ok(()) => {
                self.cursor = source.cursor();
                self.first.clear();
            }
            Err(_) if was_ahead => source.go_back(self.cursor, &self.first)?,
            Err(_) => {}
        }
        found
    }

    fn skip(&mut self, batches: u64) -> Result<u64> {
        self.rewind()?;
        let mut source = lock(&self.source);
        let passed = source.skip(batches);
        self.cursor = source.cursor();
        self.first = source.first().to_vec();
        passed
    }

    fn in_streams(&self) -> bool {
        self.in_streams
    }

    fn shard(&mut self, rank: usize, ranks: usize, first: &[Cursor]) -> Result<bool> {
        self.rewind()?;
        lock(&self.source).shard(rank, ranks, first)?;
        (self.ranks, self.first) = (ranks, first.to_vec());
        Ok(true)
    }
}

impl<S: BatchSource + 'static> Drop for Prefetch<S> {
    fn drop(&mut self) {
        self.stop();
    }
}
