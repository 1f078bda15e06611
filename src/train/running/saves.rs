//! When a run saves, and what becomes of it.
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::run::Run;
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
    started: Instant,
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
        let now = Instant::now();
        Self { saver, started: now, begun: now, due: false, stall: Duration::ZERO }
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
    /// last began, or one was put off; while one is under way the next is. Above 0 `first` makes
    /// the first intervals shorter: it is the first one, and each one after is as long as the run
    /// was before it.
    pub(super) fn is_due(&mut self, wanted: bool, interval: f64, first: f64) -> bool {
        let so_far = (self.begun - self.started).as_secs_f64();
        let early = if first > 0.0 { so_far.max(first) } else { f64::INFINITY };
        let passed = self.begun.elapsed().as_secs_f64();
        let by_clock = interval > 0.0 && passed >= interval.min(early);
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

/// What of a run is about its saves.
impl Run<'_, '_> {
    /// Moves a save under way on, and begins one when it is due. Never blocks; while one is under
    /// way the next is put off.
    pub(super) fn save_if_due(&mut self) -> Result<()> {
        let Some(saves) = &mut self.saves else { return Ok(()) };
        let known = self.last.as_ref().map_or(self.first_step, |event| event.step);
        if let Some(outcome) = saves.poll(&self.session, known)? {
            self.saved(outcome)?;
        }
        let options = &self.supervisor.options;
        let every = options.save_every_n_steps.filter(|_| self.global_step > self.first_step);
        let by_step = every.is_some_and(|n| self.global_step.is_multiple_of(n));
        let by_request = options.save.as_ref().is_some_and(|s| s.swap(false, Ordering::Relaxed));
        let (interval, first) = (options.save_interval_secs, options.first_save_secs);
        let wanted = by_step || by_request;
        if self.saves.as_mut().is_some_and(|s| s.is_due(wanted, interval, first)) {
            match self.begin_save() {
                // Staging that finds no room is as a disk that does not.
                Err(e @ Error::OutOfMemory { .. }) => self.save_failed(self.global_step, &e)?,
                begun => begun?,
            }
        }
        Ok(())
    }

    /// The checkpoint at the end; waits for one under way, and for itself.
    pub(super) fn last_save(&mut self) -> Result<Option<PathBuf>> {
        let Some(saves) = &mut self.saves else { return Ok(None) };
        self.session.flush()?;
        if let Some(outcome) = saves.wait(&self.session)? {
            self.saved(outcome)?;
        }
        // Nothing was done: the checkpoint that the run began from is its last one.
        if let Some(path) = self.restored.take_if(|_| self.global_step == self.first_step) {
            return Ok(Some(path));
        }
        self.begin_save()?;
        self.session.flush()?;
        let Some(saves) = &mut self.saves else { return Ok(None) };
        match saves.wait(&self.session)?.expect("a save was begun") {
            // At the end there is no next save: a failure is the run's.
            Outcome::Failed(_, e) => Err(e),
            outcome => self.saved(outcome),
        }
    }

    fn begin_save(&mut self) -> Result<()> {
        let Some(saves) = &mut self.saves else { return Ok(()) };
        let report = self.session.gpu().report();
        let manifest = Manifest {
            global_step: self.global_step,
            seed: self.supervisor.train_op.seed,
            epoch: self.cursor.epoch,
            cursor: self.cursor.row,
            returned: self.returned.clone(),
            last_mask_update_step: self.last_mask_update,
            model: self.session.network().to_owned(),
            schema: self.session.schema().cloned(),
            data: self.supervisor.fingerprint(),
            pruning: self.supervisor.mask_update_op.spec().map(ToString::to_string),
            adapter: report.name.clone(),
            driver: report.driver.clone(),
            begun_unix: self.supervisor.begun_unix,
            ..Default::default()
        };
        saves.begin(&mut self.session, manifest)
    }

    /// Tells what became of a save. A full disk is no reason to stop training: the next save may
    /// find room.
    fn saved(&mut self, outcome: Outcome) -> Result<Option<PathBuf>> {
        let path = outcome.path();
        match outcome {
            Outcome::Failed(step, e) => self.save_failed(step, &e)?,
            Outcome::Written(event, histograms) => {
                self.supervisor.losses = 0;
                self.supervisor.summarise(|scalars| scalars.checkpoint(&event, &histograms))?;
                self.supervisor.tell(event)?;
            }
        }
        Ok(path)
    }

    fn save_failed(&mut self, step: u64, error: &Error) -> Result<()> {
        log::warn!("checkpoint of step {step} failed, training goes on: {error}");
        self.supervisor.failures += 1;
        let failures = self.supervisor.failures;
        self.supervisor.summarise(|scalars| scalars.save_failed(step, failures))?;
        self.supervisor.tell(Event::SaveFailed { step, message: error.to_string() })
    }
}
