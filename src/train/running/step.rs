//! One step of a run: by its own gradient, by those of ranks that go in step, or by what comes.
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::outcome::End;
use super::run::Run;
use super::server::{Served, Server};
use crate::data::BatchSource;
use crate::train::guard::guarded;
use crate::train::replicas::{Group, InStep, agree};
use crate::train::step_fn::{Batches, Facts, StepContext, StepReturn};
use crate::{Error, Result};

/// Steps between two comparisons of all tensors of all ranks, unless the run says otherwise.
const CHECKED_EVERY: u64 = 1000;
/// How long ranks that are busy at the end are waited for before the last save.
const PARTING: Duration = Duration::from_secs(5);

/// What a turn of the loop has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// A step; whether its function asks to stop.
    Step { should_stop: bool },
    /// The data has ended.
    NoData,
    /// A stop was asked for before there was a step.
    Stopped,
}

/// What of a run is a step.
impl Run<'_, '_> {
    /// One step and the mask update after it.
    pub(super) fn step(&mut self) -> Result<Turn> {
        if self.server.is_some() {
            return self.served_step();
        }
        let global_step = self.global_step + 1;
        let wants_stop = self.wants_stop || self.stop_wanted();
        let facts = Facts {
            global_step,
            should_stop: self.limit_reached(global_step) || self.stop_asked() || wants_stop,
            should_log: self.supervisor.options.logs(global_step),
            should_trace: self.session.is_traced(),
            logdir: self.supervisor.logdir.as_ref().map(|l| l.path.as_path()),
        };
        let batches =
            Batches { source: &mut self.supervisor.train_op.batches, batch: &mut self.batch };
        let (updates, ended, accumulated, taken) = (0, false, None, &mut self.taken);
        let mut in_step = self.in_step.as_mut();
        if let Some(in_step) = &mut in_step {
            in_step.begin(wants_stop);
        }
        let mut context = StepContext {
            session: &mut self.session,
            batches,
            facts,
            accumulated,
            updates,
            taken,
            ended,
            in_step,
            stops: false,
        };
        let returned = match &mut self.supervisor.options.train_step_fn {
            None => context.train().map(|()| StepReturn::default()),
            Some(step) => guarded("train_step_fn", || step(&mut context)),
        }?;
        let StepContext { updates, ended, accumulated, stops, .. } = context;
        self.data_ended = ended;
        self.stops |= stops;
        if updates == 0 && ended {
            return Ok(Turn::NoData);
        }
        let misused = match (updates, accumulated) {
            (0, None) => {
                Some("returned without an update; call train(), or accumulate() and apply()")
            }
            (_, Some(_)) if !ended => {
                Some("returned with a gradient left over; call apply() before")
            }
            _ => None,
        };
        if let Some(message) = misused {
            return Err(Error::argument("train_step_fn", message));
        }
        self.finish_step(global_step, returned.loss)?;
        self.cursor = self.supervisor.train_op.batches.cursor();
        self.returned = self.supervisor.train_op.batches.first().to_vec();
        if self.in_step.is_none() {
            return Ok(Turn::Step { should_stop: returned.should_stop });
        }
        // The others hear of it in the next step.
        self.wants_stop |= returned.should_stop;
        self.compare_if_due()?;
        Ok(Turn::Step { should_stop: false })
    }

    /// Submits the step with its mask update, where one is due.
    fn finish_step(&mut self, global_step: u64, loss: Option<f32>) -> Result<()> {
        let asked = self.supervisor.mask_update_op.due(global_step, self.last_mask_update)?;
        self.session.finish_step(global_step, asked, loss)?;
        self.global_step = global_step;
        if asked.is_some() {
            self.last_mask_update = global_step;
            self.in_step.iter_mut().for_each(InStep::masks_moved);
            self.server.iter_mut().for_each(Server::masks_moved);
        }
        Ok(())
    }

    /// A step by gradients that other threads and ranks have computed.
    fn served_step(&mut self) -> Result<Turn> {
        let stop = self.supervisor.options.stop.clone();
        let stop = || stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed));
        let source = &mut self.supervisor.train_op.batches;
        let Some(server) = &mut self.server else { return Ok(Turn::NoData) };
        self.supervisor.watchdog.doing("gradients of ranks");
        let served = server.turn(&mut self.session, source, stop)?;
        (self.cursor, self.returned) = (server.cursor(), server.unused());
        match served {
            Served::NoData => return Ok(Turn::NoData),
            Served::Stopped => return Ok(Turn::Stopped),
            Served::Update => {}
        }
        self.finish_step(self.global_step + 1, None)?;
        Ok(Turn::Step { should_stop: false })
    }

    /// The last checkpoint; the ranks part when it is on the disk.
    pub(super) fn end(&mut self, end: End) -> Result<Option<PathBuf>> {
        if self.in_step.is_some() {
            self.compare()?;
        }
        let step = self.global_step;
        let patience = Some(PARTING);
        let mut told = true;
        self.supervisor.watchdog.doing("ranks that are to end");
        if let Some(server) = &mut self.server {
            told = server.part(step, Ok(end), patience)?;
        }
        let watchdog = Arc::clone(&self.supervisor.watchdog);
        // A disk may take longer than a step.
        let pause = watchdog.pause();
        let checkpoint = self.last_save()?;
        let is_chief = self.supervisor.group.as_ref().is_some_and(Group::is_chief);
        let pause = (!is_chief).then_some(pause);
        if let Some(server) = self.server.as_mut().filter(|_| !told) {
            server.part(step, Ok(end), None)?;
        }
        if let Some(group) = &self.supervisor.group {
            group.leave_exchange();
            group.gather(&[])?;
        }
        drop(pause);
        Ok(checkpoint)
    }

    /// Tells ranks that do not go in step that the run fails; others hear of it at their next
    /// gathering.
    pub(super) fn part_for(&mut self, error: &Error) {
        let (Some(server), Some(group)) = (&mut self.server, &self.supervisor.group) else {
            return;
        };
        if let Ok(true) = server.part(self.global_step, Err(error), Some(PARTING)) {
            group.all_know();
        }
    }

    /// Compares the tensors of all ranks every so many steps.
    fn compare_if_due(&self) -> Result<()> {
        let sync = self.supervisor.options.sync_optimizer.as_ref();
        let every = sync.and_then(|sync| sync.check_every_n_steps).unwrap_or(CHECKED_EVERY);
        if every == 0 || !self.global_step.is_multiple_of(every) {
            return Ok(());
        }
        self.compare()
    }

    fn compare(&self) -> Result<()> {
        let Some(group) = self.supervisor.group.as_ref().filter(|group| group.size() > 1) else {
            return Ok(());
        };
        agree::checksums(&**group.comm(), self.global_step, &self.session.checksums()?)
    }
}
