//! `attention`.
use serde::{Deserialize, Serialize};

use super::unit::{Unit, glorot, yes};
use super::{Build, Builder};
use crate::graph::{AttentionOptions, Init, RotaryOptions, Tensor};
use crate::kernels::Activation;
use crate::settings::steps;
use crate::{Error, Result};

steps! {
    /// Multi-head attention (Vaswani et al. 2017) among the positions of `x [batch, length,
    /// channels]`, with its projections. Named `attention1`, ...; layers `qkv [channels, (heads + 2
    /// * kv_heads) * head_size]`, queries, keys and values side by side, and `out [heads *
    /// head_size, channels]`.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(deny_unknown_fields)]
    pub struct Attention {
        /// Name in files.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        /// Heads of the queries.
        pub heads: u32,
        /// Heads of keys and values, each of which several of the queries share; as many as there
        /// are of queries where left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub kv_heads: Option<u32>,
        /// Channels of a head; `channels / heads` where left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub head_size: Option<u32>,
        /// Whether a position sees only itself and those before it.
        #[serde(default = "yes")]
        pub causal: bool,
        /// A position sees those that are fewer than this many places away.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub window: Option<u32>,
        /// Whether queries and keys are turned by their positions (Su et al. 2021).
        #[serde(default)]
        pub rotary: bool,
        /// Base of the frequencies that they are turned by.
        #[serde(default = "rotary_base")]
        pub rotary_base: f32,
        /// Whether the projections have biases.
        #[serde(default = "yes")]
        pub bias: bool,
        /// First values of the weights.
        #[serde(default = "glorot")]
        pub init: Init,
        /// Whether a pruning may mask the weights.
        #[serde(default = "yes")]
        pub masked: bool,
    }
}

fn rotary_base() -> f32 {
    10_000.0
}

impl Attention {
    /// With the defaults: a position sees only itself and those before it.
    pub fn new(heads: u32) -> Self {
        Self {
            name: None,
            heads,
            kv_heads: None,
            head_size: None,
            causal: true,
            window: None,
            rotary: false,
            rotary_base: rotary_base(),
            bias: true,
            init: glorot(),
            masked: true,
        }
    }

    /// Channels of a head, of so many in all.
    fn size(&self, channels: u32) -> Result<u32> {
        let heads = self.heads;
        match self.head_size {
            Some(0) => Err(Error::argument("head_size", "0: a head has 1 channel or more")),
            Some(size) => Ok(size),
            None if heads > 0 && channels.is_multiple_of(heads) => Ok(channels / heads),
            None => Err(Error::shape(
                "attention",
                format!(
                    "{channels} channels are no multiple of {heads} heads; change either, or set \
                     head_size"
                ),
            )),
        }
    }

    /// Turns the heads of queries and keys, of `size` channels each, in `x [batch, length, (heads +
    /// 2 * kv_heads) * size]`.
    fn turned(&self, builder: &mut Builder, x: Tensor, size: u32, turning: u32) -> Result<Tensor> {
        if !size.is_multiple_of(2) {
            let message =
                format!("heads of {size} channels have no pairs to turn; use an even number");
            return Err(Error::argument("rotary", message));
        }
        let length = builder.dims(x).iter().rev().nth(1).copied().unwrap_or(1);
        let table = builder.rotary_table(self.rotary_base, size / 2, length)?;
        builder.graph.rotary(x, table, RotaryOptions::new(size).heads(Some(turning)))
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
            bias: self.bias,
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
        let (channels, heads) = (builder.width(x), self.heads);
        let (size, kv_heads) = (self.size(channels)?, self.kv_heads.unwrap_or(heads));
        let all = kv_heads.saturating_mul(2).saturating_add(heads).saturating_mul(size);
        let mut x = self.project(builder, x, &format!("{name}.qkv"), all)?;
        if self.rotary {
            x = self.turned(builder, x, size, heads.saturating_add(kv_heads))?;
        }
        let options = AttentionOptions::new(heads).kv_heads(Some(kv_heads));
        let options = options.causal(self.causal).window(self.window);
        let x = builder.graph.attend(&[x], &options)?;
        self.project(builder, x, &format!("{name}.out"), channels)
    }
}
