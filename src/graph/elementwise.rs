//! Element by element: sums, products, activations, dropout; and sums over rows.
use super::autodiff::Backward;
use super::lower::{Lowering, Mode};
use super::op::{Facts, Home, Operation};
use super::tied::{Crossing, Reach};
use super::{Graph, Op, Tensor};
use crate::kernels::{self, Activation};
use crate::{Error, Result};

/// Inputs `x`, `y`: their sum, `y` repeated over the leading axes of `x`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Add;

/// Inputs `x`, `y`: their product, `y` repeated over the leading axes of `x`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mul;

/// Input `x`: an activation on its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Activate {
    /// Applied to each element.
    pub activation: Activation,
}

/// Inputs `gradient`, `output`: a gradient through an activation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gate {
    /// The activation that made `output`.
    pub activation: Activation,
}

/// Input `x`, or a gradient: elements left out at random.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Chance to be left out.
    pub rate: f32,
    /// Tells the layers of a network apart.
    pub stream: u32,
}

/// Input `x`: sums over its rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColumnSum;

impl Graph {
    /// `x + y`, element by element; `y` is repeated over the leading axes that only `x` has.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the shape of `y` is the end of that of `x`.
    pub fn add(&mut self, x: Tensor, y: Tensor) -> Result<Tensor> {
        self.combine(Add, x, y, "+")
    }

    /// `x * y`, element by element; `y` is repeated over the leading axes that only `x` has.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the shape of `y` is the end of that of `x`.
    pub fn mul(&mut self, x: Tensor, y: Tensor) -> Result<Tensor> {
        self.combine(Mul, x, y, "*")
    }

    fn combine(&mut self, op: impl Into<Op>, x: Tensor, y: Tensor, sign: &str) -> Result<Tensor> {
        let op = op.into();
        let (xs, ys) = (self.shape(x).clone(), self.shape(y));
        if !xs.dims().ends_with(ys.dims()) || ys.rank() == 0 {
            let message = format!("the shape of x {xs} does not end in that of y {ys}");
            return Err(Error::shape(op.name(), message));
        }
        let [x_name, y_name] = [x, y].map(|tensor| &*self.nodes[tensor.0].name);
        // Of a chain of sums the last two terms: names would grow with the depth of a network.
        let name = match x_name.rsplit_once('+') {
            Some((_, last)) if sign == "+" => format!("..+{last}+{y_name}"),
            _ => format!("{x_name}{sign}{y_name}"),
        };
        Ok(self.push(op, vec![x, y], xs, &name))
    }

    /// `activation(x)`, element by element.
    pub fn activate(&mut self, x: Tensor, activation: Activation) -> Tensor {
        let (shape, name) = (self.shape(x).clone(), self.nodes[x.0].name.clone());
        self.push(Activate { activation }, vec![x], shape, &name)
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
        Ok(self.push(Dropout { rate, stream }, vec![x], shape, &name))
    }
}

impl Operation for Add {
    fn facts(&self) -> Facts {
        Facts { name: "add", home: Home::Own, recomputed: Some((*self).into()) }
    }

    fn units(&self, of: &Crossing<'_>) -> Reach {
        of.alike()
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let [x, y] = lowering.inputs(tensor)?;
        let (len, period) = (lowering.elements(tensor)?, lowering.elements(y)?);
        let (x, y) = (lowering.slot(x)?, lowering.slot(y)?);
        let out = lowering.output(tensor)?;
        lowering.plan.push(kernels::Add { x, y, out, len, period })
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        tensor: Tensor,
        gradient: Tensor,
    ) -> Result<()> {
        let [x, y] = backward.inputs(tensor)?;
        backward.pass(x, gradient);
        if backward.graph.shape(x) == backward.graph.shape(y) {
            backward.pass(y, gradient);
        } else {
            backward.send(y, ColumnSum, vec![gradient]);
        }
        Ok(())
    }
}

impl Operation for Mul {
    fn facts(&self) -> Facts {
        Facts { name: "mul", home: Home::Own, recomputed: Some((*self).into()) }
    }

    fn units(&self, of: &Crossing<'_>) -> Reach {
        of.alike()
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let [x, y] = lowering.inputs(tensor)?;
        let (len, period) = (lowering.elements(tensor)?, lowering.elements(y)?);
        let (x, y) = (lowering.slot(x)?, lowering.slot(y)?);
        let out = lowering.output(tensor)?;
        lowering.plan.push(kernels::Mul { x, y, out, len, period })
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        tensor: Tensor,
        gradient: Tensor,
    ) -> Result<()> {
        let [x, y] = backward.inputs(tensor)?;
        backward.send(x, Self, vec![gradient, y]);
        if backward.graph.shape(x) == backward.graph.shape(y) {
            backward.send(y, Self, vec![gradient, x]);
        } else if backward.needs(y) {
            let products = backward.like(Self, vec![gradient, x], x);
            backward.send(y, ColumnSum, vec![products]);
        }
        Ok(())
    }
}

impl Operation for Activate {
    fn facts(&self) -> Facts {
        Facts { name: "activate", home: Home::Own, recomputed: Some((*self).into()) }
    }

    fn units(&self, of: &Crossing<'_>) -> Reach {
        of.alike()
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let (len, [x]) = (lowering.elements(tensor)?, lowering.input_slots(tensor)?);
        let (activation, out) = (self.activation, lowering.output(tensor)?);
        lowering.plan.push(kernels::Activate { x, activation, out, len })
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        tensor: Tensor,
        gradient: Tensor,
    ) -> Result<()> {
        let [x] = backward.inputs(tensor)?;
        let activation = self.activation;
        let at = if activation.slopes_by_input() { x } else { tensor };
        backward.send(x, Gate { activation }, vec![gradient, at]);
        Ok(())
    }
}

impl Operation for Gate {
    fn facts(&self) -> Facts {
        Facts { name: "gate", home: Home::Own, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let (activation, [gradient, output]) = (self.activation, lowering.inputs(tensor)?);
        if lowering.gate_of(gradient) == Some(tensor) {
            let gate = (lowering.slot(output)?, activation);
            return lowering.product(gradient, Some((tensor, gate)));
        }
        let (gradient, output) = (lowering.slot(gradient)?, lowering.slot(output)?);
        let (len, out) = (lowering.elements(tensor)?, lowering.output(tensor)?);
        lowering.plan.push(kernels::Gate { gradient, output, activation, out, len })
    }
}

impl Operation for Dropout {
    fn facts(&self) -> Facts {
        Facts { name: "dropout", home: Home::InputInEvaluation, recomputed: Some((*self).into()) }
    }

    fn units(&self, of: &Crossing<'_>) -> Reach {
        of.alike()
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let [x] = lowering.inputs(tensor)?;
        if lowering.mode == Mode::Evaluate {
            return lowering.share(tensor, x);
        }
        let (x, step, len) = (lowering.slot(x)?, lowering.bindings.step, lowering.elements(tensor)?);
        let (out, &Self { rate, stream }) = (lowering.output(tensor)?, self);
        lowering.plan.push(kernels::Dropout { x, step, out, len, stream, rate })
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        tensor: Tensor,
        gradient: Tensor,
    ) -> Result<()> {
        let [x] = backward.inputs(tensor)?;
        // The same elements are left out.
        backward.send(x, *self, vec![gradient]);
        Ok(())
    }
}

impl Operation for ColumnSum {
    fn facts(&self) -> Facts {
        Facts { name: "column_sum", home: Home::Own, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        if let Some(other) = lowering.sum_beside(tensor) {
            return lowering.pair_sum([tensor, other]);
        }
        if lowering.with_weight_gradient(tensor)? {
            return Ok(());
        }
        let [x] = lowering.inputs(tensor)?;
        let columns = lowering.elements(tensor)?;
        let rows = lowering.elements(x)? / columns.max(1);
        let x = lowering.slot(x)?;
        let out = lowering.output(tensor)?;
        kernels::ColumnSum { x, out, rows, columns }.push(lowering.plan)
    }
}
