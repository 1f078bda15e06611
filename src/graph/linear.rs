//! Fully connected layers of a graph.
use super::autodiff::Backward;
use super::lower::Lowering;
use super::op::{Facts, Home, Operation};
use super::packs::PackedUse;
use super::tied::{Crossing, Reach};
use super::product::multiplies;
use super::{Graph, Layout, Node, Op, Shape, Tensor};
use crate::kernels::{Activation, Form};
use crate::{Error, Result};

/// Inputs `a`, `b` and perhaps a bias: `activation(op(a) op(b) + bias)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Matmul {
    /// Which inputs are stored transposed.
    pub form: Form,
    /// Whether it is of the forward pass; the others are gradients.
    pub forward: bool,
    /// Applied to the result.
    pub activation: Activation,
}

impl Graph {
    /// `activation(x w + bias)` for `x [..., inputs]`, `w [inputs, outputs]` and `bias [outputs]`:
    /// upstream's `masked_fully_connected`, where `weight` has a mask. The last axis is contracted.
    /// After [`outputs_first`](Self::outputs_first) the weight is `[outputs, inputs]`; an
    /// embedding's table is one, so that logits can be made by the table of the tokens.
    ///
    /// # Errors
    /// [`Error::Shape`] names the shapes that do not fit.
    pub fn linear(
        &mut self,
        x: Tensor,
        weight: Tensor,
        bias: Option<Tensor>,
        activation: Activation,
    ) -> Result<Tensor> {
        let (xs, ws) = (self.shape(x).clone(), self.shape(weight).clone());
        let (&[ref leading @ .., inputs], &[rows, columns]) = (xs.dims(), ws.dims()) else {
            let message = format!("x {xs} needs rank 1 or more and weight {ws} rank 2");
            return Err(Error::shape("linear", message));
        };
        let (form, summed, outputs, axis) = match self.layout_of(weight) {
            Layout::InOut => (Form::NN, rows, columns, "rows"),
            Layout::OutIn => (Form::NT, columns, rows, "columns"),
        };
        if inputs != summed {
            let message = format!("x {xs} has {inputs} columns, weight {ws} has {summed} {axis}");
            return Err(Error::shape("linear", message));
        }
        if let Some(bias) = bias.map(|b| self.shape(b))
            && bias.dims() != [outputs]
        {
            return Err(Error::shape("linear", format!("bias {bias} must be [{outputs}]")));
        }
        let (name, shape) = (self.layer_of(weight), [leading, &[outputs]].concat());
        let inputs = [x, weight].into_iter().chain(bias).collect();
        let fused = if activation.slopes_by_input() { Activation::Identity } else { activation };
        let op = Matmul { form, forward: true, activation: fused };
        let y = self.push(op, inputs, Shape::new(shape), &name);
        Ok(if fused == activation { y } else { self.activate(y, activation) })
    }

    /// What the products multiply `weight` with, forward: the rows of each are a batch's.
    pub fn inputs_of(&self, weight: Tensor) -> Vec<Tensor> {
        let reads = |n: &&Node| {
            matches!(n.op, Op::Matmul(Matmul { forward: true, .. }))
                && n.inputs.get(1) == Some(&weight)
        };
        self.nodes.iter().filter(reads).map(|n| n.inputs[0]).collect()
    }

    /// What the product with `weight` is added to, where it is: what goes around a layer.
    pub fn added_to(&self, weight: Tensor) -> Option<Tensor> {
        let multiplies = |n: &Node| {
            matches!(n.op, Op::Matmul(Matmul { forward: true, .. }))
                && n.inputs.get(1) == Some(&weight)
        };
        let product = Tensor(self.nodes.iter().position(multiplies)?);
        let adds = |n: &Node| match (n.op, &n.inputs[..]) {
            (Op::Add(_), &[x, y]) if y == product => Some(x),
            (Op::Add(_), &[x, y]) if x == product => Some(y),
            _ => None,
        };
        let other = self.nodes.iter().find_map(adds)?;
        (self.shape(other) == self.shape(product)).then_some(other)
    }

    /// How often the forward pass multiplies with each weight of `weight` for one row of a batch of
    /// `rows`.
    pub fn uses_of(&self, weight: Tensor, rows: u32) -> u64 {
        let uses = |n: &Node| {
            let place = n.inputs.iter().position(|&input| input == weight);
            place.map_or(0, |place| n.op.operation().multiplies(n, place, rows))
        };
        self.nodes.iter().map(uses).sum()
    }
}

impl Operation for Matmul {
    fn facts(&self) -> Facts {
        let recomputed = self.forward.then_some((*self).into());
        Facts { name: "matmul", home: Home::Own, recomputed }
    }

    fn units(&self, of: &Crossing<'_>) -> Reach {
        let weight = of.graph.shape(of.node.inputs[1]).dims();
        match (self.form, weight) {
            _ if !self.forward => Reach::Fixed,
            (Form::NN, &[inputs, outputs]) => of.product([inputs, outputs], Layout::InOut),
            (Form::NT, &[outputs, inputs]) => of.product([inputs, outputs], Layout::OutIn),
            _ => Reach::Fixed,
        }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        match lowering.gate_of(tensor) {
            Some(_) => Ok(()),
            None => lowering.product(tensor, None),
        }
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        tensor: Tensor,
        gradient: Tensor,
    ) -> Result<()> {
        if !self.forward {
            return Err(backward.lacks(tensor, "has no gradient rule"));
        }
        let op = |form| Self { form, forward: false, activation: Activation::Identity };
        backward.product(tensor, gradient, (self.form, self.activation), op)
    }

    fn multiplies(&self, node: &Node, place: usize, rows: u32) -> u64 {
        if self.forward { multiplies(node, place, rows) } else { 0 }
    }

    fn packs(
        &self,
        graph: &Graph,
        node: &Node,
        place: usize,
    ) -> std::result::Result<PackedUse, String> {
        let operation = self.facts().name;
        if !self.forward || place != 1 {
            return Err(format!("{operation} reads all of it"));
        }
        let of = graph.shape(node.inputs[place]).dims();
        let inputs = if self.form == Form::NT { of.last() } else { of.first() };
        let columns = node.shape.dims().last().copied().unwrap_or(1).max(1);
        let elements = node.shape.elements();
        let elements = elements.ok_or("its product has 2^32 elements or more")?;
        Ok(PackedUse::new(operation, elements / columns, inputs.copied().unwrap_or(1)))
    }
}
