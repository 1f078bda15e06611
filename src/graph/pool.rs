//! Pooling and local response normalisation of images.
use super::autodiff::Backward;
use super::lower::Lowering;
use super::{Conv2dOptions, Graph, Op, Padding, Shape, Tensor};
use crate::kernels::{Lrn, LrnApply, LrnGradient, LrnScale, Pool, PoolGradient, Pooling};
use crate::{Error, Result};

/// Settings of [`Graph::pool`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolOptions {
    /// Height and width of a window.
    pub window: [u32; 2],
    /// Rows and columns from one window to the next.
    pub stride: [u32; 2],
    /// How far windows reach over the edges; what is there is no part of them.
    pub padding: Padding,
}

impl Graph {
    /// Pools each channel of images `x [images, height, width, channels]`.
    ///
    /// # Errors
    /// [`Error::Shape`] names what does not fit.
    pub fn pool(&mut self, x: Tensor, pooling: Pooling, options: PoolOptions) -> Result<Tensor> {
        let xs = self.shape(x).clone();
        let &[images, height, width, channels] = xs.dims() else {
            let message = format!("x {xs} has rank {}, not 4", xs.rank());
            return Err(Error::shape("pool", message));
        };
        let PoolOptions { window: [rows, columns], stride, padding } = options;
        let window = Conv2dOptions { stride, padding, dilation: [1, 1], groups: channels };
        let sizes = ([images, height, width, channels], [rows, columns, 1, channels]);
        let shape = window.convolution("pool", sizes.0, sizes.1)?;
        let out = Shape::new([images, shape.out[0], shape.out[1], channels]);
        let name = format!("{}.pool", self.nodes[x.0].name);
        Ok(self.push(Op::Pool { shape, pooling }, vec![x], out, &name))
    }

    /// The mean of each channel, `[images, channels]`, of images `x [images, height, width,
    /// channels]`.
    ///
    /// # Errors
    /// [`Error::Shape`] for another rank.
    pub fn global_mean_pool(&mut self, x: Tensor) -> Result<Tensor> {
        let window = match *self.shape(x).dims() {
            [_, height, width, _] => [height, width],
            // Refused below.
            _ => [1, 1],
        };
        let options = PoolOptions { window, stride: [1, 1], padding: Padding::Valid };
        let x = self.pool(x, Pooling::Mean, options)?;
        let dims = self.shape(x).dims();
        let shape = Shape::new([dims[0], dims[3]]);
        self.reshape(x, shape)
    }

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
        let lrn = Lrn { len, channels, radius, bias, alpha, beta };
        let name = format!("{}.lrn", self.nodes[x.0].name);
        let scale = self.push(Op::LrnScale { lrn }, vec![x], xs.clone(), &format!("{name}.scale"));
        Ok(self.push(Op::Lrn { lrn }, vec![x, scale], xs, &name))
    }
}

impl Backward<'_> {
    pub(super) fn pool(&mut self, tensor: Tensor, gradient: Tensor) {
        let node = &self.graph.nodes[tensor.0];
        match (node.op, node.inputs.as_slice()) {
            (Op::Pool { shape, pooling }, &[x]) => {
                self.send(x, Op::PoolGradient { shape, pooling }, vec![gradient, x]);
            }
            (Op::Lrn { lrn }, &[x, scale]) => {
                self.send(x, Op::LrnGradient { lrn }, vec![gradient, x, scale, tensor]);
            }
            _ => {}
        }
    }
}

impl Lowering<'_> {
    pub(super) fn pool(&mut self, tensor: Tensor) -> Result<()> {
        let node = &self.graph.nodes[tensor.0];
        let inputs = self.slots_of(&node.inputs)?;
        let out = self.output(tensor)?;
        match (node.op, inputs.as_slice()) {
            (Op::Pool { shape, pooling }, &[x]) => {
                self.plan.push(Pool { shape, pooling, x, y: out })
            }
            (Op::PoolGradient { shape, pooling }, &[gradient, x]) => {
                self.plan.push(PoolGradient { shape, pooling, gradient, x, out })
            }
            (Op::LrnScale { lrn }, &[x]) => self.plan.push(LrnScale { lrn, x, out }),
            (Op::Lrn { lrn }, &[x, scale]) => self.plan.push(LrnApply { lrn, x, scale, y: out }),
            (Op::LrnGradient { lrn }, &[gradient, x, scale, y]) => {
                self.plan.push(LrnGradient { lrn, gradient, x, scale, y, out })
            }
            _ => Err(self.lacks(tensor)),
        }
    }
}
