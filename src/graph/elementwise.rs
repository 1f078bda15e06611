//! Element by element: sums, products, activations, dropout.
use super::autodiff::Backward;
use super::lower::{Lowering, Mode};
use super::{Graph, Op, Tensor};
use crate::kernels::{Activate, Activation, Add, Dropout, Gate, Mul};
use crate::{Error, Result};

impl Graph {
    /// `x + y`, element by element; `y` is repeated over the leading axes that only `x` has.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the shape of `y` is the end of that of `x`.
    pub fn add(&mut self, x: Tensor, y: Tensor) -> Result<Tensor> {
        self.combine(Op::Add, x, y, "+")
    }

    /// `x * y`, element by element; `y` is repeated over the leading axes that only `x` has.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the shape of `y` is the end of that of `x`.
    pub fn mul(&mut self, x: Tensor, y: Tensor) -> Result<Tensor> {
        self.combine(Op::Mul, x, y, "*")
    }

    fn combine(&mut self, op: Op, x: Tensor, y: Tensor, sign: &str) -> Result<Tensor> {
        let (xs, ys) = (self.shape(x).clone(), self.shape(y));
        if !xs.dims().ends_with(ys.dims()) || ys.rank() == 0 {
            let message = format!("the shape of x {xs} does not end in that of y {ys}");
            return Err(Error::shape(op.name(), message));
        }
        let name = format!("{}{sign}{}", self.nodes[x.0].name, self.nodes[y.0].name);
        Ok(self.push(op, vec![x, y], xs, &name))
    }

    /// `activation(x)`, element by element.
    pub fn activate(&mut self, x: Tensor, activation: Activation) -> Tensor {
        let (shape, name) = (self.shape(x).clone(), self.nodes[x.0].name.clone());
        self.push(Op::Activate { activation }, vec![x], shape, &name)
    }

    /// In training each element of `x` is 0 with the chance `rate`, and the others are divided by
    /// `1 - rate`; in evaluation `x` itself. Which ones is a function of seed, step and the layer's
    /// place, so that a run that was stopped draws the same when it goes on.
    ///
    /// # Errors
    /// [`Error::Argument`] unless `rate` is at least 0 and below 1.
    pub fn dropout(&mut self, x: Tensor, rate: f32) -> Result<Tensor> {
        if !(0.0..1.0).contains(&rate) {
            let message = format!("{rate} must be at least 0 and below 1");
            return Err(Error::argument("rate", message));
        }
        let (shape, name) = (self.shape(x).clone(), self.nodes[x.0].name.clone());
        let stream = self.nodes.len() as u32;
        Ok(self.push(Op::Dropout { rate, stream }, vec![x], shape, &name))
    }
}

impl Backward<'_> {
    pub(super) fn add(&mut self, gradient: Tensor, [x, y]: [Tensor; 2]) {
        self.pass(x, gradient);
        if self.graph.shape(x) == self.graph.shape(y) {
            self.pass(y, gradient);
        } else {
            self.send(y, Op::ColumnSum, vec![gradient]);
        }
    }

    pub(super) fn mul(&mut self, gradient: Tensor, [x, y]: [Tensor; 2]) {
        self.send(x, Op::Mul, vec![gradient, y]);
        if self.graph.shape(x) == self.graph.shape(y) {
            self.send(y, Op::Mul, vec![gradient, x]);
        } else if self.needs(y) {
            let products = self.like(Op::Mul, vec![gradient, x], x);
            self.send(y, Op::ColumnSum, vec![products]);
        }
    }

    pub(super) fn activate(
        &mut self,
        activation: Activation,
        gradient: Tensor,
        x: Tensor,
        output: Tensor,
    ) {
        let at = if activation.slopes_by_input() { x } else { output };
        self.send(x, Op::Gate { activation }, vec![gradient, at]);
    }
}

impl Lowering<'_> {
    pub(super) fn elementwise(&mut self, tensor: Tensor) -> Result<()> {
        let node = &self.graph.nodes[tensor.0];
        let len = self.elements(tensor)?;
        match (node.op, node.inputs.as_slice()) {
            (Op::Gate { activation }, &[gradient, output]) => {
                if self.gate_of(gradient) == Some(tensor) {
                    let gate = (self.slot(output)?, activation);
                    return self.product(gradient, Some((tensor, gate)));
                }
                let (gradient, output) = (self.slot(gradient)?, self.slot(output)?);
                let out = self.output(tensor)?;
                self.plan.push(Gate { gradient, output, activation, out, len })
            }
            (op @ (Op::Add | Op::Mul), &[x, y]) => {
                let period = self.elements(y)?;
                let (x, y) = (self.slot(x)?, self.slot(y)?);
                let out = self.output(tensor)?;
                match op {
                    Op::Add => self.plan.push(Add { x, y, out, len, period }),
                    _ => self.plan.push(Mul { x, y, out, len, period }),
                }
            }
            (Op::Activate { activation }, &[x]) => {
                let x = self.slot(x)?;
                let out = self.output(tensor)?;
                self.plan.push(Activate { x, activation, out, len })
            }
            (Op::Dropout { .. }, &[x]) if self.mode == Mode::Evaluate => self.share(tensor, x),
            (Op::Dropout { rate, stream }, &[x]) => {
                let (x, step) = (self.slot(x)?, self.bindings.step);
                let out = self.output(tensor)?;
                self.plan.push(Dropout { x, step, out, len, stream, rate })
            }
            _ => Err(self.lacks(tensor)),
        }
    }
}
