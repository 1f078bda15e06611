//! Layer and RMS normalisation, and softmax.
use super::autodiff::Backward;
use super::lower::Lowering;
use super::op::{Facts, Home, Operation};
use super::tied::{Crossing, Reach};
use super::{Graph, Tensor};
use crate::kernels::{self, Rows};
use crate::{Error, Result};

/// Input `x`: each row normalised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalise {
    /// Extents and constants.
    pub rows: Rows,
}

/// Inputs `gradient`, `x`: gradient of that by `x`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormaliseGradient {
    /// Extents and constants.
    pub rows: Rows,
}

/// Input `x`: softmax of each row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Softmax;

/// Inputs `gradient`, `y`: gradient of that by its input, for its result `y`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SoftmaxGradient;

impl Graph {
    /// Each row of `x [..., columns]` over the root of its variance plus `epsilon`, where `centred`
    /// after its mean is taken off: layer norm (Ba et al. 2016), else RMS norm (Zhang and Sennrich
    /// 2019), without scale and shift.
    ///
    /// # Errors
    /// [`Error::Argument`] for an epsilon that is not above 0.
    pub fn normalise(&mut self, x: Tensor, epsilon: f32, centred: bool) -> Result<Tensor> {
        check_epsilon(epsilon)?;
        let xs = self.shape(x).clone();
        let columns = xs.dims().last().copied().unwrap_or(1).max(1);
        let rows = Rows { rows: xs.elements().unwrap_or(0) / columns, columns, epsilon, centred };
        let name = format!("{}.norm", self.nodes[x.0].name);
        Ok(self.push(Normalise { rows }, vec![x], xs, &name))
    }

    /// Softmax (Bridle 1990) of each row of `x [..., columns]`: `exp(x)` over the row's sum of
    /// them, shifted by the row's largest, so that no exp overflows.
    ///
    /// # Errors
    /// [`Error::Shape`] for an `x` without axes.
    pub fn softmax(&mut self, x: Tensor) -> Result<Tensor> {
        let xs = self.shape(x).clone();
        if xs.rank() == 0 {
            return Err(Error::shape(
                "softmax",
                format!("x {xs} has no axes, needs rank 1 or more"),
            ));
        }
        let name = format!("{}.softmax", self.nodes[x.0].name);
        Ok(self.push(Softmax, vec![x], xs, &name))
    }
}

pub(super) fn check_epsilon(epsilon: f32) -> Result<()> {
    match epsilon.is_finite() && epsilon > 0.0 {
        true => Ok(()),
        false => Err(Error::argument("epsilon", format!("{epsilon} must be above 0 and finite"))),
    }
}

impl Operation for Normalise {
    fn facts(&self) -> Facts {
        Facts { name: "normalise", home: Home::Own, recomputed: Some((*self).into()) }
    }

    fn units(&self, of: &Crossing<'_>) -> Reach {
        of.through_rows(self.rows.columns)
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let &Self { rows } = self;
        let [x] = lowering.input_slots(tensor)?;
        let out = lowering.output(tensor)?;
        lowering.plan.push(kernels::Normalise { rows, x, y: out })
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        tensor: Tensor,
        gradient: Tensor,
    ) -> Result<()> {
        let (&Self { rows }, [x]) = (self, backward.inputs(tensor)?);
        backward.send(x, NormaliseGradient { rows }, vec![gradient, x]);
        Ok(())
    }
}

impl Operation for NormaliseGradient {
    fn facts(&self) -> Facts {
        Facts { name: "normalise_gradient", home: Home::Own, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let &Self { rows } = self;
        let [gradient, x] = lowering.input_slots(tensor)?;
        let out = lowering.output(tensor)?;
        lowering.plan.push(kernels::NormaliseGradient { rows, gradient, x, out })
    }
}

impl Operation for Softmax {
    fn facts(&self) -> Facts {
        Facts { name: "softmax", home: Home::Own, recomputed: Some((*self).into()) }
    }

    fn units(&self, of: &Crossing<'_>) -> Reach {
        let columns = of.node.shape.dims().last().copied().unwrap_or(1);
        of.through_rows(columns)
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let ([rows, columns], [x]) =
            (lowering.matrix(tensor)?, lowering.input_slots(tensor)?);
        let out = lowering.output(tensor)?;
        lowering.plan.push(kernels::Softmax { x, y: out, rows, columns })
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        tensor: Tensor,
        gradient: Tensor,
    ) -> Result<()> {
        let [x] = backward.inputs(tensor)?;
        backward.send(x, SoftmaxGradient, vec![gradient, tensor]);
        Ok(())
    }
}

impl Operation for SoftmaxGradient {
    fn facts(&self) -> Facts {
        Facts { name: "softmax_gradient", home: Home::Own, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let ([rows, columns], [gradient, y]) =
            (lowering.matrix(tensor)?, lowering.input_slots(tensor)?);
        let out = lowering.output(tensor)?;
        lowering.plan.push(kernels::SoftmaxGradient { gradient, y, out, rows, columns })
    }
}
