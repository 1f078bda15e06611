//! From graph to launches: only what the wanted tensors need, gates fused into the products before
//! them.
use super::f16::F16Copies;
use super::recurrent::Tape;
use super::skips::Skips;
use super::stored::Stored;
use super::{Graph, Node, Op, Tensor};
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{Rearrange, RunningMean, Strides};
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
    pub(super) skips: Vec<Skips>,
    /// Gradients, and whose they are.
    pub(super) gradients: Vec<(Tensor, Tensor)>,
}

impl Bindings {
    /// No bindings yet, but for the [`crate::kernels::Step`] that losses read.
    pub fn new(graph: &Graph, step: Slot) -> Self {
        let nodes = graph.nodes().len();
        let skips = vec![Skips::default(); nodes];
        let (means, gradients) = (Vec::new(), Vec::new());
        Self { stored: vec![None; nodes], means, step, skips, gradients }
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
        slots: bindings.stored.iter().map(|s| s.and_then(|s| s.values())).collect(),
        done: vec![false; graph.nodes.len()],
        seconds: vec![None; graph.nodes.len()],
        tapes: vec![None; graph.nodes.len()],
        f16: F16Copies::new(graph),
        live: vec![None; graph.nodes.len()],
        uses,
    };
    lowering.begin_f16(&live)?;
    for (i, _) in live.iter().enumerate().filter(|(_, live)| **live) {
        if !lowering.done[i] {
            let op = graph.nodes[i].op;
            op.operation().lower(&mut lowering, Tensor(i))?;
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
    /// Second output of a launch: gradients of losses, what attention knows of its rows.
    pub(super) seconds: Vec<Option<Slot>>,
    /// What each recurrent layer leaves to its gradients.
    pub(super) tapes: Vec<Option<Tape>>,
    /// Copies in f16.
    pub(super) f16: F16Copies,
    /// Of weights, what products read that leave out terms.
    pub(super) live: Vec<Option<Slot>>,
    /// Readers of each node; 0 where nothing wanted depends on it.
    pub(super) uses: Vec<usize>,
}

impl Lowering<'_> {
    /// The first node that is needed and is of such an operation and inputs.
    pub(super) fn first(&self, op: impl Fn(Op) -> bool, inputs: &[Tensor]) -> Option<Tensor> {
        let nodes = self.graph.nodes.iter().zip(&self.uses);
        nodes
            .enumerate()
            .find(|(_, (n, uses))| **uses > 0 && op(n.op) && n.inputs == inputs)
            .map(|(i, _)| Tensor(i))
    }

    /// Shares the memory of `x`; where `tensor` has a home of its own, `x` is copied there.
    pub(super) fn share(&mut self, tensor: Tensor, x: Tensor) -> Result<()> {
        let (slot, len) = (self.slot(x)?, self.elements(x)?);
        match self.slots[tensor.0] {
            Some(home) => {
                let all = Strides { begin: 0, outer: len, inner: len };
                self.plan.push(Rearrange::new([slot, home], [1, 1, len], [all; 2]))
            }
            None => {
                self.slots[tensor.0] = Some(slot);
                Ok(())
            }
        }
    }

    pub(super) fn lacks(&self, tensor: Tensor) -> Error {
        let node = &self.graph.nodes[tensor.0];
        Error::shape(node.op.name(), format!("{} lacks inputs", node.name))
    }

    /// The inputs of `tensor`, all `N` of them.
    pub(super) fn inputs<const N: usize>(&self, tensor: Tensor) -> Result<[Tensor; N]> {
        let inputs = self.graph.nodes[tensor.0].inputs.as_slice();
        inputs.try_into().map_err(|_| self.lacks(tensor))
    }

    /// Where the inputs of `tensor` are, all `N` of them.
    pub(super) fn input_slots<const N: usize>(&self, tensor: Tensor) -> Result<[Slot; N]> {
        let inputs = self.slots_of(&self.graph.nodes[tensor.0].inputs)?;
        inputs.try_into().map_err(|_| self.lacks(tensor))
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
            let lacks = || Error::shape(node.op.name(), format!("{} has no slot", node.name));
            self.refuses(tensor).unwrap_or_else(lacks)
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
