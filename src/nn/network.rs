//! A graph together with the tensors that training needs to know.
use crate::graph::{Graph, Tensor};

/// A model for one batch size, as a graph. [`crate::nn::Model::network`] makes one by name; any
/// [`Graph`] can be made into one by hand.
#[derive(Debug, Clone)]
pub struct Network {
    /// Name for checkpoints: another network's checkpoint is refused by it.
    pub name: String,
    /// The forward graph.
    pub graph: Graph,
    /// `[batch, width]`
    pub features: Tensor,
    /// `[batch]`, `[batch, places]`, or the `[batch, width]` of [`Graph::targets`].
    pub labels: Tensor,
    /// Mean loss `[1]`.
    pub loss: Tensor,
    /// Further mean losses `[1]` by name, for a custom step to train on.
    pub losses: Vec<(String, Tensor)>,
    /// Number of right rows `[1]`.
    pub correct: Tensor,
    /// Labels are below this; 2 for one binary logit.
    pub classes: u32,
}

impl Network {
    /// Rows of a batch.
    pub fn batch(&self) -> u32 {
        self.graph.shape(self.features).dims().first().copied().unwrap_or(1)
    }
}
