//! Checkpoints that do not stop the run: copied on the device, read back through a ticket, and
//! written by a thread of their own.
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::checkpoint::{self, Manifest, Retention};
use crate::gpu::{Gpu, ReadbackRing, Slot, Ticket};
use crate::session::Layout;
use crate::session::Session;
use crate::train::record::histogram::{Histogram, histograms};
use crate::train::record::trace::Work;
use crate::{Error, Result};

/// A checkpoint that was written, or why it was not.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) step: u64,
    pub(super) outcome: Result<PathBuf>,
    /// When the thread was done with it.
    pub(super) written: Instant,
    /// Distributions of what was saved, for the summaries: the thread has the values at hand.
    pub(super) histograms: Vec<(String, Histogram)>,
}

/// [`ReadbackRing::ready`] or [`ReadbackRing::wait`].
type Arrived = fn(&mut ReadbackRing, &Gpu) -> Result<Vec<(Ticket, Vec<u8>)>>;

/// Largest staging buffer in bytes; a slot that is larger gets one of its own. What has arrived is
/// taken one buffer a step, so this bounds how long a step is held up.
const PART: u64 = 16 << 20;

/// One save is under way at a time.
#[derive(Debug)]
pub(super) struct Saver {
    logdir: PathBuf,
    retention: Retention,
    layout: Layout,
    /// Staging for everything that is saved; made at the first save.
    parts: Vec<Part>,
    state: State,
    /// When the save under way, or the last one, was begun, arrived on the host, and was written.
    times: Option<(Instant, Option<Instant>, Option<Instant>)>,
}

/// As many slots as fit into one staging buffer.
#[derive(Debug)]
struct Part {
    slots: Vec<Slot>,
    ring: ReadbackRing,
    /// What has arrived of the save under way.
    bytes: Option<Vec<u8>>,
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
    pub(super) fn new(logdir: PathBuf, retention: Retention, session: &Session) -> Self {
        let (layout, parts, state) = (session.layout(), Vec::new(), State::Idle);
        Self { logdir, retention, layout, parts, state, times: None }
    }

    /// What the save under way, or the last one, did when.
    pub(super) fn work(&self) -> Vec<Work> {
        let Some((begun, arrived, written)) = self.times else { return Vec::new() };
        let staging = ("copy to the host", begun, arrived);
        let writing = arrived.map(|arrived| ("write checkpoint", arrived, written));
        [staging].into_iter().chain(writing).collect()
    }

    /// Whether a save is under way; one more would have to wait for it.
    pub(super) fn is_busy(&self) -> bool {
        !matches!(self.state, State::Idle)
    }

    /// Records the copies of a save, of the state after the steps submitted so far; they are
    /// submitted with what comes next. Does not wait.
    ///
    /// # Panics
    /// If one is under way.
    pub(super) fn begin(&mut self, session: &mut Session, manifest: Manifest) -> Result<()> {
        assert!(!self.is_busy(), "one save at a time");
        if self.parts.is_empty() {
            self.parts = parts(session.gpu(), &self.layout.slots())?;
        }
        for part in &mut self.parts {
            session.stage(&mut part.ring, &part.slots)?;
            part.bytes = None;
        }
        self.state = State::Staged(Box::new(manifest));
        self.times = Some((Instant::now(), None, None));
        Ok(())
    }

    /// Forgets a save whose copies may never be submitted.
    pub(super) fn abandon(&mut self) {
        if matches!(self.state, State::Staged(_)) {
            (self.parts, self.state) = (Vec::new(), State::Idle);
        }
    }

    /// Moves the save on; says when it is done. Never blocks. A save of a step later than `known`,
    /// the last whose loss has been looked at, waits: that step may prove bad.
    ///
    /// # Errors
    /// [`Error::NonFinite`] when there is a value that must not be saved; what goes wrong with the
    /// files is in [`Saved::outcome`].
    pub(super) fn poll(&mut self, gpu: &Gpu, known: u64) -> Result<Option<Saved>> {
        if matches!(&self.state, State::Staged(manifest) if manifest.global_step > known) {
            return Ok(None);
        }
        self.collect(gpu, ReadbackRing::ready, 1)?;
        match &self.state {
            State::Writing(_, thread) if thread.is_finished() => self.join(),
            _ => Ok(None),
        }
    }

    /// As [`poll`](Self::poll), but waits until the save under way, whose copies are submitted, is
    /// done; `None` if there is none.
    pub(super) fn wait(&mut self, gpu: &Gpu) -> Result<Option<Saved>> {
        self.collect(gpu, ReadbackRing::wait, usize::MAX)?;
        self.join()
    }

    /// Takes at most `most` parts that have arrived, and hands all to a thread once they are there.
    fn collect(&mut self, gpu: &Gpu, arrived: Arrived, most: usize) -> Result<()> {
        if !matches!(self.state, State::Staged(_)) {
            return Ok(());
        }
        for part in self.parts.iter_mut().filter(|p| p.bytes.is_none()).take(most) {
            part.bytes = arrived(&mut part.ring, gpu)?.pop().map(|(_, bytes)| bytes);
        }
        if self.parts.iter().any(|p| p.bytes.is_none()) {
            return Ok(());
        }
        let State::Staged(manifest) = std::mem::take(&mut self.state) else { return Ok(()) };
        let bytes: Vec<Vec<u8>> = self.parts.iter_mut().filter_map(|p| p.bytes.take()).collect();
        let (step, logdir) = (manifest.global_step, self.logdir.clone());
        let (layout, retention) = (self.layout.clone(), self.retention);
        let work = move || {
            let snapshot = layout.snapshot(&bytes);
            drop(bytes);
            if let Some(tensor) = snapshot.first_non_finite() {
                return Err(Error::NonFinite { step, tensor });
            }
            let (model, optimizer) = (&snapshot.model, &snapshot.optimizer);
            let outcome = checkpoint::save(&logdir, *manifest, model, optimizer, retention);
            let histograms = histograms(&snapshot);
            Ok(Saved { step, outcome, written: Instant::now(), histograms })
        };
        let thread = thread::Builder::new().name("checkpoint".to_owned()).spawn(work);
        let thread = thread.map_err(Error::io("start a thread for", &self.logdir))?;
        self.state = State::Writing(step, thread);
        if let Some((_, arrived, _)) = &mut self.times {
            *arrived = Some(Instant::now());
        }
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
        let saved = thread.join().unwrap_or_else(|_| {
            let outcome = Err(Error::file(&self.logdir, "the checkpoint thread panicked"));
            Ok(Saved { step, outcome, written: Instant::now(), histograms: Vec::new() })
        })?;
        if let Some((.., written)) = &mut self.times {
            *written = Some(saved.written);
        }
        Ok(Some(saved))
    }
}

/// A run that ends with an error does not leave a thread behind that writes into its logdir.
impl Drop for Saver {
    fn drop(&mut self) {
        if let State::Writing(_, thread) = std::mem::take(&mut self.state) {
            // What it says, the next start finds on the disk.
            let _ = thread.join();
        }
    }
}

/// `slots` in order, as many to a part as fit.
fn parts(gpu: &Gpu, slots: &[Slot]) -> Result<Vec<Part>> {
    let bytes = |slot: &Slot| u64::from(slot.words) * 4;
    let mut rest = slots;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let mut total = 0;
        let fit = rest.iter().take_while(|slot| {
            total += bytes(slot);
            total <= PART
        });
        let (slots, after) = rest.split_at(fit.count().max(1));
        let ring = ReadbackRing::new(gpu, slots.iter().map(bytes).sum(), 1)?;
        parts.push(Part { slots: slots.to_vec(), ring, bytes: None });
        rest = after;
    }
    Ok(parts)
}
