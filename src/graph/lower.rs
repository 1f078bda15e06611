//! From graph to launches: only what the wanted tensors need, gates fused into the products before
//! them.
use super::f16::F16Copies;
use super::recurrent::Tape;
use super::stored::{Factors, Masked, Stored};
use super::{Graph, Node, Op, Tensor};
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{Activation, ColumnSum, Conv2d, F16Matmul, Form, Matmul, RunningMean};
use crate::{Error, Result};

/// What a lowering is for: some operations are others in evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A step of training, which also moves running statistics.
    Train,
    /// As in training, and everything that outlives the step stays.
    Look,
    /// Nothing is dropped, and running statistics take the place of the batch's.
    Evaluate,
}

/// Slots that exist before lowering: inputs, parameters and outputs to read back.
#[derive(Debug, Clone)]
pub struct Bindings {
    pub(super) stored: Vec<Option<Stored>>,
    means: Vec<(Tensor, Slot)>,
    pub(super) step: Slot,
}

impl Bindings {
    /// No bindings yet, but for the [`crate::kernels::Step`] that losses read.
    pub fn new(graph: &Graph, step: Slot) -> Self {
        let nodes = graph.nodes().len();
        Self { stored: vec![None; nodes], means: Vec::new(), step }
    }

    /// `tensor` is stored so; a [`Slot`] is [`Stored::Dense`].
    pub fn set(&mut self, tensor: Tensor, stored: impl Into<Stored>) {
        self.stored[tensor.0] = Some(stored.into());
    }

    /// The running mean of `tensor` over several batches lives in `mean`. It moves as soon as the
    /// tensor is there, which then needs no memory any more.
    pub fn set_mean(&mut self, tensor: Tensor, mean: Slot) {
        self.means.push((tensor, mean));
    }
}

/// Appends to the current phase of `plan` the launches that compute `wanted`, and returns their
/// slots: scratch, but for those with a home.
///
/// # Errors
/// [`Error::Plan`] from the kernels, [`Error::Shape`] for a tensor of 2^32 elements or an input
/// without a home.
pub fn lower(
    graph: &Graph,
    plan: &mut PlanBuilder,
    bindings: &Bindings,
    wanted: &[Tensor],
    mode: Mode,
) -> Result<Vec<Slot>> {
    let live = live(graph, wanted);
    let mut uses = vec![0; graph.nodes.len()];
    for (node, _) in graph.nodes.iter().zip(&live).filter(|(_, live)| **live) {
        node.inputs.iter().for_each(|i| uses[i.0] += 1);
    }
    wanted.iter().for_each(|w| uses[w.0] += 1);
    let mut lowering = Lowering {
        graph,
        plan,
        bindings,
        mode,
        slots: bindings.stored.iter().map(|s| s.map(|s| s.values())).collect(),
        done: vec![false; graph.nodes.len()],
        loss_gradients: vec![None; graph.nodes.len()],
        tapes: vec![None; graph.nodes.len()],
        f16: F16Copies::new(graph),
        uses,
    };
    lowering.begin_f16(&live)?;
    for (i, _) in live.iter().enumerate().filter(|(_, live)| **live) {
        if !lowering.done[i] {
            lowering.visit(Tensor(i))?;
        }
        for &(tensor, mean) in bindings.means.iter().filter(|(tensor, _)| tensor.0 == i) {
            let (x, len) = (lowering.slot(tensor)?, lowering.elements(tensor)?);
            lowering.plan.push(RunningMean { x, step: bindings.step, mean, len })?;
        }
    }
    wanted.iter().map(|&w| lowering.slot(w)).collect()
}

/// Nodes that `wanted` depends on.
fn live(graph: &Graph, wanted: &[Tensor]) -> Vec<bool> {
    let mut live = vec![false; graph.nodes.len()];
    wanted.iter().for_each(|w| live[w.0] = true);
    for (i, node) in graph.nodes.iter().enumerate().rev() {
        if live[i] {
            node.inputs.iter().for_each(|input| live[input.0] = true);
        }
    }
    live
}

pub(super) struct Lowering<'a> {
    pub(super) graph: &'a Graph,
    pub(super) plan: &'a mut PlanBuilder,
    pub(super) bindings: &'a Bindings,
    pub(super) mode: Mode,
    pub(super) slots: Vec<Option<Slot>>,
    /// Nodes that another's launch has computed.
    pub(super) done: Vec<bool>,
    /// Second output of each loss.
    pub(super) loss_gradients: Vec<Option<Slot>>,
    /// What each recurrent layer leaves to its gradients.
    pub(super) tapes: Vec<Option<Tape>>,
    /// Copies in f16.
    pub(super) f16: F16Copies,
    /// Readers of each node; 0 where nothing wanted depends on it.
    pub(super) uses: Vec<usize>,
}

impl Lowering<'_> {
    fn visit(&mut self, tensor: Tensor) -> Result<()> {
        let node = &self.graph.nodes[tensor.0];
        let inputs = node.inputs.as_slice();
        match (node.op, inputs) {
            (Op::Features | Op::Labels | Op::Parameter, _) => self.slot(tensor).map(|_| ()),
            (Op::Matmul { .. } | Op::Conv2d { .. }, _) if self.gate_of(tensor).is_some() => Ok(()),
            (Op::Matmul { .. } | Op::Conv2d { .. }, _) => self.product(tensor, None),
            (Op::Reshape, &[x]) => self.share(tensor, x),
            (Op::Gate { .. } | Op::Add | Op::Mul | Op::Activate { .. } | Op::Dropout { .. }, _) => {
                self.elementwise(tensor)
            }
            (
                Op::Pool { .. }
                | Op::PoolGradient { .. }
                | Op::LrnScale { .. }
                | Op::Lrn { .. }
                | Op::LrnGradient { .. },
                _,
            ) => self.pool(tensor),
            (
                Op::Normalise { .. }
                | Op::NormaliseGradient { .. }
                | Op::Softmax
                | Op::SoftmaxGradient
                | Op::Moments { .. }
                | Op::BatchNormalise { .. }
                | Op::BatchNormaliseGradient { .. },
                _,
            ) => self.norm(tensor),
            (
                Op::Embedding
                | Op::EmbeddingGradient
                | Op::Attention { .. }
                | Op::AttentionGradient { .. },
                _,
            ) => self.sequence(tensor),
            (
                Op::Lstm { .. }
                | Op::LstmGradient { .. }
                | Op::Gru { .. }
                | Op::GruGradient { .. }
                | Op::RecurrentGradient { .. },
                _,
            ) => self.recurrent(tensor),
            (Op::ColumnSum, &[x]) => {
                if let Some(other) = self.sum_beside(tensor) {
                    return self.pair_sum([tensor, other]);
                }
                let columns = self.elements(tensor)?;
                let rows = self.elements(x)? / columns.max(1);
                let x = self.slot(x)?;
                let out = self.output(tensor)?;
                ColumnSum { x, out, rows, columns }.push(self.plan)
            }
            (
                Op::SoftmaxCrossEntropy { .. }
                | Op::LogLoss { .. }
                | Op::SquaredError
                | Op::SigmoidCrossEntropy
                | Op::LossGradient
                | Op::Correct,
                _,
            ) => self.loss(tensor),
            (Op::TopK { .. } | Op::AbsoluteError | Op::RightLabels, _) => self.metric(tensor),
            _ => Err(self.lacks(tensor)),
        }
    }

    /// The gate that is the only reader of the product `tensor`: one launch does both.
    pub(super) fn gate_of(&self, tensor: Tensor) -> Option<Tensor> {
        let is_input_gradient = matches!(
            self.graph.nodes[tensor.0].op,
            Op::Matmul { form: Form::NT, .. } | Op::Conv2d { form: Form::NT, .. }
        );
        if !is_input_gradient || self.uses[tensor.0] != 1 {
            return None;
        }
        let gates = |n: &Node| matches!(n.op, Op::Gate { .. }) && n.inputs[0] == tensor;
        self.readers(tensor).find(|reader| gates(&self.graph.nodes[reader.0]))
    }

    /// The first node that is needed and is of such an operation and inputs.
    pub(super) fn first(&self, op: impl Fn(Op) -> bool, inputs: &[Tensor]) -> Option<Tensor> {
        let nodes = self.graph.nodes.iter().zip(&self.uses);
        nodes
            .enumerate()
            .find(|(_, (n, uses))| **uses > 0 && op(n.op) && n.inputs == inputs)
            .map(|(i, _)| Tensor(i))
    }

    /// Shares the memory of `x`, unless both have bindings of their own.
    pub(super) fn share(&mut self, tensor: Tensor, x: Tensor) -> Result<()> {
        let slot = self.slot(x)?;
        if self.slots[tensor.0].is_some() {
            let node = &self.graph.nodes[tensor.0];
            let message = format!("{} has a home; give it to its input", node.name);
            return Err(Error::shape(node.op.name(), message));
        }
        self.slots[tensor.0] = Some(slot);
        Ok(())
    }

    /// `matmul` or `conv2d`, which takes the same operands.
    pub(super) fn product(
        &mut self,
        tensor: Tensor,
        gate: Option<(Tensor, (Slot, Activation))>,
    ) -> Result<()> {
        let node = &self.graph.nodes[tensor.0];
        let &[tensor_a, tensor_b, ref bias @ ..] = node.inputs.as_slice() else {
            return Err(self.lacks(tensor));
        };
        let bias = bias.first().map(|&bias| self.slot(bias)).transpose()?;
        let sum = self.added_to(tensor);
        let c = self.output(sum.or(gate.map(|(gated, _)| gated)).unwrap_or(tensor))?;
        sum.into_iter().for_each(|sum| self.done[sum.0] = true);
        let gate = gate.map(|(_, gate)| gate);
        match node.op {
            Op::Conv2d { form, shape, activation } => {
                let (a, Masked { values: b, mask }) = (self.slot(tensor_a)?, self.read(tensor_b)?);
                let product = Conv2d { form, shape, a, b, mask, bias, activation, gate, c };
                match sum {
                    Some(_) => product.push_onto(self.plan),
                    None => product.push(self.plan),
                }
            }
            Op::Matmul { form, activation } => {
                let [m, n, k] = self.extents(tensor, tensor_a, form)?;
                match self.factors([tensor_a, tensor_b], [m, n, k])? {
                    Factors::F16 { a, b, peaks } => {
                        let product =
                            F16Matmul { form, a, b, peaks, bias, activation, gate, c, m, n, k };
                        match sum {
                            Some(_) => product.push_onto(self.plan),
                            None => product.push(self.plan),
                        }
                    }
                    Factors::F32 { a, b: Masked { values: b, mask } } => {
                        let begin = [0; 2];
                        let product =
                            Matmul { form, a, b, mask, bias, activation, gate, c, m, n, k, begin };
                        match sum {
                            Some(_) => product.push_onto(self.plan),
                            None => product.push(self.plan),
                        }
                    }
                }
            }
            op => Err(Error::shape(op.name(), format!("{} is no product", node.name))),
        }
    }

    /// Rows, columns and terms of the product `tensor` of `a` and something.
    pub(super) fn extents(&self, tensor: Tensor, a: Tensor, form: Form) -> Result<[u32; 3]> {
        let [m, n] = self.matrix(tensor)?;
        let [rows, columns] = self.matrix(a)?;
        Ok([m, n, if form == Form::TN { rows } else { columns }])
    }

    pub(super) fn lacks(&self, tensor: Tensor) -> Error {
        let node = &self.graph.nodes[tensor.0];
        Error::shape(node.op.name(), format!("{} lacks inputs", node.name))
    }

    pub(super) fn slots_of(&self, tensors: &[Tensor]) -> Result<Vec<Slot>> {
        tensors.iter().map(|&t| self.slot(t)).collect()
    }

    pub(super) fn elements(&self, tensor: Tensor) -> Result<u32> {
        elements(&self.graph.nodes[tensor.0])
    }

    pub(super) fn slot(&self, tensor: Tensor) -> Result<Slot> {
        self.slots[tensor.0].ok_or_else(|| {
            let node = &self.graph.nodes[tensor.0];
            Error::shape(node.op.name(), format!("{} has no slot", node.name))
        })
    }

    /// The home of `tensor`, that of a sum which it begins, or new scratch.
    pub(super) fn output(&mut self, tensor: Tensor) -> Result<Slot> {
        if let Some(sum) = self.begins(tensor) {
            let slot = self.output(sum)?;
            self.slots[tensor.0] = Some(slot);
            return Ok(slot);
        }
        let node = &self.graph.nodes[tensor.0];
        let words = elements(node)?;
        let slot = *self.slots[tensor.0]
            .get_or_insert_with(|| self.plan.scratch(node.name.as_str(), words));
        Ok(slot)
    }

    /// Rows and columns: the last axis are the columns.
    pub(super) fn matrix(&self, tensor: Tensor) -> Result<[u32; 2]> {
        let node = &self.graph.nodes[tensor.0];
        let columns = node.shape.dims().last().copied().unwrap_or(1);
        Ok([elements(node)? / columns.max(1), columns])
    }
}

fn elements(node: &Node) -> Result<u32> {
    node.shape.elements().ok_or_else(|| {
        let message = format!("{} {} has 2^32 elements or more", node.name, node.shape);
        Error::shape(node.op.name(), message)
    })
}
