//! When a run saves, and what becomes of it.
use std::path::PathBuf;
use std::time::Instant;

use super::checkpoint::Manifest;
use super::event::Event;
use super::saver::Saved;
use super::supervisor::Run;
use crate::{Error, Result};

impl Run<'_, '_> {
    /// Moves a save under way on, and begins one when it is due. Never blocks; while one is under
    /// way the next is put off.
    pub(super) fn saves(&mut self) -> Result<()> {
        let Some(files) = &mut self.files else { return Ok(()) };
        if let Some(saved) = files.saver.poll(self.session.gpu)? {
            self.saved(saved);
        }
        let Some(files) = &mut self.files else { return Ok(()) };
        let interval = self.options.save_interval_secs;
        let by_clock = interval > 0.0 && files.begun.elapsed().as_secs_f64() >= interval;
        let every = self.options.save_every_n_steps;
        files.due |= by_clock || every.is_some_and(|n| self.global_step.is_multiple_of(n));
        if files.due && !files.saver.is_busy() {
            self.begin_save()?;
        }
        Ok(())
    }

    /// The checkpoint at the end; waits for one under way, and for itself.
    pub(super) fn last_save(&mut self) -> Result<Option<PathBuf>> {
        let Some(files) = &mut self.files else { return Ok(None) };
        if let Some(saved) = files.saver.wait(self.session.gpu)? {
            self.saved(saved);
        }
        self.begin_save()?;
        let Some(files) = &mut self.files else { return Ok(None) };
        let saved = files.saver.wait(self.session.gpu)?.expect("a save was begun");
        // At the end there is no next save: a failure is the run's.
        match saved {
            Saved { outcome: Err(e), .. } => Err(e),
            saved => Ok(self.saved(saved)),
        }
    }

    fn begin_save(&mut self) -> Result<()> {
        let cursor = self.batches.cursor();
        let report = self.session.gpu.report();
        let pruning = self.mask_update_op.spec().map(serde_json::to_value).transpose();
        let manifest = Manifest {
            global_step: self.global_step,
            seed: self.seed,
            epoch: cursor.epoch,
            cursor: cursor.row,
            last_mask_update_step: self.last_mask_update,
            model: self.session.network.clone(),
            pruning: pruning.map_err(|e| Error::argument("pruning", e.to_string()))?,
            adapter: report.name.clone(),
            driver: report.driver.clone(),
            ..Default::default()
        };
        let Some(files) = &mut self.files else { return Ok(()) };
        files.saver.begin(&self.session, manifest)?;
        (files.begun, files.due) = (Instant::now(), false);
        Ok(())
    }

    /// A full disk is no reason to stop training: the next save may find room.
    fn saved(&mut self, saved: Saved) -> Option<PathBuf> {
        let Saved { step, outcome, histograms } = saved;
        if let Some(files) = &mut self.files {
            files.summarise(|scalars| scalars.histograms(step, &histograms));
        }
        match outcome {
            Ok(path) => {
                log::info!("saved {}", path.display());
                self.tell(Event::Checkpoint { step, path: path.clone() });
                Some(path)
            }
            Err(e) => {
                log::warn!("checkpoint of step {step} failed, training goes on: {e}");
                self.tell(Event::SaveFailed { step, message: e.to_string() });
                None
            }
        }
    }
}
