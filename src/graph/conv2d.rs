//! Convolutions of a graph: their extents by shapes and options.
use serde::{Deserialize, Serialize};

use super::autodiff::Backward;
use super::lower::Lowering;
use super::op::{Facts, Home, Operation};
use super::packs::PackedUse;
use super::tied::{Crossing, Reach};
use super::product::multiplies;
use super::{Graph, Layout, Node, Op, Shape, Tensor};
use crate::kernels::{Activation, Convolution, Form, Patches};
use crate::{Error, Result};

/// Inputs `a`, `b` and perhaps a bias: one of the products of a convolution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv2d {
    /// Which of the three.
    pub form: Form,
    /// The extents.
    pub shape: Convolution,
    /// Applied to the result.
    pub activation: Activation,
}

/// How many zeros an image is given at its edges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// TensorFlow's: one output for each stride begun, the odd row or column of zeros behind.
    #[default]
    Same,
    /// None.
    Valid,
    /// `[[above, below], [left, right]]`
    Explicit([[u32; 2]; 2]),
}

/// Settings of [`Graph::conv2d`], with upstream's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dOptions {
    /// Rows and columns from one output to the next.
    pub stride: [u32; 2],
    /// Rows and columns from one weight of a kernel to the next; upstream's `rate`.
    pub dilation: [u32; 2],
    /// Zeros at the edges.
    pub padding: Padding,
    /// Groups of channels; as many as channels for a depthwise convolution.
    pub groups: u32,
}

impl Default for Conv2dOptions {
    fn default() -> Self {
        Self { stride: [1, 1], dilation: [1, 1], padding: Padding::Same, groups: 1 }
    }
}

impl Conv2dOptions {
    /// The extents for images and kernels of these.
    pub(super) fn convolution(
        &self,
        op: &str,
        [images, height, width, channels]: [u32; 4],
        [kernel_height, kernel_width, per_group, outputs]: [u32; 4],
    ) -> Result<Convolution> {
        let Self { stride, dilation, groups, .. } = *self;
        let refuse = |message: String| Err(Error::shape(op, message));
        for (name, value) in [("stride", stride), ("dilation", dilation), ("groups", [groups; 2])] {
            if value.contains(&0) {
                return refuse(format!("{name} {value:?} must be 1 or more"));
            }
        }
        if channels != per_group.saturating_mul(groups) || outputs % groups > 0 {
            return refuse(format!(
                "x has {channels} channels and weight {per_group} for each of {groups} groups, for {outputs} outputs"
            ));
        }
        let (size, kernel) = ([height, width], [kernel_height, kernel_width]);
        let (mut pad, mut out) = ([0; 2], [0; 2]);
        for d in 0..2 {
            let reach = u64::from(kernel[d].saturating_sub(1)) * u64::from(dilation[d]) + 1;
            let (length, stride) = (u64::from(size[d]), u64::from(stride[d]));
            let (before, whole) = match self.padding {
                Padding::Valid => (0, length),
                Padding::Explicit(zeros) => {
                    (zeros[d][0], length + zeros[d].iter().map(|&z| u64::from(z)).sum::<u64>())
                }
                Padding::Same => {
                    let needed = (length.div_ceil(stride).max(1) - 1) * stride + reach;
                    let zeros = needed.saturating_sub(length);
                    ((zeros / 2) as u32, length + zeros)
                }
            };
            if reach > whole || kernel[d] == 0 || length == 0 {
                return refuse(format!(
                    "a kernel of {kernel:?} with dilation {dilation:?} does not fit images of {size:?} with padding {:?}",
                    self.padding
                ));
            }
            // At most `whole`, which fits 34 bits; what does not fit 32 is refused by the kernel.
            out[d] = u32::try_from((whole - reach) / stride + 1).unwrap_or(u32::MAX);
            pad[d] = before;
        }
        Ok(Convolution {
            images,
            size,
            channels,
            kernel,
            stride,
            dilation,
            pad,
            out,
            outputs,
            groups,
        })
    }
}

impl Graph {
    /// `activation(x * weight + bias)` for images `x [images, height, width, channels]`, kernels
    /// `weight [height, width, channels / groups, outputs]` and `bias [outputs]`: upstream's
    /// `masked_conv2d`, where `weight` has a mask.
    ///
    /// # Errors
    /// [`Error::Shape`] names the argument whose rank or extents do not fit.
    pub fn conv2d(
        &mut self,
        x: Tensor,
        weight: Tensor,
        bias: Option<Tensor>,
        activation: Activation,
        options: Conv2dOptions,
    ) -> Result<Tensor> {
        let (xs, ws) = (self.shape(x).clone(), self.shape(weight).clone());
        let rank = |name: &str, shape: &Shape| {
            <[u32; 4]>::try_from(shape.dims()).map_err(|_| {
                Error::shape("conv2d", format!("{name} {shape} has rank {}, not 4", shape.rank()))
            })
        };
        let shape = options.convolution("conv2d", rank("x", &xs)?, rank("weight", &ws)?)?;
        let out = Shape::new([shape.images, shape.out[0], shape.out[1], shape.outputs]);
        self.convolve("conv2d", (x, weight, bias), activation, shape, out)
    }

    /// As [`conv2d`](Self::conv2d), along one axis: `x [rows, length, channels]`, `weight [length,
    /// channels / groups, outputs]`; the second of each two options counts.
    ///
    /// # Errors
    /// [`Error::Shape`] names the argument whose rank or extents do not fit.
    pub fn conv1d(
        &mut self,
        x: Tensor,
        weight: Tensor,
        bias: Option<Tensor>,
        activation: Activation,
        options: Conv2dOptions,
    ) -> Result<Tensor> {
        let (xs, ws) = (self.shape(x).clone(), self.shape(weight).clone());
        let rank = |name: &str, shape: &Shape| {
            <[u32; 3]>::try_from(shape.dims()).map_err(|_| {
                Error::shape("conv1d", format!("{name} {shape} has rank {}, not 3", shape.rank()))
            })
        };
        let ([rows, length, channels], [taps, per_group, outputs]) =
            (rank("x", &xs)?, rank("weight", &ws)?);
        let padding = match options.padding {
            Padding::Explicit([_, zeros]) => Padding::Explicit([[0, 0], zeros]),
            other => other,
        };
        let flat = |[_, along]: [u32; 2]| [1, along];
        let options = Conv2dOptions {
            stride: flat(options.stride),
            dilation: flat(options.dilation),
            padding,
            ..options
        };
        let (images, kernels) = ([rows, 1, length, channels], [1, taps, per_group, outputs]);
        let shape = options.convolution("conv1d", images, kernels)?;
        let out = Shape::new([rows, shape.out[1], outputs]);
        self.convolve("conv1d", (x, weight, bias), activation, shape, out)
    }

    /// The images that the convolutions go over with `weight`, forward, and their extents.
    pub fn convolved_with(&self, weight: Tensor) -> Vec<(Tensor, Convolution)> {
        let reads = |n: &Node| match n.op {
            Op::Conv2d(Conv2d { form: Form::NN, shape, .. })
                if n.inputs.get(1) == Some(&weight) =>
            {
                Some((n.inputs[0], shape))
            }
            _ => None,
        };
        self.nodes.iter().filter_map(reads).collect()
    }

    fn convolve(
        &mut self,
        op: &str,
        (x, weight, bias): (Tensor, Tensor, Option<Tensor>),
        activation: Activation,
        shape: Convolution,
        out: Shape,
    ) -> Result<Tensor> {
        if let Some(bias) = bias.map(|b| self.shape(b))
            && bias.dims() != [shape.outputs]
        {
            return Err(Error::shape(op, format!("bias {bias} must be [{}]", shape.outputs)));
        }
        let name = self.layer_of(weight);
        let inputs = [x, weight].into_iter().chain(bias).collect();
        let fused = if activation.slopes_by_input() { Activation::Identity } else { activation };
        let op = Conv2d { form: Form::NN, shape, activation: fused };
        let y = self.push(op, inputs, out, &name);
        Ok(if fused == activation { y } else { self.activate(y, activation) })
    }
}

impl Operation for Conv2d {
    fn facts(&self) -> Facts {
        // The other forms are gradients.
        let recomputed = (self.form == Form::NN).then_some((*self).into());
        Facts { name: "conv2d", home: Home::Own, recomputed }
    }

    fn units(&self, of: &Crossing<'_>) -> Reach {
        // The other forms are gradients; channels of a group go with the group.
        match self.shape {
            Convolution { channels, outputs, groups: 1, .. } if self.form == Form::NN => {
                of.product([channels, outputs], Layout::InOut)
            }
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
        if self.form != Form::NN {
            return Err(backward.lacks(tensor, "has no gradient rule"));
        }
        let op = |form| Self { form, activation: Activation::Identity, ..*self };
        backward.product(tensor, gradient, (self.form, self.activation), op)
    }

    fn multiplies(&self, node: &Node, place: usize, rows: u32) -> u64 {
        if self.form == Form::NN { multiplies(node, place, rows) } else { 0 }
    }

    fn packs(
        &self,
        _: &Graph,
        node: &Node,
        place: usize,
    ) -> std::result::Result<PackedUse, String> {
        let (operation, shape) = (self.facts().name, &self.shape);
        if self.form != Form::NN || place != 1 {
            return Err(format!("{operation} reads all of it"));
        }
        if shape.groups != 1 {
            return Err(format!("its channels are in {} groups", shape.groups));
        }
        let (rows, inputs) = (Patches::rows(shape), Patches::columns(shape));
        let (Ok(rows), Ok(inputs)) = (u32::try_from(rows), u32::try_from(inputs)) else {
            return Err(format!("{} has 2^32 pixels or more", node.name));
        };
        Ok(PackedUse { patches: !shape.is_product(), ..PackedUse::new(operation, rows, inputs) })
    }
}
