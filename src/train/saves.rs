//! When a run saves, and what becomes of it.
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::checkpoint::Manifest;
use super::event::Event;
use super::run::Run;
use super::saver::{Saved, Saver};
use super::trace::Work;
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
}

impl Run<'_, '_> {
    /// Moves a save under way on, and begins one when it is due. Never blocks; while one is under
    /// way the next is put off.
    pub(super) fn save_if_due(&mut self) -> Result<()> {
        let Some(saves) = &mut self.saves else { return Ok(()) };
        let now = Instant::now();
        let known = self.last.as_ref().map_or(self.first_step, |event| event.step);
        let saved = saves.saver.poll(&self.session.gpu, known)?;
        saves.stall += now.elapsed();
        if let Some(saved) = saved {
            self.saved(saved)?;
        }
        let Some(saves) = &mut self.saves else { return Ok(()) };
        let options = &self.supervisor.options;
        let interval = options.save_interval_secs;
        let by_clock = interval > 0.0 && saves.begun.elapsed().as_secs_f64() >= interval;
        let every = options.save_every_n_steps.filter(|_| self.global_step > self.first_step);
        let by_step = every.is_some_and(|n| self.global_step.is_multiple_of(n));
        let by_request = options.save.as_ref().is_some_and(|s| s.swap(false, Ordering::Relaxed));
        saves.due |= by_clock || by_step || by_request;
        if saves.due && !saves.saver.is_busy() {
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
        if let Some(saved) = saves.saver.wait(&self.session.gpu)? {
            self.saved(saved)?;
        }
        self.begin_save()?;
        self.session.flush()?;
        let Some(saves) = &mut self.saves else { return Ok(None) };
        let saved = saves.saver.wait(&self.session.gpu)?.expect("a save was begun");
        // At the end there is no next save: a failure is the run's.
        match saved {
            Saved { outcome: Err(e), .. } => Err(e),
            saved => self.saved(saved),
        }
    }

    fn begin_save(&mut self) -> Result<()> {
        let Some(saves) = &mut self.saves else { return Ok(()) };
        let report = self.session.gpu.report();
        let pruning = self.supervisor.mask_update_op.spec().map(serde_json::to_value).transpose();
        let manifest = Manifest {
            global_step: self.global_step,
            seed: self.supervisor.train_op.seed,
            epoch: self.cursor.epoch,
            cursor: self.cursor.row,
            last_mask_update_step: self.last_mask_update,
            model: self.session.network.clone(),
            pruning: pruning.map_err(|e| Error::argument("pruning", e.to_string()))?,
            adapter: report.name.clone(),
            driver: report.driver.clone(),
            begun_unix: self.supervisor.begun_unix,
            ..Default::default()
        };
        (saves.begun, saves.due) = (Instant::now(), false);
        saves.saver.begin(&mut self.session, manifest)?;
        saves.stall = saves.begun.elapsed();
        Ok(())
    }

    /// A full disk is no reason to stop training: the next save may find room.
    fn saved(&mut self, saved: Saved) -> Result<Option<PathBuf>> {
        let Saved { step, outcome, written, histograms } = saved;
        let path = match outcome {
            Ok(path) => path,
            Err(e) => return self.save_failed(step, &e).map(|()| None),
        };
        let saves = self.saves.as_ref();
        let seconds = saves.map_or(0.0, |s| (written - s.begun).as_secs_f64());
        let stall_seconds = saves.map_or(0.0, |s| s.stall.as_secs_f64());
        log::info!("saved {}", path.display());
        self.supervisor.losses = 0;
        let event = Event::Checkpoint { step, path: path.clone(), seconds, stall_seconds };
        self.supervisor.summarise(|scalars| scalars.checkpoint(&event, &histograms))?;
        self.supervisor.tell(event)?;
        Ok(Some(path))
    }

    fn save_failed(&mut self, step: u64, error: &Error) -> Result<()> {
        log::warn!("checkpoint of step {step} failed, training goes on: {error}");
        self.supervisor.failures += 1;
        let failures = self.supervisor.failures;
        self.supervisor.summarise(|scalars| scalars.save_failed(step, failures))?;
        self.supervisor.tell(Event::SaveFailed { step, message: error.to_string() })
    }
}
