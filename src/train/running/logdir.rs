//! The logdir of a run: one process's at a time, and as it was where the run is refused.
use std::path::{Path, PathBuf};

use crate::Result;
use crate::checkpoint::{self, Lock};
use crate::storage::MadeFolder;
use crate::train::record::summary::EventWriter;

/// The logdir, for one process at a time. Dropped before [`begin`](Self::begin) it leaves nothing
/// that it made: no folder, no lock, no events.
pub(super) struct Logdir {
    pub(super) path: PathBuf,
    lock: Option<Lock>,
    events: Option<PathBuf>,
    begun: bool,
    /// Gone where it stayed empty; dropped last.
    _made: MadeFolder,
}

impl Logdir {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let made = MadeFolder::create(path)?;
        let lock = Some(Lock::acquire(path)?);
        let this = Self { path: path.to_owned(), lock, events: None, begun: false, _made: made };
        checkpoint::sweep(path)?;
        Ok(this)
    }

    pub(super) fn event_writer(&mut self) -> Result<EventWriter> {
        let writer = EventWriter::create(&self.path)?;
        self.events = Some(writer.path().to_owned());
        Ok(writer)
    }

    /// From now on what is here stays: the run was not refused.
    pub(super) fn begin(&mut self) {
        self.begun = true;
    }
}

impl Drop for Logdir {
    fn drop(&mut self) {
        if self.begun {
            return;
        }
        if let Some(events) = &self.events {
            std::fs::remove_file(events).ok();
        }
        if let Some(lock) = self.lock.take() {
            lock.undo();
        }
    }
}
