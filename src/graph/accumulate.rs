//! Sums in place: a product that is only added to something adds its terms to what is there.
use super::lower::Lowering;
use super::op::Home;
use super::ops::{Conv2d, Matmul};
use super::{Op, Tensor};
use crate::Result;
use crate::gpu::Slot;
use crate::kernels::{Activation, Rearrange, Strides};

impl Lowering<'_> {
    /// The sum that the product `tensor` makes, where it is nothing but its second addend:
    /// it has no other reader, and the first addend is there and read by nobody from then on.
    pub(super) fn added_to(&self, tensor: Tensor) -> Option<Tensor> {
        let node = &self.graph.nodes[tensor.0];
        let bare = matches!(
            node.op,
            Op::Matmul(Matmul { activation: Activation::Identity, .. })
                | Op::Conv2d(Conv2d { activation: Activation::Identity, .. })
        );
        if !bare || node.inputs.len() != 2 || self.uses[tensor.0] != 1 {
            return None;
        }
        let (add, to) =
            self.readers(tensor).find_map(|r| Some((r, self.other_addend(r, tensor)?)))?;
        let whole = self.graph.shape(to) == self.graph.shape(tensor);
        let is_there =
            to < tensor && self.writes_its_own(to) && self.bindings.stored[to.0].is_none();
        // One reader is the sum; each of the others has run. That none is missing says that nobody
        // wants it besides.
        let others = self.readers(to).filter(|&r| r != add);
        let done = others.clone().all(|r| self.runs_at(r).is_some_and(|at| at < tensor));
        let all = others.count() + 1 == self.uses[to.0];
        (whole && is_there && done && all).then_some(add)
    }

    /// The sum in whose slot `tensor` begins: a product adds to it there.
    pub(super) fn begins(&self, tensor: Tensor) -> Option<Tensor> {
        let mut sums = self.readers(tensor).filter(|&r| {
            let other = self.other_addend(r, tensor);
            other.is_some_and(|product| self.added_to(product) == Some(r))
        });
        sums.next()
    }

    /// What the sum `add` adds to `tensor`.
    fn other_addend(&self, add: Tensor, tensor: Tensor) -> Option<Tensor> {
        let node = &self.graph.nodes[add.0];
        match (node.op, node.inputs.as_slice()) {
            (Op::Add(_), &[x, y]) if x == tensor => Some(y),
            (Op::Add(_), &[x, y]) if y == tensor => Some(x),
            _ => None,
        }
    }

    /// Nodes that are needed and read `tensor`; one that reads it twice is there once.
    pub(super) fn readers(&self, tensor: Tensor) -> impl Iterator<Item = Tensor> + Clone + '_ {
        let nodes = self.graph.nodes.iter().zip(&self.uses).enumerate();
        nodes
            .filter(move |(_, (n, uses))| **uses > 0 && n.inputs.contains(&tensor))
            .map(|(i, _)| Tensor(i))
    }

    /// Whether `tensor` has a slot that no other node shares.
    fn writes_its_own(&self, tensor: Tensor) -> bool {
        self.graph.nodes[tensor.0].op.home() == Home::Own
    }

    /// Where `tensor` is for its reader to write over it: its own slot where that reader is the only
    /// one, and a copy otherwise.
    pub(super) fn consumed(&mut self, tensor: Tensor) -> Result<Slot> {
        let (slot, len) = (self.slot(tensor)?, self.elements(tensor)?);
        let bound = self.bindings.stored[tensor.0].is_some();
        if self.uses[tensor.0] == 1 && self.writes_its_own(tensor) && !bound {
            return Ok(slot);
        }
        let name = format!("{}/copy", self.graph.nodes[tensor.0].name);
        let copy = self.plan.scratch(name, len);
        let all = Strides { begin: 0, outer: len, inner: len };
        self.plan.push(Rearrange::new([slot, copy], [1, 1, len], [all; 2]))?;
        Ok(copy)
    }

    /// The place of the launch that `node` is part of, where that is the last to read what it
    /// reads.
    fn runs_at(&self, node: Tensor) -> Option<Tensor> {
        match self.graph.nodes[node.0].op.home() {
            Home::Input | Home::InputInEvaluation | Home::Tape => None,
            Home::Bound | Home::Beside | Home::Own => Some(self.gate_of(node).unwrap_or(node)),
        }
    }
}
