//! Steps without a loop.
use std::time::Instant;

use super::gradients::Gradients;
use super::plans::Plans;
use super::{Session, StepResult, Trace};
use crate::Result;
use crate::data::Batch;
use crate::gpu::{Gpu, GpuSpan};
use crate::kernels::Step;
use crate::nn::Network;
use crate::optim::Training;
use crate::prune::MaskUpdateOp;

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

/// Steps in two: the gradients of one or more batches, and the update by their mean.
#[doc(hidden)]
impl Session {
    /// As [`new`](Self::new), with room for the mean of several gradients and for [`Gradients`].
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn in_two(
        gpu: &Gpu,
        network: &Network,
        training: impl Into<Training>,
        mask_update_op: &MaskUpdateOp,
        seed: u64,
    ) -> Result<Self> {
        let training = training.into();
        let mut plans = Plans::new(network, &training, mask_update_op, true, gpu.target())?;
        plans.count_staging(false);
        plans.count_exchange();
        let mut session = Self::build(gpu, network, training, plans, seed)?;
        session.initialise(network, seed);
        Ok(session)
    }

    /// Submits the gradient of the network's loss on `batch`, the `first` of its step or not.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn gradient(
        &mut self,
        batch: &Batch,
        gradients: &mut Gradients,
        first: bool,
    ) -> Result<()> {
        self.feed_share(batch, 1.0)?;
        self.submit_gradients(gradients, first)
    }

    /// Moves the mean of the gradients, on the device, by that of `batch` with its share in it.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn accumulate(&mut self, batch: &Batch, share: f32) -> Result<()> {
        self.feed_share(batch, share)?;
        self.record_accumulate(0)
    }

    /// Updates the weights by the mean of the gradients, and the masks to sparsity `asked` if any;
    /// waits for what that leaves.
    ///
    /// # Errors
    /// Of the device.
    pub fn update(&mut self, asked: Option<f64>) -> Result<StepResult> {
        let global_step = self.global_step + 1;
        self.record_mean(0, global_step)?;
        self.finish_step(global_step, asked, None)?;
        let mut results = self.drain()?;
        Ok(results.pop().expect("the step that was just taken"))
    }

    /// Traces what is recorded next.
    pub fn trace(&mut self) {
        self.begin_trace(Trace::new(Instant::now(), None));
    }

    /// What the device has done since [`trace`](Self::trace), by submission; waits for it.
    ///
    /// # Errors
    /// Of the device.
    pub fn traced(&mut self) -> Result<Vec<Vec<GpuSpan>>> {
        self.gpu.wait()?;
        let parts = self.end_trace()?.map(|traced| traced.parts).unwrap_or_default();
        Ok(parts.into_iter().filter_map(|part| Some(part.launches?.1)).collect())
    }

    fn feed_share(&mut self, batch: &Batch, share: f32) -> Result<()> {
        let global_step = self.global_step + 1;
        batch.check("step", global_step, self.batch(), self.width(), self.task())?;
        self.feed(batch, Step { share, ..self.scalars(global_step, batch.rows) }, 0)
    }
}
