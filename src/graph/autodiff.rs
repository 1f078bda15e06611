//! Gradients: a transformation from graph to graph.
use super::ops::{Add, LossGradient};
use super::recompute::Recompute;
use super::{Graph, Op, Shape, Tensor};
use crate::{Error, Result};

/// Appends to `graph` the gradients of `loss` and returns one for each parameter, in their order;
/// `None` for a parameter that does not reach the loss.
///
/// # Errors
/// [`Error::Shape`] unless `loss` comes from [`Graph::softmax_cross_entropy`], [`Graph::log_loss`],
/// [`Graph::mean_squared_error`], [`Graph::sigmoid_cross_entropy`] or [`Graph::distillation`].
pub fn gradients(graph: &mut Graph, loss: Tensor) -> Result<Vec<Option<Tensor>>> {
    let losses = graph.nodes[loss.0].inputs.first().copied();
    let Some(losses) = losses.filter(|l| graph.nodes[l.0].op.operation().is_loss()) else {
        let name = &graph.nodes[loss.0].name;
        return Err(Error::shape("gradients", format!("{name} is not the mean of a loss")));
    };
    let logits = graph.nodes[losses.0].inputs[0];
    let mut backward = Backward {
        needed: needed(graph),
        gradients: vec![None; losses.0 + 1],
        recompute: Recompute::new(graph),
        graph,
    };
    let shape = backward.graph.shape(logits).clone();
    let first = backward.push(LossGradient, vec![losses], shape, logits);
    backward.accumulate(logits, first);
    for node in (0..losses.0).rev() {
        backward.visit(Tensor(node))?;
    }
    let Backward { gradients, graph, .. } = backward;
    Ok(graph.parameters.iter().map(|p| gradients.get(p.tensor.0).copied().flatten()).collect())
}

/// Whether each node depends on a parameter.
fn needed(graph: &Graph) -> Vec<bool> {
    let mut needed = Vec::with_capacity(graph.nodes.len());
    for (i, node) in graph.nodes.iter().enumerate() {
        let own = graph.parameters.iter().any(|p| p.tensor.0 == i && p.trainable);
        needed.push(own || node.inputs.iter().any(|i| needed[i.0]));
    }
    needed
}

pub(super) struct Backward<'g> {
    pub(super) graph: &'g mut Graph,
    needed: Vec<bool>,
    /// Gradient of each node so far.
    gradients: Vec<Option<Tensor>>,
    recompute: Recompute,
}

impl Backward<'_> {
    fn visit(&mut self, tensor: Tensor) -> Result<()> {
        let Some(gradient) = self.gradients[tensor.0] else { return Ok(()) };
        self.recompute.reach(self.graph, tensor);
        let op = self.graph.nodes[tensor.0].op;
        op.operation().gradient(self, tensor, gradient)
    }

    /// The inputs of `tensor`, all `N` of them.
    pub(super) fn inputs<const N: usize>(&self, tensor: Tensor) -> Result<[Tensor; N]> {
        let inputs = self.graph.nodes[tensor.0].inputs.as_slice();
        inputs.try_into().map_err(|_| self.lacks(tensor, "lacks inputs"))
    }

    pub(super) fn lacks(&self, tensor: Tensor, what: &str) -> Error {
        let node = &self.graph.nodes[tensor.0];
        Error::shape(node.op.name(), format!("{} {what}", node.name))
    }

    /// Whether a parameter can be reached from `tensor`.
    pub(super) fn needs(&self, tensor: Tensor) -> bool {
        self.needed[tensor.0]
    }

    /// A new node of the shape of `of`.
    pub(super) fn like(&mut self, op: impl Into<Op>, inputs: Vec<Tensor>, of: Tensor) -> Tensor {
        let shape = self.graph.shape(of).clone();
        self.push(op, inputs, shape, of)
    }

    /// Adds `gradient` itself to that of `to`, if `to` needs one.
    pub(super) fn pass(&mut self, to: Tensor, gradient: Tensor) {
        if self.needed[to.0] {
            self.accumulate(to, gradient);
        }
    }

    /// Adds a new node to the gradient of `to`, if `to` needs one.
    pub(super) fn send(&mut self, to: Tensor, op: impl Into<Op>, inputs: Vec<Tensor>) {
        if self.needed[to.0] {
            let gradient = self.like(op, inputs, to);
            self.accumulate(to, gradient);
        }
    }

    fn accumulate(&mut self, to: Tensor, gradient: Tensor) {
        self.gradients[to.0] = Some(match self.gradients[to.0] {
            None => gradient,
            Some(sum) => self.like(Add, vec![sum, gradient], to),
        });
    }

    pub(super) fn push(
        &mut self,
        op: impl Into<Op>,
        inputs: Vec<Tensor>,
        shape: Shape,
        of: Tensor,
    ) -> Tensor {
        let name = format!("grad/{}", self.graph.nodes[of.0].name);
        let inputs = inputs.into_iter().map(|input| self.recompute.of(input)).collect();
        self.graph.push(op, inputs, shape, &name)
    }
}
