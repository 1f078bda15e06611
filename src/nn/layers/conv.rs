//! `conv`: upstream's `masked_conv2d`, and the same along one axis.
use serde::{Deserialize, Serialize};

use super::unit::{Normalizer, Unit, glorot, relu, yes};
use super::{Build, Builder};
use crate::graph::{Conv2dOptions, Init, Padding, Tensor};
use crate::kernels::Activation;
use crate::settings::steps;
use crate::{Error, Result};

steps! {
    /// `activation(x * weight + bias)` for images `[batch, height, width, channels]` or sequences
    /// `[batch, length, channels]`: upstream's `masked_conv2d` with its defaults. Named `conv1`,
    /// `conv2`, ...; parameters `weight [height, width, channels / groups, outputs]`, or `[length,
    /// channels / groups, outputs]`, and `bias [outputs]`.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(deny_unknown_fields)]
    pub struct Conv {
        /// Name in files.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        /// Output channels.
        pub outputs: u32,
        /// Height and width of a kernel; of sequences the second counts.
        pub kernel: [u32; 2],
        /// From one output to the next.
        #[serde(default = "one")]
        pub stride: [u32; 2],
        /// From one weight to the next; upstream's `rate`.
        #[serde(default = "one")]
        pub dilation: [u32; 2],
        /// Zeros at the edges.
        #[serde(default)]
        pub padding: Padding,
        /// Groups of channels; as many as channels for a depthwise convolution.
        #[serde(default = "one_group")]
        pub groups: u32,
        /// Applied last.
        #[serde(default = "relu")]
        pub activation: Activation,
        /// In place of a bias.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub normalizer: Option<Normalizer>,
        /// First values of the weights.
        #[serde(default = "glorot")]
        pub init: Init,
        /// Whether there is a bias.
        #[serde(default = "yes")]
        pub bias: bool,
        /// First value of the biases.
        #[serde(default)]
        pub bias_init: f32,
        /// Decay of the weights, masked or not: upstream's `weights_regularizer`.
        #[serde(default)]
        pub weight_decay: f32,
        /// Whether a pruning may mask the weights.
        #[serde(default = "yes")]
        pub masked: bool,
    }
}

fn one() -> [u32; 2] {
    [1, 1]
}

fn one_group() -> u32 {
    1
}

impl Conv {
    /// Square kernels, with upstream's defaults: stride 1, padding `same`, ReLU.
    pub fn new(outputs: u32, kernel: u32) -> Self {
        Self {
            name: None,
            outputs,
            kernel: [kernel; 2],
            stride: one(),
            dilation: one(),
            padding: Padding::Same,
            groups: one_group(),
            activation: relu(),
            normalizer: None,
            init: glorot(),
            bias: true,
            bias_init: 0.0,
            weight_decay: 0.0,
            masked: true,
        }
    }
}

impl Build for Conv {
    fn build(&self, builder: &mut Builder, x: Tensor) -> Result<Tensor> {
        let &Self { normalizer, init, bias, bias_init, weight_decay, masked, activation, .. } =
            self;
        let &Self { outputs, kernel: [height, width], stride, dilation, padding, groups, .. } =
            self;
        let name = &builder.name(self.name.as_deref(), "conv");
        let options = Conv2dOptions { stride, dilation, padding, groups };
        let per_group = builder.width(x) / groups.max(1);
        let unit =
            Unit { name, init, masked, bias, bias_init, weight_decay, normalizer, activation };
        match builder.dims(x).len() {
            4 => {
                let shape = [height, width, per_group, outputs];
                unit.build(builder, &shape, |builder, weight, bias, activation| {
                    builder.graph.conv2d(x, weight, bias, activation, options)
                })
            }
            3 => unit.build(builder, &[width, per_group, outputs], |builder, weight, bias, act| {
                builder.graph.conv1d(x, weight, bias, act, options)
            }),
            rank => {
                let x = builder.graph.shape(x);
                Err(Error::shape(
                    name,
                    format!("x {x} has rank {rank}; images have 4, sequences 3"),
                ))
            }
        }
    }
}
