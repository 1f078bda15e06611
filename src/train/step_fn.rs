//! The step: what one turn of the loop does to the weights, by default or by a function of one's
//! own.
use std::path::Path;

use super::guard::guarded;
use super::replicas::{InStep, share};
use crate::data::{Batch, BatchSource};
use crate::kernels::Step;
use crate::session::Session;
use crate::settings::steps;
use crate::{Error, Result};

/// Replaces the default step, which is [`StepContext::train`] once. What it captures are its
/// extras; limit, log, trace, mask update and checkpoints stay the loop's.
pub type TrainStepFn<'a> = Box<dyn FnMut(&mut StepContext<'_>) -> Result<StepReturn> + Send + 'a>;

steps! {
    /// What a step function gives back.
    #[derive(Debug, Clone, Copy, Default, PartialEq)]
    pub struct StepReturn {
        /// Loss to log and return; `None` takes the mean over the step's rows from the device,
        /// without waiting for it.
        pub loss: Option<f32>,
        /// Ends the run after this step, with a checkpoint.
        pub should_stop: bool,
    }
}

/// What a step function works with. Where the data ends within a step, methods that need a batch
/// do nothing, and the run ends after the step if that has changed any weight.
#[derive(Debug)]
pub struct StepContext<'r> {
    pub(in crate::train) session: &'r mut Session,
    pub(in crate::train) batches: Batches<'r>,
    pub(in crate::train) facts: Facts<'r>,
    /// Objective, and rows, of the gradient accumulated so far.
    pub(in crate::train) accumulated: Option<(usize, usize)>,
    pub(in crate::train) updates: u64,
    /// Batches that the run has taken from its source.
    pub(in crate::train) taken: &'r mut u64,
    pub(in crate::train) ended: bool,
    /// Where updates are by the gradients of several ranks, or of one that gives several.
    pub(in crate::train) in_step: Option<&'r mut InStep>,
    /// A rank was asked to stop.
    pub(in crate::train) stops: bool,
}

/// The source, and the batch that it fills.
pub(in crate::train) struct Batches<'r> {
    pub(in crate::train) source: &'r mut dyn BatchSource,
    pub(in crate::train) batch: &'r mut Batch,
}

impl std::fmt::Debug for Batches<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Batches").field(&self.source.cursor()).finish()
    }
}

/// What the loop knows of the step.
#[derive(Debug, Clone, Copy)]
pub(in crate::train) struct Facts<'r> {
    pub(in crate::train) global_step: u64,
    pub(in crate::train) should_stop: bool,
    pub(in crate::train) should_log: bool,
    pub(in crate::train) should_trace: bool,
    pub(in crate::train) logdir: Option<&'r Path>,
}

impl StepContext<'_> {
    /// The default step: gradient of the network's loss on the next batch, and the update.
    ///
    /// # Errors
    /// Of the batch source and the device.
    pub fn train(&mut self) -> Result<()> {
        self.train_on("")
    }

    /// As [`train`](Self::train), on the loss `name` of [`crate::nn::Network::losses`]: only the
    /// parameters that reach it move.
    ///
    /// # Errors
    /// [`Error::Argument`] for a name that the network does not have.
    pub fn train_on(&mut self, name: &str) -> Result<()> {
        let objective = self.session.objective(name)?;
        if let Some(rounds) = self.in_step.as_ref().map(|in_step| in_step.rounds()) {
            (0..rounds).try_for_each(|_| self.gradient(objective).map(|_| ()))?;
            return self.meet(objective);
        }
        if self.next_batch(objective, |_| 1.0)? {
            self.session.record_train(objective)?;
            self.updates += 1;
        }
        Ok(())
    }

    /// Adds the gradient on the next batch to a mean over the rows seen since the last
    /// [`apply`](Self::apply); weights stay.
    ///
    /// # Errors
    /// [`Error::Argument`] unless [`crate::TrainOp::accumulate_gradients`] was asked for.
    pub fn accumulate(&mut self) -> Result<()> {
        self.accumulate_on("")
    }

    /// As [`accumulate`](Self::accumulate), on the loss `name`.
    ///
    /// # Errors
    /// [`Error::Argument`] for a name that the network does not have, or when the gradient of
    /// another loss waits to be applied.
    pub fn accumulate_on(&mut self, name: &str) -> Result<()> {
        let objective = self.session.objective(name)?;
        self.session.accumulates(objective)?;
        let before = match self.accumulated {
            Some((other, _)) if other != objective => {
                let message = "the gradient of another loss waits; apply() it first";
                return Err(Error::argument(name, message));
            }
            accumulated => accumulated.map_or(0, |(_, rows)| rows),
        };
        if self.in_step.is_some() {
            // Without a batch of its own a rank still meets the others.
            let rows = self.gradient(objective)?;
            self.accumulated = Some((objective, before + rows));
        } else if self.next_batch(objective, |rows| share(rows, before))? {
            self.session.record_accumulate(objective)?;
            self.accumulated = Some((objective, before + self.batches.batch.rows));
        }
        Ok(())
    }

    /// Updates the weights by the mean of the gradients accumulated. Does nothing when there are
    /// none because the data has ended.
    ///
    /// # Errors
    /// [`Error::Argument`] when there are none otherwise.
    pub fn apply(&mut self) -> Result<()> {
        let Some((objective, _)) = self.accumulated.take() else {
            if self.ended {
                return Ok(());
            }
            let message = "apply() without a gradient; call accumulate() before it";
            return Err(Error::argument("train_step_fn", message));
        };
        if self.in_step.is_some() {
            return self.meet(objective);
        }
        self.session.record_apply(objective)?;
        self.updates += 1;
        Ok(())
    }

    /// Mean loss over the rows of this step so far, those of all ranks that train in step: each of
    /// them asks at the same place. Waits for the device, and for the ranks.
    ///
    /// # Errors
    /// [`Error::DeviceLost`].
    pub fn loss(&mut self) -> Result<f32> {
        if let Some(in_step) = &mut self.in_step {
            in_step.flush(self.session)?;
        }
        self.session.partial_loss()
    }

    /// The network as it is, this step's work so far included, to read values from. Reading waits
    /// for the device.
    ///
    /// # Errors
    /// [`Error::DeviceLost`].
    pub fn session(&mut self) -> Result<&Session> {
        self.session.flush()?;
        Ok(self.session)
    }

    /// The global step that this call makes, counted from 1.
    pub fn global_step(&self) -> u64 {
        self.facts.global_step
    }

    /// Whether the loop ends after this step: the limit is reached, or a stop asked for.
    pub fn should_stop(&self) -> bool {
        self.facts.should_stop
    }

    /// Whether the loop logs this step.
    pub fn should_log(&self) -> bool {
        self.facts.should_log
    }

    /// Whether the loop traces this step.
    pub fn should_trace(&self) -> bool {
        self.facts.should_trace
    }

    /// Where the run's files are.
    pub fn logdir(&self) -> Option<&Path> {
        self.facts.logdir
    }

    /// Submits the gradient on the next batch, for the ranks to meet by; gives the batch's rows.
    fn gradient(&mut self, objective: usize) -> Result<usize> {
        let fed = self.next_batch(objective, |_| 1.0)?;
        if let Some(in_step) = &mut self.in_step {
            in_step.gradient(self.session, objective, fed)?;
        }
        Ok(if fed { self.batches.batch.rows } else { 0 })
    }

    /// Updates by the mean of the gradients of all ranks, once they are there. The data of one that
    /// ends, or a stop asked of one, is everybody's.
    fn meet(&mut self, objective: usize) -> Result<()> {
        let Some(in_step) = &mut self.in_step else { return Ok(()) };
        let met = in_step.meet(self.session, objective, self.facts.global_step)?;
        self.ended |= met.ended;
        self.stops |= met.stops;
        if met.moves {
            self.session.record_mean(objective, self.facts.global_step)?;
            self.updates += 1;
        }
        Ok(())
    }

    /// Whether there was a batch; it is written for the commands recorded next.
    fn next_batch(&mut self, objective: usize, share: impl Fn(usize) -> f32) -> Result<bool> {
        self.session.mark("next batch");
        let Batches { source, batch } = &mut self.batches;
        if self.ended || !guarded("batches", || source.next_batch(batch))? {
            self.ended = true;
            return Ok(false);
        }
        self.session.takes().check_batch(*source, batch, *self.taken)?;
        *self.taken += 1;
        let scalars = self.session.scalars(self.facts.global_step, batch.rows);
        self.session.feed(batch, Step { share: share(batch.rows), ..scalars }, objective)?;
        Ok(true)
    }
}
