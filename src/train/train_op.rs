//! What a step computes: network, optimizer and where the batches come from.
use crate::data::BatchSource;
use crate::gpu::Gpu;
use crate::nn::{Model, Network};
use crate::optim::Optimizer;
use crate::{Error, Result};

/// Graph, optimizer, loss and batch source, ready to run.
pub struct TrainOp<'g> {
    pub(super) gpu: &'g Gpu,
    pub(super) network: Network,
    pub(super) optimizer: Optimizer,
    pub(super) batches: Box<dyn BatchSource + 'g>,
    pub(super) seed: u64,
}

impl<'g> TrainOp<'g> {
    /// `model` for the batches of `batches`, with initial weights by `seed`.
    ///
    /// # Errors
    /// [`Error::Argument`] names the size or hyperparameter that is out of its range.
    pub fn new(
        gpu: &'g Gpu,
        model: &Model,
        optimizer: Optimizer,
        batches: impl BatchSource + 'g,
        seed: u64,
    ) -> Result<Self> {
        let network = model.network(batches.batch_size(), batches.width(), batches.classes())?;
        Self::from_network(gpu, network, optimizer, batches, seed)
    }

    /// A network made by hand.
    ///
    /// # Errors
    /// [`Error::Shape`] when the batches do not fit its features.
    pub fn from_network(
        gpu: &'g Gpu,
        network: Network,
        optimizer: Optimizer,
        batches: impl BatchSource + 'g,
        seed: u64,
    ) -> Result<Self> {
        optimizer.validate()?;
        let features = network.graph.shape(network.features);
        let batch = (batches.batch_size(), batches.width());
        let dims: Vec<usize> = features.dims().iter().map(|&d| d as usize).collect();
        if dims != [batch.0, batch.1] {
            let message = format!("features {features} do not fit batches of {batch:?}");
            return Err(Error::shape(&network.name, message));
        }
        if batches.classes() > network.classes {
            let (have, most) = (batches.classes(), network.classes);
            let message = format!("the data has {have} classes, the network tells {most} apart");
            return Err(Error::shape(&network.name, message));
        }
        Ok(Self { gpu, network, optimizer, batches: Box::new(batches), seed })
    }
}
