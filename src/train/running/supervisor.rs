//! What outlives a device: the logdir, the data, the options, and the decision to try again.
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::agreement;
use super::logdir::Logdir;
use super::outcome::{Finished, TrainOutcome};
use super::server::{Server, Serving};
use super::worker::OwnWorker;
use crate::data::{BatchSource, Cursor};
use crate::prune::MaskUpdateOp;
use crate::session::Session;
use crate::train::guard::guarded;
use crate::train::options::{Summaries, TrainOptions, Way};
use crate::train::record::event::{Event, StepEvent};
use crate::train::record::scalars::Scalars;
use crate::train::record::summary::SummaryWriter;
use crate::train::replicas::{Group, InStep, Watchdog, agree};
use crate::train::train_op::TrainOp;
use crate::{Error, Result};

pub(super) struct Supervisor<'a> {
    pub(super) train_op: TrainOp<'a>,
    pub(super) mask_update_op: MaskUpdateOp,
    pub(super) options: TrainOptions<'a>,
    /// Where gradients are exchanged.
    pub(super) group: Option<Group>,
    pub(super) watchdog: Arc<Watchdog>,
    pub(super) scalars: Option<Scalars<'a>>,
    /// Dropped after what writes into it.
    pub(super) logdir: Option<Logdir>,
    /// Where the batches are at the start of a run that restores nothing.
    pub(super) first_batch: Cursor,
    /// Global step of the first start; `None` before it.
    pub(super) first_step: Option<u64>,
    /// When the first step began.
    pub(super) origin: Option<Instant>,
    /// When the run was first started, in seconds since 1970.
    pub(super) begun_unix: u64,
    /// Devices lost since the last checkpoint.
    pub(super) losses: u32,
    /// Saves that failed.
    pub(super) failures: u64,
}

impl<'a> Supervisor<'a> {
    pub(super) fn open(
        mut train_op: TrainOp<'a>,
        logdir: Option<&Path>,
        mask_update_op: MaskUpdateOp,
        mut options: TrainOptions<'a>,
        group: Option<Group>,
    ) -> Result<Self> {
        let watchdog = match &group {
            Some(group) => Watchdog::new(group.comm(), options.watchdog)?,
            None => Watchdog::default(),
        };
        // Files are the chief's alone.
        let is_chief = group.as_ref().is_none_or(Group::is_chief);
        let given = logdir.filter(|_| is_chief);
        // What is refused here leaves no folder behind.
        let mask_update_op =
            agreement::reach(&mut train_op, logdir, mask_update_op, &options, group.as_ref())?;
        let mut logdir = given.map(Logdir::open).transpose()?;
        let writer: Option<Box<dyn SummaryWriter + 'a>> =
            match (std::mem::take(&mut options.summary_writer), &mut logdir) {
                (Summaries::Own(writer), _) if is_chief => Some(writer),
                (Summaries::Logdir, Some(logdir)) => Some(Box::new(logdir.event_writer()?)),
                _ => None,
            };
        let name = mask_update_op.spec().map_or("model_pruning", |s| s.name.as_str());
        let own = options.summary_op.take();
        let scalars = writer.map(|writer| Scalars::new(writer, own, name));
        let way = options.way()?;
        if let (Some(group), Way::InStep) = (&group, way) {
            train_op.batches.shard(group.rank(), group.size(), &[])?;
        }
        let first_batch = train_op.batches.cursor();
        Ok(Self {
            train_op,
            mask_update_op,
            options,
            group,
            watchdog: Arc::new(watchdog),
            scalars,
            logdir,
            first_batch,
            first_step: None,
            origin: None,
            begun_unix: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs()),
            losses: 0,
            failures: 0,
        })
    }

    /// After a lost device: opens it afresh, for a run that goes on from the newest checkpoint.
    ///
    /// # Errors
    /// `error` where it is another one, where there is nothing to go on from, or after too many;
    /// where several ranks train, whose others are further on.
    pub(super) fn retry(&mut self, error: Error) -> Result<()> {
        let Error::DeviceLost(cause) = &error else { return Err(error) };
        let shared = self.train_op.gpu.is_shared();
        let others = self.group.as_ref().is_some_and(|group| group.size() > 1);
        if shared || others || self.logdir.is_none() || self.losses >= self.options.max_retries {
            return Err(error);
        }
        log::warn!("GPU device lost: {cause}; to go on from the newest checkpoint");
        while self.losses < self.options.max_retries {
            // A driver that resets takes its time.
            std::thread::sleep(Duration::from_secs(self.losses.into()));
            self.losses += 1;
            match self.train_op.gpu.reopen() {
                Ok(gpu) => {
                    self.train_op.gpu = gpu;
                    return self.tell(Event::DeviceLost { cause: cause.clone() });
                }
                Err(e) => log::warn!("the device could not be opened again: {e}"),
            }
        }
        Err(error)
    }

    /// How this rank meets the others before each update, where they train in step.
    pub(super) fn in_step(&self) -> Result<Option<InStep>> {
        match (&self.group, &self.options.sync_optimizer, self.options.way()?) {
            (Some(group), Some(sync), Way::InStep) => {
                InStep::new(group, sync, &self.watchdog).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The chief's server, where ranks do not go in step, with a worker of its own beside it.
    pub(super) fn server(
        &self,
        session: &Session,
        step: u64,
        cursor: Cursor,
        returned: &[Cursor],
    ) -> Result<Option<Server>> {
        let (Some(group), Way::Free { wanted }) = (&self.group, self.options.way()?) else {
            return Ok(None);
        };
        group.enter_exchange();
        let limit = self.options.number_of_steps.unwrap_or(u64::MAX);
        let serving = Serving {
            group: group.clone(),
            wanted,
            max_staleness: self.options.max_staleness,
            delay: self.options.startup_delay_steps.min(limit),
            limit: self.options.watchdog,
            own: OwnWorker::new(&self.train_op, &self.mask_update_op, group).start()?,
        };
        Server::new(serving, session, step, cursor, returned.to_vec()).map(Some)
    }

    /// Refuses ranks whose values are not the same before the first step.
    pub(super) fn begin_alike(&self, session: &Session, step: u64) -> Result<()> {
        match &self.group {
            Some(group) => agree::checksums(&**group.comm(), step, &session.checksums()?),
            None => Ok(()),
        }
    }

    pub(super) fn outcome(self, finished: Finished) -> TrainOutcome {
        let Finished { end, session, global_step, last, checkpoint, seconds } = finished;
        let steps = self.steps_since(global_step);
        if let Some(scalars) = self.scalars {
            // The checkpoint is on the disk: a summary that fails does not take the run back.
            if let Err(e) = scalars.close(&session, last.as_ref(), global_step) {
                log::warn!("the last summary could not be written: {e}");
            }
        }
        TrainOutcome {
            loss: last.as_ref().map(|e| e.loss),
            metric: last.as_ref().and_then(|e| e.metric),
            global_step,
            end,
            checkpoint,
            steps,
            seconds,
            session,
        }
    }

    /// Steps that this call went on by.
    pub(super) fn steps_since(&self, global_step: u64) -> u64 {
        // A checkpoint that was there at the first start may be gone at the second.
        global_step.saturating_sub(self.first_step.unwrap_or(global_step))
    }

    pub(super) fn tell(&mut self, event: Event) -> Result<()> {
        match &mut self.options.on_event {
            Some(observer) => guarded("on_event", || {
                observer(&event);
                Ok(())
            }),
            None => Ok(()),
        }
    }

    /// Writes summaries. Those that the disk does not take do not end a run.
    pub(super) fn summarise(
        &mut self,
        write: impl FnOnce(&mut Scalars<'a>) -> Result<()>,
    ) -> Result<()> {
        self.scalars.as_mut().map_or(Ok(()), |scalars| scalars.attempt(write))
    }

    pub(super) fn log(&self, event: &StepEvent) {
        let StepEvent { step, loss, seconds, .. } = event;
        if self.options.logs(*step) {
            log::info!("global step {step}: loss = {loss:.4} ({seconds:.3} sec/step)");
        }
    }
}
