//! `gated`.
use serde::{Deserialize, Serialize};

use super::unit::{Unit, glorot, yes};
use super::{Build, Builder};
use crate::Result;
use crate::graph::{Init, Tensor};
use crate::kernels::Activation;
use crate::settings::steps;

steps! {
    /// `activation(x gate) * (x up)` over the last axis (Shazeer 2020): the first half of a gated
    /// feed-forward layer, whose other is a [`Linear`](super::Linear). Named `gated1`, ...; layers
    /// `gate [inputs, outputs]` and `up [inputs, outputs]`.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(deny_unknown_fields)]
    pub struct Gated {
        /// Name in files.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        /// Output units.
        pub outputs: u32,
        /// Applied to the gate.
        #[serde(default = "silu")]
        pub activation: Activation,
        /// Whether both have biases.
        #[serde(default)]
        pub bias: bool,
        /// First values of the weights.
        #[serde(default = "glorot")]
        pub init: Init,
        /// Whether a pruning may mask the weights.
        #[serde(default = "yes")]
        pub masked: bool,
    }
}

fn silu() -> Activation {
    Activation::Silu
}

impl Gated {
    /// With SiLU at the gate, and without biases.
    pub fn new(outputs: u32) -> Self {
        let (activation, init) = (silu(), glorot());
        Self { name: None, outputs, activation, bias: false, init, masked: true }
    }
}

impl Build for Gated {
    fn build(&self, builder: &mut Builder, x: Tensor) -> Result<Tensor> {
        let &Self { outputs, bias, init, masked, .. } = self;
        let name = builder.name(self.name.as_deref(), "gated");
        let shape = [builder.width(x), outputs];
        let mut half = |part: &str, activation| {
            let (name, bias_init, weight_decay) = (&format!("{name}.{part}"), 0.0, 0.0);
            let normalizer = None;
            let unit =
                Unit { name, init, masked, bias, bias_init, weight_decay, normalizer, activation };
            unit.build(builder, &shape, |builder, weight, bias, activation| {
                builder.graph.linear(x, weight, bias, activation)
            })
        };
        let gate = half("gate", self.activation)?;
        let up = half("up", Activation::Identity)?;
        builder.graph.mul(gate, up)
    }
}
