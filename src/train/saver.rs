//! Checkpoints that do not stop the run: copied on the device, read back through a ticket, and written
//! by a thread of their own.
use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use super::checkpoint::{self, Manifest};
use super::histogram::Histogram;
use super::session::Session;
use super::snapshot::Layout;
use crate::gpu::{Encoder, Gpu, ReadbackRing, Slot};
use crate::{Error, Result};

/// A checkpoint that was written, or why it was not.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) step: u64,
    pub(super) outcome: Result<PathBuf>,
    /// Distributions of what was saved, for the summaries: the thread has the values at hand.
    pub(super) histograms: Vec<(String, Histogram)>,
}

/// One save is under way at a time.
#[derive(Debug)]
pub(super) struct Saver {
    logdir: PathBuf,
    keep: usize,
    layout: Layout,
    slots: Vec<Slot>,
    /// As large as everything that is saved; made at the first save.
    ring: Option<ReadbackRing>,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    /// Copies are under way on the device.
    Staged(Box<Manifest>),
    /// The thread is writing.
    Writing(u64, JoinHandle<Result<Saved>>),
}

impl Saver {
    pub(super) fn new(logdir: PathBuf, keep: usize, session: &Session<'_>) -> Self {
        let layout = session.layout();
        let slots = layout.slots();
        Self { logdir, keep, layout, slots, ring: None, state: State::Idle }
    }

    /// Whether a save is under way; one more would have to wait for it.
    pub(super) fn is_busy(&self) -> bool {
        !matches!(self.state, State::Idle)
    }

    /// Submits the copies of a save as they are after the steps submitted so far. Does not wait.
    ///
    /// # Panics
    /// If one is under way.
    pub(super) fn begin(&mut self, session: &Session<'_>, manifest: Manifest) -> Result<()> {
        assert!(!self.is_busy(), "one save at a time");
        let gpu = session.gpu;
        let ring = match &mut self.ring {
            Some(ring) => ring,
            None => {
                let bytes = self.slots.iter().map(|s| u64::from(s.words) * 4).sum();
                self.ring.insert(ReadbackRing::new(gpu, bytes, 1)?)
            }
        };
        let mut encoder = Encoder::new(gpu);
        ring.copy(gpu, &mut encoder, &session.program, &self.slots)?;
        encoder.submit()?;
        self.state = State::Staged(Box::new(manifest));
        Ok(())
    }

    /// Moves the save on; says when it is done. Never blocks.
    ///
    /// # Errors
    /// [`Error::NonFinite`] when there is a value that must not be saved; what goes wrong with the
    /// files is in [`Saved::outcome`].
    pub(super) fn poll(&mut self, gpu: &Gpu) -> Result<Option<Saved>> {
        if let (State::Staged(_), Some(ring)) = (&self.state, &mut self.ring) {
            let arrived = ring.ready(gpu)?;
            self.write(arrived)?;
        }
        match &self.state {
            State::Writing(_, thread) if thread.is_finished() => self.join(),
            _ => Ok(None),
        }
    }

    /// As [`poll`](Self::poll), but waits until the save under way is done; `None` if there is none.
    pub(super) fn wait(&mut self, gpu: &Gpu) -> Result<Option<Saved>> {
        if let (State::Staged(_), Some(ring)) = (&self.state, &mut self.ring) {
            let arrived = ring.wait(gpu)?;
            self.write(arrived)?;
        }
        self.join()
    }

    /// Hands what was read back to a thread.
    fn write(&mut self, arrived: Vec<(crate::gpu::Ticket, Vec<u8>)>) -> Result<()> {
        let Some((_, bytes)) = arrived.into_iter().next() else { return Ok(()) };
        let State::Staged(manifest) = std::mem::take(&mut self.state) else { return Ok(()) };
        let (step, logdir, keep) = (manifest.global_step, self.logdir.clone(), self.keep);
        let layout = self.layout.clone();
        let work = move || {
            let snapshot = layout.snapshot(&bytes);
            drop(bytes);
            if let Some(tensor) = snapshot.first_non_finite() {
                return Err(Error::NonFinite { step, tensor });
            }
            let (model, optimizer) = (&snapshot.model, &snapshot.optimizer);
            let outcome = checkpoint::save(&logdir, *manifest, model, optimizer, keep);
            Ok(Saved { step, outcome, histograms: snapshot.histograms() })
        };
        let thread = thread::Builder::new().name("checkpoint".to_owned()).spawn(work);
        let thread = thread.map_err(Error::io("start a thread for", &self.logdir))?;
        self.state = State::Writing(step, thread);
        Ok(())
    }

    fn join(&mut self) -> Result<Option<Saved>> {
        let (step, thread) = match std::mem::take(&mut self.state) {
            State::Writing(step, thread) => (step, thread),
            other => {
                self.state = other;
                return Ok(None);
            }
        };
        thread.join().map(|saved| saved.map(Some)).unwrap_or_else(|_| {
            let outcome = Err(Error::file(&self.logdir, "the checkpoint thread panicked"));
            Ok(Some(Saved { step, outcome, histograms: Vec::new() }))
        })
    }
}
