//! The loop: decides what is due, and hands each step to the session as one submission.
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::checkpoint::{self, Lock, Manifest};
use super::event::{Event, MaskEvent, MaskSparsity, StepEvent};
use super::options::TrainOptions;
use super::saver::Saver;
use super::scalars::Scalars;
use super::session::{Session, StepResult};
use super::trace::Trace;
use super::train_op::TrainOp;
use crate::data::{Batch, BatchSource, Cursor};
use crate::kernels::TopkState;
use crate::prune::{MaskUpdateOp, PrunedTensor};
use crate::{Error, Result};

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The global step reached `number_of_steps`.
    StepLimit,
    /// The batch source has no more batches.
    EndOfData,
    /// [`TrainOptions::stop`] was set.
    Stopped,
}

/// What a run leaves behind.
#[derive(Debug)]
pub struct TrainOutcome<'g> {
    /// Loss of the last step executed; `None` when the run was at its limit already.
    pub loss: Option<f32>,
    /// Share of right rows in the last batch.
    pub accuracy: Option<f64>,
    /// Global step reached.
    pub global_step: u64,
    /// Why it ended.
    pub end: End,
    /// The final checkpoint, with a logdir.
    pub checkpoint: Option<PathBuf>,
    /// Steps executed by this call.
    pub steps: u64,
    /// Seconds that they took.
    pub seconds: f64,
    /// The network as trained, ready to be evaluated.
    pub session: Session<'g>,
}

/// Trains until a limit, updating the masks after every step that is due, in the same submission.
///
/// With a logdir: goes on from its newest valid checkpoint, bit for bit where it was left, writes
/// events and traces, and ends with a checkpoint. `None` trains without files.
///
/// # Errors
/// [`Error::Argument`] names the option and the way out; [`Error::NonFinite`] the step and tensor;
/// [`Error::Locked`] the process that works in the logdir; [`Error::NoValidCheckpoint`] when there
/// are checkpoints but none can be trusted.
pub fn train<'g>(
    train_op: TrainOp<'g>,
    logdir: Option<&Path>,
    mask_update_op: MaskUpdateOp,
    options: TrainOptions<'_>,
) -> Result<TrainOutcome<'g>> {
    options.validate(logdir)?;
    let mut run = Run::start(train_op, logdir, mask_update_op, options)?;
    let end = run.steps()?;
    run.finish(end)
}

pub(super) struct Run<'g, 'o> {
    pub(super) session: Session<'g>,
    pub(super) batches: Box<dyn BatchSource + 'g>,
    pub(super) mask_update_op: MaskUpdateOp,
    pub(super) options: TrainOptions<'o>,
    pub(super) files: Option<Files>,
    pub(super) learning_rate: f32,
    pub(super) seed: u64,
    pub(super) global_step: u64,
    pub(super) last_mask_update: u64,
    pub(super) first_step: u64,
    pub(super) origin: Instant,
    pub(super) previous_submit: Option<Instant>,
    pub(super) last: Option<StepEvent>,
}

pub(super) struct Files {
    pub(super) logdir: PathBuf,
    pub(super) scalars: Scalars,
    pub(super) saver: Saver,
    pub(super) summaries_failed: bool,
    /// When the last save was begun.
    pub(super) begun: Instant,
    /// A save is wanted as soon as the one under way is done.
    pub(super) due: bool,
    _lock: Lock,
}

impl Files {
    /// Summaries that cannot be written, on a full disk say, do not end a run; said once.
    pub(super) fn summarise(&mut self, write: impl FnOnce(&mut Scalars) -> Result<()>) {
        if let Err(e) = write(&mut self.scalars)
            && !std::mem::replace(&mut self.summaries_failed, true)
        {
            log::warn!("a summary could not be written, training goes on: {e}");
        }
    }
}

impl<'g, 'o> Run<'g, 'o> {
    fn start(
        train_op: TrainOp<'g>,
        logdir: Option<&Path>,
        mask_update_op: MaskUpdateOp,
        mut options: TrainOptions<'o>,
    ) -> Result<Self> {
        let TrainOp { gpu, network, optimizer, mut batches, seed } = train_op;
        let session = Session::new(gpu, &network, optimizer, &mask_update_op, seed)?;
        let (mut global_step, mut last_mask_update, mut files) = (0, 0, None);
        let mut restored = false;
        if let Some(logdir) = logdir {
            std::fs::create_dir_all(logdir).map_err(Error::io("create", logdir))?;
            let lock = Lock::acquire(logdir)?;
            checkpoint::sweep(logdir)?;
            if let Some(found) = checkpoint::newest(logdir)? {
                for skipped in &found.skipped {
                    log::warn!("skipped {skipped}");
                }
                let manifest = &found.manifest;
                check_same_run(manifest, &network.name, seed, &found.path)?;
                session.restore(&found)?;
                batches.seek(Cursor { epoch: manifest.epoch, row: manifest.cursor })?;
                global_step = manifest.global_step;
                last_mask_update = manifest.last_mask_update_step;
                restored = true;
                log::info!("restored {}", found.path.display());
            }
            files = Some((logdir.to_owned(), lock));
        }
        if let Some(limit) = options.number_of_steps {
            mask_update_op.check_fires(global_step, limit, last_mask_update)?;
        }
        let files = files
            .map(|(logdir, lock)| {
                let name = mask_update_op.spec().map_or("model_pruning", |s| s.name.as_str());
                // TensorBoard drops what an earlier file has from this step on.
                let start = if global_step == 0 { 0 } else { global_step + 1 };
                let scalars = Scalars::create(&logdir, start, name)?;
                let saver = Saver::new(logdir.clone(), options.max_to_keep, &session);
                let begun = Instant::now();
                Ok::<_, Error>(Files {
                    logdir,
                    scalars,
                    saver,
                    summaries_failed: false,
                    begun,
                    due: false,
                    _lock: lock,
                })
            })
            .transpose()?;
        if !restored {
            for (name, values) in std::mem::take(&mut options.init_feed_dict) {
                session.set_weights(&name, &values)?;
            }
            options.init_fn.take().map_or(Ok(()), |init| init(&session))?;
        }
        options.local_init_op.take().map_or(Ok(()), |init| init(&session))?;
        let mut this = Self {
            session,
            batches,
            mask_update_op,
            options,
            files,
            learning_rate: optimizer.learning_rate(),
            seed,
            global_step,
            last_mask_update,
            first_step: global_step,
            origin: Instant::now(),
            previous_submit: None,
            last: None,
        };
        let memory = this.session.memory();
        this.tell(Event::Start { step: global_step, memory });
        Ok(this)
    }

    fn steps(&mut self) -> Result<End> {
        let mut batch = Batch::default();
        self.origin = Instant::now();
        loop {
            if self.options.number_of_steps.is_some_and(|limit| self.global_step >= limit) {
                return Ok(End::StepLimit);
            }
            if self.options.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Ok(End::Stopped);
            }
            let every = self.options.trace_every_n_steps;
            let traced = every.is_some_and(|n| self.global_step.is_multiple_of(n));
            let mut trace = None;
            if traced {
                let launches = self.session.launches();
                trace = Some(Trace::new(self.session.gpu, launches, self.origin)?);
            }
            if let Some(trace) = &mut trace {
                trace.mark("next batch");
            }
            if !self.batches.next_batch(&mut batch)? {
                return Ok(End::EndOfData);
            }
            let step = self.global_step + 1;
            let asked = self.mask_update_op.due(step, self.last_mask_update);
            self.session.step(&batch, step, asked, trace.as_mut())?;
            self.global_step = step;
            if asked.is_some() {
                self.last_mask_update = step;
            }
            if let (Some(trace), Some(files)) = (trace, &self.files) {
                let path = files.logdir.join(format!("timeline-{step}.json"));
                match trace.write(self.session.gpu, step, &path) {
                    Ok(()) => log::info!("wrote {}", path.display()),
                    // A full disk is no reason to stop training.
                    Err(e @ Error::Io { .. }) => log::warn!("no trace, training goes on: {e}"),
                    Err(e) => return Err(e),
                }
            }
            for result in self.session.ready()? {
                self.handle(&result)?;
            }
            self.saves()?;
        }
    }

    fn finish(mut self, end: End) -> Result<TrainOutcome<'g>> {
        self.drain()?;
        let seconds = self.origin.elapsed().as_secs_f64();
        let checkpoint = self.last_save()?;
        if let Some(files) = self.files {
            // The checkpoint is on the disk: a summary that fails does not take the run back.
            if let Err(e) = files.scalars.close(self.last.as_ref(), self.global_step) {
                log::warn!("the last summary could not be written: {e}");
            }
        }
        Ok(TrainOutcome {
            loss: self.last.as_ref().map(|e| e.loss),
            accuracy: self.last.as_ref().map(|e| e.accuracy),
            global_step: self.global_step,
            end,
            checkpoint,
            steps: self.global_step - self.first_step,
            seconds,
            session: self.session,
        })
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
        if !result.loss.is_finite() {
            return Err(Error::NonFinite { step, tensor: self.session.first_non_finite()? });
        }
        let seconds =
            self.previous_submit.map_or(Duration::ZERO, |previous| result.submitted - previous);
        self.previous_submit = Some(result.submitted);
        let masks = result.mask_update.as_ref().map(|m| self.mask_event(step, m)).transpose()?;
        let event = StepEvent {
            step,
            loss: result.loss,
            accuracy: result.accuracy,
            learning_rate: self.learning_rate,
            seconds: seconds.as_secs_f64(),
            masks,
        };
        if self.options.log_every_n_steps.is_some_and(|n| n > 0 && step.is_multiple_of(n)) {
            let (loss, seconds) = (event.loss, event.seconds);
            log::info!("global step {step}: loss = {loss:.4} ({seconds:.3} sec/step)");
        }
        if let Some(files) = &mut self.files {
            let every = self.options.save_summaries_steps;
            let seconds = self.options.save_summaries_secs;
            files.summarise(|scalars| scalars.step(&event, seconds, every));
        }
        self.tell(Event::Step(event.clone()));
        self.last = Some(event);
        Ok(())
    }

    fn mask_event(&self, step: u64, (asked, states): &(f64, Vec<TopkState>)) -> Result<MaskEvent> {
        let tensor = |(tensor, state): (PrunedTensor, &TopkState)| match state.nan {
            0 => Ok(MaskSparsity {
                sparsity: 1.0 - f64::from(state.kept) / f64::from(tensor.len),
                threshold: f32::from_bits(state.threshold),
                len: tensor.len,
                name: tensor.name,
            }),
            _ => Err(Error::NonFinite { step, tensor: tensor.name }),
        };
        let tensors = self.session.pruned().zip(states).map(tensor).collect::<Result<_>>()?;
        Ok(MaskEvent { asked: *asked, tensors })
    }

    pub(super) fn tell(&mut self, event: Event) {
        if let Some(observer) = &mut self.options.on_event {
            observer(&event);
        }
    }
}

/// A checkpoint of another model or seed would not continue the run that it began.
fn check_same_run(manifest: &Manifest, network: &str, seed: u64, path: &Path) -> Result<()> {
    if manifest.model != network {
        let message =
            format!("holds {}, this run trains {network}; choose another logdir", manifest.model);
        return Err(Error::file(path, message));
    }
    if manifest.seed != seed {
        let message = format!(
            "was trained with seed {}, this run has seed {seed}; use that seed or another logdir",
            manifest.seed
        );
        return Err(Error::file(path, message));
    }
    Ok(())
}
