//! What a step computes: network, optimizer with what belongs to it, and where the batches come from.
use crate::data::BatchSource;
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
    pub(super) batches: Box<dyn BatchSource + 'a>,
    pub(super) seed: u64,
    accumulates: bool,
}

impl<'a> TrainOp<'a> {
    /// `model` for the batches of `batches`, with initial weights by `seed`; `training` is an [`Optimizer`](crate::Optimizer)
    /// or a [`Training`].
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
    /// [`Error::Argument`] names the setting that is out of its range, [`Error::Shape`] says that the batches do not fit
    /// its features or labels.
    pub fn from_network(
        gpu: &Gpu,
        network: Network,
        training: impl Into<Training>,
        batches: impl BatchSource + 'a,
        seed: u64,
    ) -> Result<Self> {
        let training = training.into();
        training.validate()?;
        let features = network.graph.shape(network.features);
        let batch = (batches.batch_size(), batches.width());
        let dims: Vec<usize> = features.dims().iter().map(|&d| d as usize).collect();
        if dims != [batch.0, batch.1] {
            let message = format!("features {features} do not fit batches of {batch:?}");
            return Err(Error::shape(&network.name, message));
        }
        let (labels, task) = (network.graph.shape(network.labels), batches.task());
        let places = task.positions().max(task.targets());
        if labels.elements().map(|n| n as usize) != batch.0.checked_mul(places) {
            let message = format!(
                "labels {labels} do not fit batches of {} x {places}; a row of the data has \
                 {places}, choose a model that answers as many",
                batch.0
            );
            return Err(Error::shape(&network.name, message));
        }
        if task.classes().is_some_and(|classes| classes > network.classes) {
            let (have, most) = (task.classes().unwrap_or(0), network.classes);
            let message = format!("the data has {have} classes, the network tells {most} apart");
            return Err(Error::shape(&network.name, message));
        }
        let (gpu, batches, accumulates) = (gpu.clone(), Box::new(batches), false);
        Ok(Self { gpu, network, training, batches, seed, accumulates })
    }

    /// Makes room for [`StepContext::accumulate`](super::StepContext::accumulate): as many bytes as
    /// the parameters take.
    pub fn accumulate_gradients(self) -> Self {
        Self { accumulates: true, ..self }
    }

    /// Lets the backward pass compute again what the forward pass makes within segments of `layers` layers, for less memory and
    /// the same bits: [`Graph::recompute`](crate::graph::Graph::recompute).
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
        plans.plan.check_budget(self.gpu.memory_budget())?;
        Ok(plans)
    }
}
