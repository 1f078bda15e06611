//! What a step trains on: the network's losses, each with its phases.
use super::Session;
use super::plans::{Accumulate, Objective};
use crate::{Error, Result};

impl Session {
    /// The number of the loss `name`; the network's own has no name.
    pub(crate) fn objective(&self, name: &str) -> Result<usize> {
        let known = &self.objectives;
        known.iter().position(|o| o.name == name).ok_or_else(|| {
            let names: Vec<&str> = known.iter().skip(1).map(|o| o.name.as_str()).collect();
            let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Error::argument(
                name,
                format!("no such loss; the network has, besides its own, {there}"),
            )
        })
    }

    /// Records gradient and update for the batch fed last.
    pub(crate) fn record_train(&mut self, objective: usize) -> Result<()> {
        self.record(self.trains_on(objective)?.train, true)
    }

    /// Records the gradient of the batch fed last, into the running means.
    pub(crate) fn record_accumulate(&mut self, objective: usize) -> Result<()> {
        let phase = self.accumulates(objective)?.gradient;
        self.record(phase, false)
    }

    /// Records the update by the running means.
    pub(crate) fn record_apply(&mut self, objective: usize) -> Result<()> {
        let phase = self.accumulates(objective)?.apply;
        self.record(phase, true)
    }

    /// Records the update by means that others than this session's batches have made, as the step
    /// that makes `global_step`: no batch need have been fed for it.
    pub(crate) fn record_mean(&mut self, objective: usize, global_step: u64) -> Result<()> {
        // What is recorded reads the scalars of the batch before.
        self.flush()?;
        let scalars = self.scalars(global_step, 0);
        self.program.upload(&self.gpu, self.inputs.step, &[scalars]);
        self.record_apply(objective)
    }

    /// The loss number `objective`.
    ///
    /// # Errors
    /// [`Error::Argument`] where weights are packed.
    pub(super) fn trains_on(&self, objective: usize) -> Result<&Objective> {
        self.objectives.get(objective).ok_or_else(|| {
            let message = "weights of this session are packed: it evaluates and predicts; open the \
                           file with its weights dense to train";
            Error::argument("step", message)
        })
    }

    /// The phases of an update in two.
    ///
    /// # Errors
    /// [`Error::Argument`] where the session has no room for the means.
    pub(crate) fn accumulates(&self, objective: usize) -> Result<Accumulate> {
        self.trains_on(objective)?.accumulate.ok_or_else(|| {
            let message = "the run has no room for it; ask with TrainOp::accumulate_gradients()";
            Error::argument("accumulate", message)
        })
    }
}
