//! Layer, RMS and batch normalisation, and softmax.
use super::autodiff::Backward;
use super::lower::{Lowering, Mode};
use super::{Graph, Op, Shape, Tensor};
use crate::kernels::{
    BatchNormalise, BatchNormaliseGradient, Columns, Moments, MovingAverage, Normalise,
    NormaliseGradient, Rows, Softmax, SoftmaxGradient,
};
use crate::{Error, Result};

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
        Ok(self.push(Op::Normalise { rows }, vec![x], xs, &name))
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
        Ok(self.push(Op::Softmax, vec![x], xs, &name))
    }

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
            self.push(Op::Moments { shape }, vec![x], moments, &format!("{name}.moments"));
        let inputs = vec![x, of_batch, running];
        Ok(self.push(Op::BatchNormalise { shape, decay: Some(decay) }, inputs, xs, &name))
    }
}

fn check_epsilon(epsilon: f32) -> Result<()> {
    match epsilon.is_finite() && epsilon > 0.0 {
        true => Ok(()),
        false => Err(Error::argument("epsilon", format!("{epsilon} must be above 0 and finite"))),
    }
}

impl Backward<'_> {
    pub(super) fn norm(&mut self, tensor: Tensor, gradient: Tensor) {
        let node = self.graph.nodes[tensor.0].clone();
        match (node.op, node.inputs.as_slice()) {
            (Op::Normalise { rows }, &[x]) => {
                self.send(x, Op::NormaliseGradient { rows }, vec![gradient, x]);
            }
            (Op::Softmax, &[x]) => self.send(x, Op::SoftmaxGradient, vec![gradient, tensor]),
            // It stands for the way through the moments too.
            (Op::BatchNormalise { shape, .. }, &[x, moments, _]) if self.needs(x) => {
                let products = self.like(Op::Mul, vec![gradient, tensor], tensor);
                let columns = Shape::new([shape.columns]);
                let sums = [gradient, products]
                    .map(|of| self.push(Op::ColumnSum, vec![of], columns.clone(), moments));
                let inputs = vec![gradient, tensor, moments, sums[0], sums[1]];
                self.send(x, Op::BatchNormaliseGradient { shape }, inputs);
            }
            _ => {}
        }
    }
}

impl Lowering<'_> {
    pub(super) fn norm(&mut self, tensor: Tensor) -> Result<()> {
        let node = &self.graph.nodes[tensor.0];
        let evaluates = self.mode == Mode::Evaluate;
        if evaluates && matches!(node.op, Op::Moments { .. }) {
            return Ok(());
        }
        let step = self.bindings.step;
        if let (Op::BatchNormalise { shape, decay }, &[x, moments, running]) =
            (node.op, node.inputs.as_slice())
        {
            let (x, running) = (self.slot(x)?, self.slot(running)?);
            let moments = if evaluates { running } else { self.slot(moments)? };
            let y = self.output(tensor)?;
            self.plan.push(BatchNormalise { shape, x, moments, y })?;
            return match (self.mode, decay) {
                (Mode::Train, Some(decay)) => {
                    let len = 2 * shape.columns;
                    self.plan.push(MovingAverage { x: moments, average: running, len, decay })
                }
                _ => Ok(()),
            };
        }
        let inputs = self.slots_of(&node.inputs)?;
        let out = self.output(tensor)?;
        match (node.op, inputs.as_slice()) {
            (Op::Normalise { rows }, &[x]) => self.plan.push(Normalise { rows, x, y: out }),
            (Op::NormaliseGradient { rows }, &[gradient, x]) => {
                self.plan.push(NormaliseGradient { rows, gradient, x, out })
            }
            (Op::Softmax, &[x]) => {
                let [rows, columns] = self.matrix(tensor)?;
                self.plan.push(Softmax { x, y: out, rows, columns })
            }
            (Op::SoftmaxGradient, &[gradient, y]) => {
                let [rows, columns] = self.matrix(tensor)?;
                self.plan.push(SoftmaxGradient { gradient, y, out, rows, columns })
            }
            (Op::Moments { shape }, &[x]) => Moments { shape, x, step, out }.push(self.plan),
            (
                Op::BatchNormaliseGradient { shape },
                &[gradient, y, moments, gradients, products],
            ) => self.plan.push(BatchNormaliseGradient {
                shape,
                gradient,
                y,
                moments,
                gradients,
                products,
                step,
                out,
            }),
            _ => Err(self.lacks(tensor)),
        }
    }
}
