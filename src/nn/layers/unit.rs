//! What fully connected layers and convolutions share: weights, bias, normalizer, activation.
use serde::{Deserialize, Serialize};

use super::norm::{self, EPSILON};
use super::{BatchNorm, Build, Builder};
use crate::Result;
use crate::graph::{Init, Tensor};
use crate::kernels::Activation;

/// What stands between a product and its activation, instead of a bias: upstream's `normalizer_fn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Normalizer {
    /// [`BatchNorm`] with its defaults.
    BatchNorm,
    /// [`LayerNorm`](super::LayerNorm) with its defaults.
    LayerNorm,
    /// [`RmsNorm`](super::RmsNorm) with its defaults.
    RmsNorm,
}

pub(super) fn glorot() -> Init {
    Init::Glorot
}

pub(super) fn yes() -> bool {
    true
}

pub(super) fn relu() -> Activation {
    Activation::Relu
}

/// The settings of a layer with weights, by reference.
pub(super) struct Unit<'a> {
    pub(super) name: &'a str,
    pub(super) init: Init,
    pub(super) masked: bool,
    pub(super) bias: bool,
    pub(super) bias_init: f32,
    pub(super) weight_decay: f32,
    pub(super) normalizer: Option<Normalizer>,
    pub(super) activation: Activation,
}

impl Unit<'_> {
    /// Declares a weight whose last axis are the `outputs`, and hands it to `product` with the bias
    /// and the activation that the product is to apply; what it does not apply follows.
    pub(super) fn build(
        &self,
        builder: &mut Builder,
        shape: &[u32],
        product: impl FnOnce(&mut Builder, Tensor, Option<Tensor>, Activation) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let name = self.name;
        let weight =
            builder.weight(name, crate::graph::Shape::new(shape), self.init, self.masked)?;
        if self.weight_decay != 0.0 {
            builder.graph.weight_decay(weight, self.weight_decay)?;
        }
        let Some(normalizer) = self.normalizer else {
            let outputs = shape.last().copied().unwrap_or(1);
            let bias = match self.bias {
                true => Some(builder.graph.parameter_with(
                    format!("{name}.bias"),
                    [outputs],
                    Init::Constant(self.bias_init),
                )?),
                false => None,
            };
            return product(builder, weight, bias, self.activation);
        };
        let x = product(builder, weight, None, Activation::Identity)?;
        let name = format!("{name}.norm");
        let x = match normalizer {
            Normalizer::BatchNorm => {
                BatchNorm { name: Some(name), ..BatchNorm::default() }.build(builder, x)?
            }
            Normalizer::LayerNorm => norm::by_rows(builder, x, &name, EPSILON, true)?,
            Normalizer::RmsNorm => norm::by_rows(builder, x, &name, EPSILON, false)?,
        };
        Ok(match self.activation {
            Activation::Identity => x,
            activation => builder.graph.activate(x, activation),
        })
    }
}
