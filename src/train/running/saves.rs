//! When a run saves, and what becomes of it.
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::saver::{Saved, Saver};
use crate::checkpoint::Manifest;
use crate::session::Session;
use crate::train::record::event::Event;
use crate::train::record::histogram::Histogram;
use crate::train::record::trace::Work;
use crate::{Error, Result};

/// The saves of a run.
#[derive(Debug)]
pub(super) struct Saves {
    saver: Saver,
    /// When the last one was begun.
    begun: Instant,
    /// One is wanted as soon as the one under way is done.
    due: bool,
    /// How long training stood still for the one under way.
    stall: Duration,
}

/// What became of a save.
pub(super) enum Outcome {
    /// [`Event::Checkpoint`], and the distributions of what it holds.
    Written(Event, Vec<(String, Histogram)>),
    Failed(u64, Error),
}

impl Saves {
    pub(super) fn new(saver: Saver) -> Self {
        Self { saver, begun: Instant::now(), due: false, stall: Duration::ZERO }
    }

    /// Forgets a save whose copies may never be submitted.
    pub(super) fn abandon(&mut self) {
        self.saver.abandon();
    }

    /// The checkpoint thread's work, for a trace.
    pub(super) fn work(&self) -> Vec<Work> {
        self.saver.work()
    }

    /// Moves a save under way on. Never blocks. `known` is the last step whose loss has been looked
    /// at.
    pub(super) fn poll(&mut self, session: &Session, known: u64) -> Result<Option<Outcome>> {
        let now = Instant::now();
        let saved = self.saver.poll(session.gpu(), known)?;
        self.stall += now.elapsed();
        Ok(saved.map(|saved| self.outcome(saved)))
    }

    /// Waits for the save under way.
    pub(super) fn wait(&mut self, session: &Session) -> Result<Option<Outcome>> {
        let saved = self.saver.wait(session.gpu())?;
        Ok(saved.map(|saved| self.outcome(saved)))
    }

    /// Whether one is to begin now: it is `wanted`, or `interval` seconds have passed since the
    /// last began, or one was put off; while one is under way the next is.
    pub(super) fn is_due(&mut self, wanted: bool, interval: f64) -> bool {
        let by_clock = interval > 0.0 && self.begun.elapsed().as_secs_f64() >= interval;
        self.due |= wanted || by_clock;
        self.due && !self.saver.is_busy()
    }

    /// Records the copies of a save; they travel with the next submission.
    pub(super) fn begin(&mut self, session: &mut Session, manifest: Manifest) -> Result<()> {
        (self.begun, self.due) = (Instant::now(), false);
        self.saver.begin(session, manifest)?;
        self.stall = self.begun.elapsed();
        Ok(())
    }

    fn outcome(&self, saved: Saved) -> Outcome {
        let Saved { step, outcome, written, histograms } = saved;
        match outcome {
            Ok(path) => {
                log::info!("saved {}", path.display());
                let seconds = (written - self.begun).as_secs_f64();
                let stall_seconds = self.stall.as_secs_f64();
                let event = Event::Checkpoint { step, path, seconds, stall_seconds };
                Outcome::Written(event, histograms)
            }
            Err(e) => Outcome::Failed(step, e),
        }
    }
}

impl Outcome {
    /// The folder that was written.
    pub(super) fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Written(Event::Checkpoint { path, .. }, _) => Some(path.clone()),
            _ => None,
        }
    }
}
