//! One run of the loop on one device: decides what is due, and hands each step to the session.
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::outcome::{End, Finished};
use super::saver::Saver;
use super::saves::Saves;
use super::server::Server;
use super::step::Turn;
use super::supervisor::Supervisor;
use crate::data::{Batch, BatchSource, Cursor};
use crate::session::StepResult;
use crate::session::{MaskEvent, Session, Trace};
use crate::train::record::event::{Event, StepEvent};
use crate::train::record::trace;
use crate::train::replicas::InStep;
use crate::{Error, Result};

pub(super) struct Run<'s, 'a> {
    pub(super) supervisor: &'s mut Supervisor<'a>,
    pub(super) session: Session,
    pub(super) saves: Option<Saves>,
    pub(super) batch: Batch,
    /// Batches taken from the source.
    pub(super) taken: u64,
    /// The step before found no more batches; the source is not asked again.
    pub(super) data_ended: bool,
    pub(super) global_step: u64,
    pub(super) last_mask_update: u64,
    /// The checkpoint that it began from.
    pub(super) restored: Option<PathBuf>,
    /// Where the batches of the next step begin.
    pub(super) cursor: Cursor,
    /// Batches that come before that one.
    pub(super) returned: Vec<Cursor>,
    /// Global step that it starts from.
    pub(super) first_step: u64,
    /// When the first step of the call began: time 0 of its traces.
    origin: Instant,
    previous_submit: Option<Instant>,
    pub(super) last: Option<StepEvent>,
    /// That the masks miss the target has been said.
    warned: bool,
    /// That the run ends before its schedule does.
    short: Option<String>,
    /// Where ranks train in step.
    pub(super) in_step: Option<InStep>,
    /// Where they do not, on the chief.
    pub(super) server: Option<Server>,
    /// All ranks are to end: one of them was asked to.
    pub(super) stops: bool,
    /// The step function asks for the end of a run of several ranks.
    pub(super) wants_stop: bool,
}

/// Difference of reached from asked sparsity that is worth a warning: more than rounding makes in
/// any but the smallest tensors.
const MISSED: f64 = 0.005;

impl<'s, 'a> Run<'s, 'a> {
    /// Puts the network on the device as its newest checkpoint or its initial values have it.
    pub(super) fn start(supervisor: &'s mut Supervisor<'a>) -> Result<Self> {
        let (session, state) = supervisor.session()?;
        let (global_step, last_mask_update) = (state.global_step, state.last_mask_update);
        if let Some(limit) = supervisor.options.number_of_steps {
            supervisor.mask_update_op.check_fires(global_step, limit, last_mask_update)?;
        }
        let began = *supervisor.first_step.get_or_insert(global_step);
        let limit = supervisor.options.number_of_steps.filter(|_| began == global_step);
        let short = limit.and_then(|limit| {
            supervisor.mask_update_op.falls_short(global_step, limit, last_mask_update)
        });
        if let Some(short) = &short {
            log::warn!("{short}");
        }
        let in_step = supervisor.in_step()?;
        supervisor.begin_alike(&session, global_step)?;
        let cursor = supervisor.train_op.batches.cursor();
        let returned = supervisor.train_op.batches.first().to_vec();
        let saves = supervisor.logdir.as_ref().map(|logdir| {
            let retention = supervisor.options.retention();
            Saves::new(Saver::new(logdir.path.clone(), retention, &session))
        });
        let hparams = supervisor.hparams();
        supervisor.summarise(|scalars| scalars.start(global_step + 1, &hparams))?;
        let memory = session.memory();
        if let Some(logdir) = &mut supervisor.logdir {
            logdir.begin();
        }
        supervisor.tell(Event::Start { step: global_step, memory })?;
        let origin = *supervisor.origin.get_or_insert_with(Instant::now);
        let server = supervisor.server(&session, global_step, cursor, &returned)?;
        Ok(Self {
            supervisor,
            session,
            saves,
            batch: Batch::default(),
            taken: 0,
            data_ended: false,
            global_step,
            last_mask_update,
            restored: state.restored,
            short,
            cursor,
            returned,
            first_step: global_step,
            origin,
            previous_submit: None,
            last: None,
            warned: false,
            in_step,
            server,
            stops: false,
            wants_stop: false,
        })
    }

    /// Takes every step, and saves at the end.
    pub(super) fn complete(mut self) -> Result<Finished> {
        let end = match self.steps() {
            Ok(end) => end,
            Err(error) => {
                self.rescue(&error);
                self.part_for(&error);
                return Err(error);
            }
        };
        let seconds = self.origin.elapsed().as_secs_f64();
        let checkpoint = self.end(end)?;
        if let Some(short) = self.short.filter(|_| end == End::StepLimit) {
            log::warn!("{}", short.replacen("ends", "ended", 1));
        }
        let Self { session, global_step, last, .. } = self;
        Ok(Finished { end, session, global_step, last, checkpoint, seconds })
    }

    fn steps(&mut self) -> Result<End> {
        let end = loop {
            if self.limit_reached(self.global_step) {
                break End::StepLimit;
            }
            if self.stop_asked() {
                break End::Stopped;
            }
            if self.data_ended {
                break End::EndOfData;
            }
            if self.traced() {
                let untraced =
                    self.last.as_ref().map(|e| e.seconds).filter(|&seconds| seconds > 0.0);
                self.session.begin_trace(Trace::new(self.origin, untraced));
            }
            // Its copies travel with the step.
            self.session.mark("checkpoint");
            self.save_if_due()?;
            let should_stop = match self.step()? {
                Turn::Step { should_stop } => should_stop,
                Turn::NoData => break End::EndOfData,
                Turn::Stopped => break End::Stopped,
            };
            if self.session.is_traced() {
                self.session.mark("wait");
                self.session.gpu().wait()?;
            }
            self.session.mark("results");
            for result in self.session.ready()? {
                self.handle(&result)?;
            }
            self.write_trace()?;
            self.supervisor.watchdog.step(self.global_step);
            if should_stop {
                break End::Stopped;
            }
        };
        // A save may wait for the next step, or a gradient for more data.
        self.session.flush()?;
        self.drain()?;
        Ok(end)
    }

    pub(super) fn limit_reached(&self, global_step: u64) -> bool {
        self.supervisor.options.number_of_steps.is_some_and(|limit| global_step >= limit)
    }

    /// Whether the run ends before its next step. Where ranks train in step they all end after the
    /// same one.
    pub(super) fn stop_asked(&self) -> bool {
        if self.in_step.is_some() { self.stops } else { self.stop_wanted() }
    }

    pub(super) fn stop_wanted(&self) -> bool {
        self.supervisor.options.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    fn traced(&self) -> bool {
        let options = &self.supervisor.options;
        let every = options.trace_every_n_steps;
        every.is_some_and(|n| self.global_step.is_multiple_of(n))
            || options
                .trace_step
                .is_some_and(|n| self.supervisor.steps_since(self.global_step) == n)
    }

    fn write_trace(&mut self) -> Result<()> {
        let (Some(traced), Some(logdir)) = (self.session.end_trace()?, &self.supervisor.logdir)
        else {
            return Ok(());
        };
        let path = logdir.path.join(format!("timeline-{}.json", self.global_step));
        let work = self.saves.as_ref().map(Saves::work).unwrap_or_default();
        match trace::write(&traced, self.session.gpu().report(), self.global_step, &work, &path) {
            Ok(()) => log::info!("wrote {}", path.display()),
            // A full disk is no reason to stop training, nor is what stands in the way.
            Err(e @ (Error::Io { .. } | Error::File { .. })) => {
                log::warn!("no trace, training goes on: {e}");
            }
            Err(e) => return Err(e),
        }
        Ok(())
    }

    /// Handles every step submitted so far; waits for the device.
    fn drain(&mut self) -> Result<()> {
        for result in self.session.drain()? {
            self.handle(&result)?;
        }
        Ok(())
    }

    /// Looks at one result: refuses what is not finite, logs, summarises, tells the observer.
    fn handle(&mut self, result: &StepResult) -> Result<()> {
        let step = result.step;
        self.check_finite(result)?;
        let seconds =
            self.previous_submit.map_or(Duration::ZERO, |previous| result.submitted - previous);
        self.previous_submit = Some(result.submitted);
        let masks =
            result.mask_update.as_ref().map(|m| self.session.mask_event(step, m)).transpose()?;
        if let Some(masks) = &masks {
            self.check_reached(masks);
        }
        let event = StepEvent {
            step,
            loss: result.loss,
            metric: result.metric,
            learning_rate: self.supervisor.train_op.training.learning_rate(step),
            seconds: seconds.as_secs_f64(),
            masks,
        };
        self.supervisor.log(&event);
        let when = self.supervisor.options.summaries_when();
        let session = &self.session;
        let server = self.server.as_ref().map(|server| &server.stats);
        let ranks = server.or(self.in_step.as_ref().map(|in_step| &in_step.stats));
        self.supervisor.summarise(|scalars| scalars.step(session, &event, when, ranks))?;
        self.supervisor.tell(Event::Step(event.clone()))?;
        self.last = Some(event);
        Ok(())
    }

    fn check_finite(&self, result: &StepResult) -> Result<()> {
        if result.loss.is_finite() {
            return Ok(());
        }
        Err(Error::NonFinite { step: result.step, tensor: self.session.first_non_finite()? })
    }

    /// Says so once when the masks miss the sparsity that the schedule ends at.
    fn check_reached(&mut self, masks: &MaskEvent) {
        let target = self.supervisor.mask_update_op.spec().map(|s| s.target_sparsity);
        let (asked, reached) = (masks.asked_total, masks.sparsity());
        if target != Some(masks.asked) || (asked - reached).abs() <= MISSED || self.warned {
            return;
        }
        self.warned = true;
        log::warn!("asked for sparsity {asked:.4} in all, the masks reach {reached:.4}");
    }

    /// After an error that leaves the device well: saves the steps that are complete.
    fn rescue(&mut self, error: &Error) {
        let bad = matches!(
            error,
            Error::DeviceLost(_)
                | Error::DeviceHung { .. }
                | Error::NonFinite { .. }
                | Error::Diverged { .. }
        );
        // Between two steps there is nothing that a resumed run could go on from.
        let Some(saves) = self.saves.as_mut().filter(|_| !bad && !self.session.torn()) else {
            return;
        };
        self.session.abandon();
        saves.abandon();
        // The observer is not told: it may be what failed.
        let drained = self.session.drain();
        let finite = drained.and_then(|all| all.iter().try_for_each(|r| self.check_finite(r)));
        self.supervisor.options.on_event = None;
        match finite.and_then(|()| self.last_save()) {
            Ok(path) => {
                let path = path.as_deref().unwrap_or(Path::new("nothing")).display();
                log::warn!("the run failed after global step {}; saved {path}", self.global_step);
            }
            Err(e) => log::warn!("the run failed, and no last checkpoint could be written: {e}"),
        }
    }
}
