//! Pooling of images.
use super::autodiff::Backward;
use super::lower::Lowering;
use super::op::{Facts, Home, Operation};
use super::tied::{Crossing, Reach};
use super::{Conv2dOptions, Graph, Padding, Shape, Tensor};
use crate::kernels::{self, Convolution, Pooling};
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

/// Input `x`: its windows, pooled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pool {
    /// The extents.
    pub shape: Convolution,
    /// What becomes of a window.
    pub pooling: Pooling,
}

/// Inputs `gradient`, `x`: gradient of a pooling by `x`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PoolGradient {
    /// The extents.
    pub shape: Convolution,
    /// What becomes of a window.
    pub pooling: Pooling,
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
        Ok(self.push(Pool { shape, pooling }, vec![x], out, &name))
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
}

impl Operation for Pool {
    fn facts(&self) -> Facts {
        Facts { name: "pool", home: Home::Own, recomputed: Some((*self).into()) }
    }

    fn units(&self, of: &Crossing<'_>) -> Reach {
        of.through_columns(self.shape.channels)
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let &Self { shape, pooling } = self;
        let [x] = lowering.input_slots(tensor)?;
        let out = lowering.output(tensor)?;
        lowering.plan.push(kernels::Pool { shape, pooling, x, y: out })
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        tensor: Tensor,
        gradient: Tensor,
    ) -> Result<()> {
        let (&Self { shape, pooling }, [x]) = (self, backward.inputs(tensor)?);
        backward.send(x, PoolGradient { shape, pooling }, vec![gradient, x]);
        Ok(())
    }
}

impl Operation for PoolGradient {
    fn facts(&self) -> Facts {
        Facts { name: "pool_gradient", home: Home::Own, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let &Self { shape, pooling } = self;
        let [gradient, x] = lowering.input_slots(tensor)?;
        let out = lowering.output(tensor)?;
        lowering.plan.push(kernels::PoolGradient { shape, pooling, gradient, x, out })
    }
}
