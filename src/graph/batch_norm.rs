//! Batch normalisation.
use super::autodiff::Backward;
use super::lower::{Lowering, Mode};
use super::norm::check_epsilon;
use super::op::{Facts, Home, Operation};
use super::tied::{Crossing, Reach};
use super::ops::{ColumnSum, Mul};
use super::{Graph, Shape, Tensor};
use crate::kernels::{self, Columns, MovingAverage};
use crate::{Error, Result};

/// Input `x`: means and variances of its columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// Extents.
    pub shape: Columns,
}

/// Inputs `x`, `moments`, `running`: each column normalised, in evaluation by `running`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchNormalise {
    /// Extents and constants.
    pub shape: Columns,
    /// Share of the running moments that stays; `None` leaves them.
    pub decay: Option<f32>,
}

/// Inputs `gradient`, `y`, `moments`, sums of `gradient`, sums of `gradient * y`: gradient of
/// both by `x`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchNormaliseGradient {
    /// Extents and constants.
    pub shape: Columns,
}

impl Graph {
    /// Batch norm (Ioffe and Szegedy 2015) of each channel of `x [batch, ..., channels]`, without
    /// scale and shift. In training by the statistics of the batch's valid rows, which also move
    /// `running [2, channels]`, means then variances: `running = decay * running + (1 - decay) *
    /// batch's`; in evaluation by `running`, a [`Graph::statistic`].
    ///
    /// # Errors
    /// [`Error::Shape`] when the shapes do not fit, [`Error::Argument`] for an epsilon that is not
    /// above 0 or a decay outside 0 to 1.
    pub fn batch_normalise(
        &mut self,
        x: Tensor,
        running: Tensor,
        epsilon: f32,
        decay: f32,
    ) -> Result<Tensor> {
        check_epsilon(epsilon)?;
        if !(0.0..=1.0).contains(&decay) {
            return Err(Error::argument("decay", format!("{decay} must be in 0 to 1")));
        }
        let (xs, moments) = (self.shape(x).clone(), self.shape(running).clone());
        let (Some(&batch), Some(&columns)) = (xs.dims().first(), xs.dims().last()) else {
            return Err(Error::shape("batch_normalise", format!("x {xs} has no axes")));
        };
        if moments.dims() != [2, columns] || xs.rank() < 2 {
            let message =
                format!("x {xs} needs rank 2 or more, running {moments} must be [2, {columns}]");
            return Err(Error::shape("batch_normalise", message));
        }
        let rows = xs.elements().unwrap_or(0) / columns.max(1);
        let shape = Columns { rows, columns, repeat: rows / batch.max(1), epsilon };
        let name = format!("{}.norm", self.nodes[x.0].name);
        let of_batch =
            self.push(Moments { shape }, vec![x], moments, &format!("{name}.moments"));
        let inputs = vec![x, of_batch, running];
        Ok(self.push(BatchNormalise { shape, decay: Some(decay) }, inputs, xs, &name))
    }
}

impl Operation for Moments {
    fn facts(&self) -> Facts {
        Facts { name: "moments", home: Home::Own, recomputed: None }
    }

    fn units(&self, of: &Crossing<'_>) -> Reach {
        of.alike()
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        if lowering.mode == Mode::Evaluate {
            return Ok(());
        }
        let (&Self { shape }, [x], step) =
            (self, lowering.input_slots(tensor)?, lowering.bindings.step);
        let out = lowering.output(tensor)?;
        kernels::Moments { shape, x, step, out }.push(lowering.plan)
    }
}

impl Operation for BatchNormalise {
    fn facts(&self) -> Facts {
        let recomputed = Some(Self { decay: None, ..*self }.into());
        Facts { name: "batch_normalise", home: Home::Own, recomputed }
    }

    fn units(&self, of: &Crossing<'_>) -> Reach {
        of.alike()
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let (&Self { shape, decay }, [x, moments, running]) = (self, lowering.inputs(tensor)?);
        let (x, running) = (lowering.slot(x)?, lowering.slot(running)?);
        let evaluates = lowering.mode == Mode::Evaluate;
        let moments = if evaluates { running } else { lowering.slot(moments)? };
        let y = lowering.output(tensor)?;
        lowering.plan.push(kernels::BatchNormalise { shape, x, moments, y })?;
        match (lowering.mode, decay) {
            (Mode::Train, Some(decay)) => {
                let len = 2 * shape.columns;
                lowering.plan.push(MovingAverage { x: moments, average: running, len, decay })
            }
            (Mode::Train | Mode::Look | Mode::Evaluate, _) => Ok(()),
        }
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        tensor: Tensor,
        gradient: Tensor,
    ) -> Result<()> {
        let (&Self { shape, .. }, [x, moments, _]) = (self, backward.inputs(tensor)?);
        // It stands for the way through the moments too.
        if backward.needs(x) {
            let products = backward.like(Mul, vec![gradient, tensor], tensor);
            let columns = Shape::new([shape.columns]);
            let sums = [gradient, products]
                .map(|of| backward.push(ColumnSum, vec![of], columns.clone(), moments));
            let inputs = vec![gradient, tensor, moments, sums[0], sums[1]];
            backward.send(x, BatchNormaliseGradient { shape }, inputs);
        }
        Ok(())
    }
}

impl Operation for BatchNormaliseGradient {
    fn facts(&self) -> Facts {
        Facts { name: "batch_normalise_gradient", home: Home::Own, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let &Self { shape } = self;
        let [gradient, y, moments, gradients, products] = lowering.input_slots(tensor)?;
        let (step, out) = (lowering.bindings.step, lowering.output(tensor)?);
        lowering.plan.push(kernels::BatchNormaliseGradient {
            shape,
            gradient,
            y,
            moments,
            gradients,
            products,
            step,
            out,
        })
    }
}
