//! Fully connected layers of a graph.
use super::{Graph, Op, Shape, Tensor};
use crate::kernels::{Activation, Form};
use crate::{Error, Result};

impl Graph {
    /// `activation(x w + bias)` for `x [..., inputs]`, `w [inputs, outputs]` and `bias [outputs]`:
    /// upstream's `masked_fully_connected`, where `weight` has a mask. The last axis is contracted.
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
        let (&[ref leading @ .., inputs], &[weight_rows, outputs]) = (xs.dims(), ws.dims()) else {
            let message = format!("x {xs} needs rank 1 or more and weight {ws} rank 2");
            return Err(Error::shape("linear", message));
        };
        if inputs != weight_rows {
            let message =
                format!("x {xs} has {inputs} columns, weight {ws} has {weight_rows} rows");
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
        let op = Op::Matmul { form: Form::NN, activation: fused };
        let y = self.push(op, inputs, Shape::new(shape), &name);
        Ok(if fused == activation { y } else { self.activate(y, activation) })
    }

    /// What the products multiply `weight` with, forward: the rows of each are a batch's.
    pub fn inputs_of(&self, weight: Tensor) -> Vec<Tensor> {
        let reads = |n: &&super::Node| {
            matches!(n.op, Op::Matmul { form: Form::NN, .. }) && n.inputs.get(1) == Some(&weight)
        };
        self.nodes.iter().filter(reads).map(|n| n.inputs[0]).collect()
    }

    /// How often the forward pass multiplies with each weight of `weight` for one row of a batch of
    /// `rows`.
    pub fn uses_of(&self, weight: Tensor, rows: u32) -> u64 {
        let uses = |n: &super::Node| {
            let place = n.inputs.iter().position(|&input| input == weight);
            let elements = u64::from(n.shape.elements().unwrap_or(0));
            match (n.op, place) {
                // Once at each position of a sequence.
                (Op::Lstm { shape: super::Lstm { length, .. } }, Some(1..)) => length.into(),
                (Op::Gru { shape: super::Gru { length, .. } }, Some(1..)) => length.into(),
                (
                    Op::Matmul { form: Form::NN, .. } | Op::Conv2d { form: Form::NN, .. },
                    Some(1),
                ) => {
                    let outputs = n.shape.dims().last().copied().unwrap_or(1).max(1);
                    elements / u64::from(outputs) / u64::from(rows.max(1))
                }
                _ => 0,
            }
        };
        self.nodes.iter().map(uses).sum()
    }
}
