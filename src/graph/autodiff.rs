//! Gradients: a transformation from graph to graph.
use super::recompute::Recompute;
use super::{Graph, Op, Shape, Tensor};
use crate::kernels::{Activation, Form};
use crate::{Error, Result};

/// Appends to `graph` the gradients of `loss` and returns one for each parameter, in their order;
/// `None` for a parameter that does not reach the loss.
///
/// # Errors
/// [`Error::Shape`] unless `loss` comes from [`Graph::softmax_cross_entropy`], [`Graph::log_loss`],
/// [`Graph::mean_squared_error`] or [`Graph::sigmoid_cross_entropy`].
pub fn gradients(graph: &mut Graph, loss: Tensor) -> Result<Vec<Option<Tensor>>> {
    let losses = graph.nodes[loss.0].inputs.first().copied();
    let is_loss = |op| {
        matches!(
            op,
            Op::SoftmaxCrossEntropy { .. }
                | Op::LogLoss { .. }
                | Op::SquaredError
                | Op::SigmoidCrossEntropy
        )
    };
    let Some(losses) = losses.filter(|l| is_loss(graph.nodes[l.0].op)) else {
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
    let first = backward.push(Op::LossGradient, vec![losses], shape, logits);
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
        let node = self.graph.nodes[tensor.0].clone();
        match (node.op, node.inputs.as_slice()) {
            (Op::Parameter | Op::Features, _) => {}
            (Op::Matmul { form: Form::NN, activation }, &[x, weight, ref bias @ ..]) => {
                let gradient = self.through(activation, gradient, tensor);
                if let &[bias] = bias {
                    self.send(bias, Op::ColumnSum, vec![gradient]);
                }
                let op = |form| Op::Matmul { form, activation: Activation::Identity };
                self.send(weight, op(Form::TN), vec![x, gradient]);
                self.send(x, op(Form::NT), vec![gradient, weight]);
            }
            (Op::Conv2d { form: Form::NN, shape, activation }, &[x, weight, ref bias @ ..]) => {
                let gradient = self.through(activation, gradient, tensor);
                if let &[bias] = bias {
                    self.send(bias, Op::ColumnSum, vec![gradient]);
                }
                let op = |form| Op::Conv2d { form, shape, activation: Activation::Identity };
                self.send(weight, op(Form::TN), vec![x, gradient]);
                self.send(x, op(Form::NT), vec![gradient, weight]);
            }
            (Op::Reshape, &[x]) => self.send(x, Op::Reshape, vec![gradient]),
            (Op::Add, &[x, y]) => self.add(gradient, [x, y]),
            (Op::Mul, &[x, y]) => self.mul(gradient, [x, y]),
            (Op::Activate { activation }, &[x]) => self.activate(activation, gradient, x, tensor),
            // The same elements are left out.
            (Op::Dropout { .. }, &[x]) => self.send(x, node.op, vec![gradient]),
            (Op::Pool { .. } | Op::Lrn { .. }, _) => self.pool(tensor, gradient),
            (Op::Normalise { .. } | Op::Softmax | Op::BatchNormalise { .. }, _) => {
                self.norm(tensor, gradient);
            }
            (Op::Embedding | Op::Attention { .. }, _) => self.sequence(tensor, gradient),
            (Op::Lstm { .. } | Op::Gru { .. }, _) => self.recurrent(tensor, gradient),
            (op, _) => {
                let message = format!("{} has no gradient rule", node.name);
                return Err(Error::shape(op.name(), message));
            }
        }
        Ok(())
    }

    /// The gradient before the activation that made `output`.
    fn through(&mut self, activation: Activation, gradient: Tensor, output: Tensor) -> Tensor {
        if activation == Activation::Identity {
            return gradient;
        }
        self.like(Op::Gate { activation }, vec![gradient, output], output)
    }

    /// Whether a parameter can be reached from `tensor`.
    pub(super) fn needs(&self, tensor: Tensor) -> bool {
        self.needed[tensor.0]
    }

    /// A new node of the shape of `of`.
    pub(super) fn like(&mut self, op: Op, inputs: Vec<Tensor>, of: Tensor) -> Tensor {
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
    pub(super) fn send(&mut self, to: Tensor, op: Op, inputs: Vec<Tensor>) {
        if self.needed[to.0] {
            let gradient = self.like(op, inputs, to);
            self.accumulate(to, gradient);
        }
    }

    fn accumulate(&mut self, to: Tensor, gradient: Tensor) {
        self.gradients[to.0] = Some(match self.gradients[to.0] {
            None => gradient,
            Some(sum) => self.like(Op::Add, vec![sum, gradient], to),
        });
    }

    pub(super) fn push(&mut self, op: Op, inputs: Vec<Tensor>, shape: Shape, of: Tensor) -> Tensor {
        let name = format!("grad/{}", self.graph.nodes[of.0].name);
        let inputs = inputs.into_iter().map(|input| self.recompute.of(input)).collect();
        self.graph.push(op, inputs, shape, &name)
    }
}
