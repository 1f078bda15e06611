//! `attention`.
use serde::{Deserialize, Serialize};

use super::unit::{Unit, glorot, yes};
use super::{Build, Builder};
use crate::Result;
use crate::graph::{Init, Tensor};
use crate::kernels::Activation;
use crate::settings::steps;

steps! {
    /// Multi-head attention (Vaswani et al. 2017) among the positions of `x [batch, length,
    /// channels]`, with its projections. Named `attention1`, ...; layers `qkv [channels, 3 *
    /// channels]` and `out [channels, channels]`.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Attention {
        /// Name in files.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        /// Heads, each of `channels / heads` channels.
        pub heads: u32,
        /// Whether a position sees only itself and those before it.
        #[serde(default = "yes")]
        pub causal: bool,
        /// First values of the weights.
        #[serde(default = "glorot")]
        pub init: Init,
        /// Whether a pruning may mask the weights.
        #[serde(default = "yes")]
        pub masked: bool,
    }
}

impl Attention {
    /// With the defaults: a position sees only itself and those before it.
    pub fn new(heads: u32) -> Self {
        Self { name: None, heads, causal: true, init: glorot(), masked: true }
    }

    fn project(
        &self,
        builder: &mut Builder,
        x: Tensor,
        name: &str,
        outputs: u32,
    ) -> Result<Tensor> {
        let unit = Unit {
            name,
            init: self.init,
            masked: self.masked,
            bias: true,
            bias_init: 0.0,
            weight_decay: 0.0,
            normalizer: None,
            activation: Activation::Identity,
        };
        let shape = [builder.width(x), outputs];
        unit.build(builder, &shape, |builder, weight, bias, activation| {
            builder.graph.linear(x, weight, bias, activation)
        })
    }
}

impl Build for Attention {
    fn build(&self, builder: &mut Builder, x: Tensor) -> Result<Tensor> {
        let name = builder.name(self.name.as_deref(), "attention");
        let channels = builder.width(x);
        let x = self.project(builder, x, &format!("{name}.qkv"), channels.saturating_mul(3))?;
        let x = builder.graph.attention(x, self.heads, self.causal)?;
        self.project(builder, x, &format!("{name}.out"), channels)
    }
}
