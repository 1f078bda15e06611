//! Steps without a loop.
use super::{Session, StepResult};
use crate::Result;
use crate::data::Batch;

impl Session {
    /// Takes one train step on `batch` and waits for what it leaves. Masks stay:
    /// [`update_masks`](Self::update_masks) moves them. A loop that never waits is
    /// [`train`](crate::train::train).
    ///
    /// # Errors
    /// [`Error::Batch`](crate::Error::Batch) names what is wrong with the batch, and then nothing
    /// has changed; of the device.
    pub fn step(&mut self, batch: &Batch) -> Result<StepResult> {
        let global_step = self.global_step + 1;
        batch.check("step", global_step, self.batch(), self.width(), self.task())?;
        self.feed(batch, self.scalars(global_step, batch.rows), 0)?;
        self.record_train(0)?;
        self.finish_step(global_step, None, None)?;
        let mut results = self.drain()?;
        Ok(results.pop().expect("the step that was just taken"))
    }
}
