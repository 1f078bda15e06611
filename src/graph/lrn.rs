//! Local response normalisation.
use super::autodiff::Backward;
use super::lower::Lowering;
use super::op::{Facts, Home, Operation};
use super::{Graph, Tensor};
use crate::kernels;
use crate::{Error, Result};

/// Input `x`: the scales of local response normalisation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LrnScale {
    /// Extents and constants.
    pub lrn: kernels::Lrn,
}

/// Inputs `x`, `scale`: `x` normalised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lrn {
    /// Extents and constants.
    pub lrn: kernels::Lrn,
}

/// Inputs `gradient`, `x`, `scale`, `y`: gradient by `x` of both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LrnGradient {
    /// Extents and constants.
    pub lrn: kernels::Lrn,
}

impl Graph {
    /// `x / (bias + alpha * sum of x^2 over the channels at most radius away)^beta` (Krizhevsky et
    /// al. 2012), the last axis being the channels.
    ///
    /// # Errors
    /// [`Error::Argument`] for a bias that is not above 0 or an alpha below 0.
    pub fn local_response_norm(
        &mut self,
        x: Tensor,
        radius: u32,
        [bias, alpha, beta]: [f32; 3],
    ) -> Result<Tensor> {
        if !(bias > 0.0 && alpha >= 0.0 && beta.is_finite()) {
            let message = format!(
                "bias {bias} must be above 0, alpha {alpha} at least 0, beta {beta} finite"
            );
            return Err(Error::argument("local_response_norm", message));
        }
        let xs = self.shape(x).clone();
        let (len, channels) = (xs.elements().unwrap_or(0), xs.dims().last().copied().unwrap_or(1));
        let lrn = kernels::Lrn { len, channels, radius, bias, alpha, beta };
        let name = format!("{}.lrn", self.nodes[x.0].name);
        let scale = self.push(LrnScale { lrn }, vec![x], xs.clone(), &format!("{name}.scale"));
        Ok(self.push(Lrn { lrn }, vec![x, scale], xs, &name))
    }
}

impl Operation for LrnScale {
    fn facts(&self) -> Facts {
        Facts { name: "lrn_scale", home: Home::Own, recomputed: Some((*self).into()) }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let &Self { lrn } = self;
        let [x] = lowering.input_slots(tensor)?;
        let out = lowering.output(tensor)?;
        lowering.plan.push(kernels::LrnScale { lrn, x, out })
    }
}

impl Operation for Lrn {
    fn facts(&self) -> Facts {
        Facts { name: "lrn", home: Home::Own, recomputed: Some((*self).into()) }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let &Self { lrn } = self;
        let [x, scale] = lowering.input_slots(tensor)?;
        let out = lowering.output(tensor)?;
        lowering.plan.push(kernels::LrnApply { lrn, x, scale, y: out })
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        tensor: Tensor,
        gradient: Tensor,
    ) -> Result<()> {
        let (&Self { lrn }, [x, scale]) = (self, backward.inputs(tensor)?);
        // It stands for the way through the scales too.
        backward.send(x, LrnGradient { lrn }, vec![gradient, x, scale, tensor]);
        Ok(())
    }
}

impl Operation for LrnGradient {
    fn facts(&self) -> Facts {
        Facts { name: "lrn_gradient", home: Home::Own, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let &Self { lrn } = self;
        let [gradient, x, scale, y] = lowering.input_slots(tensor)?;
        let out = lowering.output(tensor)?;
        lowering.plan.push(kernels::LrnGradient { lrn, gradient, x, scale, y, out })
    }
}
