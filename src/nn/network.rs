//! A graph together with the tensors that training needs to know.
use super::{Metric, Takes};
use crate::data::Task;
use crate::graph::{Graph, Tensor};

/// A model for one batch size, as a graph. [`crate::nn::Model::network`] makes one by name; any
/// [`Graph`] can be made into one by hand.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Network {
    /// Name for checkpoints: another network's checkpoint is refused by it.
    pub name: String,
    /// The forward graph.
    pub graph: Graph,
    /// `[batch, width]`
    pub features: Tensor,
    /// `[batch]`, `[batch, positions]`, or the `[batch, width]` of [`Graph::targets`].
    pub answers: Tensor,
    /// What it answers: logits `[batch, classes]` or `[batch, positions, classes]`, or predicted
    /// values `[batch, outputs]`.
    pub output: Tensor,
    /// Further tensors by name that predictions may be asked for.
    pub outputs: Vec<(String, Tensor)>,
    /// Mean loss `[1]`.
    pub loss: Tensor,
    /// Further mean losses `[1]` by name, for a custom step to train on.
    pub losses: Vec<(String, Tensor)>,
    /// What it is measured by, each the tensor `[1]` of its sum over the rows of a batch. Each step
    /// reports the first.
    pub metrics: Vec<(Metric, Tensor)>,
    /// What its answers are.
    pub task: Task,
}

/// The tensors of a graph where data go in and answers come out.
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    /// [`Network::features`]
    pub features: Tensor,
    /// [`Network::answers`]
    pub answers: Tensor,
    /// [`Network::output`]
    pub output: Tensor,
    /// [`Network::loss`]
    pub loss: Tensor,
}

impl Network {
    /// `graph` as a network that does `task`, without metrics.
    pub fn new(name: impl Into<String>, graph: Graph, task: Task, ends: Ends) -> Self {
        let Ends { features, answers, output, loss } = ends;
        Self {
            name: name.into(),
            graph,
            features,
            answers,
            output,
            outputs: Vec::new(),
            loss,
            losses: Vec::new(),
            metrics: Vec::new(),
            task,
        }
    }

    /// Also measured by `metric`, whose sum over the rows of a batch is `tensor [1]`: of
    /// [`Graph::correct`], for instance.
    pub fn with_metric(mut self, metric: Metric, tensor: Tensor) -> Self {
        self.metrics.push((metric, tensor));
        self
    }

    /// With a further mean loss `[1]` under a name, for a custom step to train on.
    pub fn with_loss(mut self, name: impl Into<String>, loss: Tensor) -> Self {
        self.losses.push((name.into(), loss));
        self
    }

    /// With a further tensor that predictions may be asked for by `name`.
    pub fn with_output(mut self, name: impl Into<String>, tensor: Tensor) -> Self {
        self.outputs.push((name.into(), tensor));
        self
    }

    /// The batches that it takes.
    pub(crate) fn takes(&self) -> Takes {
        Takes { batch: self.batch() as usize, width: self.width() as usize, task: self.task }
    }

    /// Rows of a batch.
    pub fn batch(&self) -> u32 {
        self.graph.shape(self.features).dims().first().copied().unwrap_or(1)
    }

    /// Features of a row.
    pub fn width(&self) -> u32 {
        self.graph.shape(self.features).dims().get(1).copied().unwrap_or(1)
    }
}
