//! `linear`: upstream's `masked_fully_connected`.
use serde::{Deserialize, Serialize};

use super::unit::{Normalizer, Unit, glorot, relu, yes};
use super::{Build, Builder};
use crate::Result;
use crate::graph::{Init, Tensor};
use crate::kernels::Activation;
use crate::settings::steps;

steps! {
    /// `activation(x weight + bias)` over the last axis, whatever the rank: upstream's
    /// `masked_fully_connected` with its defaults. Named `fc1`, `fc2`, ...; parameters `weight
    /// [inputs, outputs]` and `bias [outputs]`.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(deny_unknown_fields)]
    pub struct Linear {
        /// Name in files.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        /// Output units; as many as the data has classes, labels or values where left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub outputs: Option<u32>,
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

impl Default for Linear {
    fn default() -> Self {
        Self {
            name: None,
            outputs: None,
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

impl Linear {
    /// With ReLU behind it.
    pub fn new(outputs: u32) -> Self {
        Self { outputs: Some(outputs), ..Self::default() }
    }

    /// The logits of all classes or labels, or the values of a regression.
    pub fn logits() -> Self {
        Self { activation: Activation::Identity, ..Self::default() }
    }
}

impl Build for Linear {
    fn build(&self, builder: &mut Builder, x: Tensor) -> Result<Tensor> {
        let &Self { normalizer, init, bias, bias_init, weight_decay, masked, activation, .. } =
            self;
        let name = &builder.name(self.name.as_deref(), "fc");
        let shape = [builder.width(x), self.outputs.unwrap_or(builder.answers)];
        let unit =
            Unit { name, init, masked, bias, bias_init, weight_decay, normalizer, activation };
        unit.build(builder, &shape, |builder, weight, bias, activation| {
            builder.graph.linear(x, weight, bias, activation)
        })
    }
}
