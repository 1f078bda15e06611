//! What a step computes: network, optimizer with what belongs to it, and where the batches come
//! from.
use crate::data::{BatchSource, Shard};
use crate::gpu::Gpu;
use crate::nn::{Input, Model, Network};
use crate::optim::Training;
use crate::prune::MaskUpdateOp;
use crate::session::Plans;
use crate::{Error, Result};

/// Graph, optimizer, loss and batch source, ready to run.
pub struct TrainOp<'a> {
    pub(super) gpu: Gpu,
    pub(super) network: Network,
    pub(super) training: Training,
    pub(super) batches: Shard<Box<dyn BatchSource + 'a>>,
    pub(super) seed: u64,
    pub(super) accumulates: bool,
    /// Gradients are exchanged with other ranks.
    pub(super) exchanges: bool,
}

impl<'a> TrainOp<'a> {
    /// `model` for the batches of `batches`, with initial weights by `seed`; `training` is an
    /// [`Optimizer`](crate::Optimizer) or a [`Training`].
    ///
    /// # Errors
    /// [`Error::Argument`] names the size or hyperparameter that is out of its range.
    pub fn new(
        gpu: &Gpu,
        model: &Model,
        training: impl Into<Training>,
        batches: impl BatchSource + 'a,
        seed: u64,
    ) -> Result<Self> {
        let network = model.network(batches.batch_size(), &Input::of(&batches))?;
        Self::from_network(gpu, network, training, batches, seed)
    }

    /// A network made by hand.
    ///
    /// # Errors
    /// [`Error::Argument`] names the setting that is out of its range, [`Error::Shape`] says that
    /// the batches do not fit its features or labels.
    pub fn from_network(
        gpu: &Gpu,
        network: Network,
        training: impl Into<Training>,
        batches: impl BatchSource + 'a,
        seed: u64,
    ) -> Result<Self> {
        let training = training.into();
        training.validate()?;
        let takes = network.takes();
        takes.check_source(&network.name, &batches)?;
        let (answers, task) = (network.graph.shape(network.answers), takes.task);
        let of_a_row = task.positions().max(task.targets());
        if answers.elements().map(|n| n as usize) != takes.batch.checked_mul(of_a_row) {
            let rows = takes.batch;
            let message = format!("its answers {answers} do not fit {rows} rows of {task}");
            return Err(Error::shape(&network.name, message));
        }
        let batches: Box<dyn BatchSource + 'a> = Box::new(batches);
        let (gpu, batches) = (gpu.clone(), Shard::new(batches));
        let (accumulates, exchanges) = (false, false);
        Ok(Self { gpu, network, training, batches, seed, accumulates, exchanges })
    }

    /// Makes room for [`StepContext::accumulate`](super::StepContext::accumulate): as many bytes as
    /// the parameters take.
    pub fn accumulate_gradients(self) -> Self {
        Self { accumulates: true, ..self }
    }

    /// Lets the backward pass compute again what the forward pass makes within segments of `layers`
    /// layers, for less memory and the same bits:
    /// [`Graph::recompute`](crate::graph::Graph::recompute).
    ///
    /// # Errors
    /// [`Error::Argument`] when that leaves nothing to compute again.
    pub fn recompute(mut self, layers: usize) -> Result<Self> {
        self.network.graph.recompute(layers)?;
        Ok(self)
    }

    /// What it launches, within the device's memory budget; with `saves` checkpoints count in that.
    pub(super) fn plans(&self, mask_update_op: &MaskUpdateOp, saves: bool) -> Result<Plans> {
        let target = self.gpu.target();
        let (network, training) = (&self.network, &self.training);
        let mut plans = Plans::new(network, training, mask_update_op, self.accumulates, target)?;
        plans.count_staging(saves);
        if self.exchanges {
            plans.count_exchange();
        }
        plans.plan.check_budget(self.gpu.memory_budget())?;
        Ok(plans)
    }
}
