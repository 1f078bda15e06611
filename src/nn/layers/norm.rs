//! `batch_norm`, `layer_norm`, `rms_norm`, `local_response_norm`, `softmax`.
use serde::{Deserialize, Serialize};

use super::{Build, Builder};
use crate::Result;
use crate::graph::{Init, Tensor};
use crate::settings::steps;

pub(super) const EPSILON: f32 = 1e-5;

fn epsilon() -> f32 {
    EPSILON
}

fn batch_epsilon() -> f32 {
    1e-3
}

fn decay() -> f32 {
    0.99
}

steps! {
    /// Batch normalisation of each channel (Ioffe and Szegedy 2015). Named `norm1`, ...; parameters
    /// `scale`, `shift`, and `running [2, channels]`, means and variances, which evaluation is by.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(deny_unknown_fields)]
    pub struct BatchNorm {
        /// Name in files.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        /// Added to the variance.
        #[serde(default = "batch_epsilon")]
        pub epsilon: f32,
        /// Share of the running moments that stays at a step.
        #[serde(default = "decay")]
        pub decay: f32,
    }
}

impl Default for BatchNorm {
    fn default() -> Self {
        Self { name: None, epsilon: batch_epsilon(), decay: decay() }
    }
}

impl Build for BatchNorm {
    fn build(&self, builder: &mut Builder, x: Tensor) -> Result<Tensor> {
        let name = builder.name(self.name.as_deref(), "norm");
        let moments = [2, builder.width(x)];
        // Means 0 and variances 1 until a batch has been seen.
        let running = builder.graph.statistic(format!("{name}.running"), moments, Init::Moments)?;
        let x = builder.graph.batch_normalise(x, running, self.epsilon, self.decay)?;
        let x = scale(builder, x, &name)?;
        shift(builder, x, &name)
    }
}

steps! {
    /// Layer normalisation of each row or position (Ba et al. 2016). Named `norm1`, ...; parameters
    /// `scale` and `shift`.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(deny_unknown_fields)]
    pub struct LayerNorm {
        /// Name in files.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        /// Added to the variance.
        #[serde(default = "epsilon")]
        pub epsilon: f32,
    }
}

impl Default for LayerNorm {
    fn default() -> Self {
        Self { name: None, epsilon: EPSILON }
    }
}

impl Build for LayerNorm {
    fn build(&self, builder: &mut Builder, x: Tensor) -> Result<Tensor> {
        let name = builder.name(self.name.as_deref(), "norm");
        by_rows(builder, x, &name, self.epsilon, true)
    }
}

steps! {
    /// RMS normalisation of each row or position (Zhang and Sennrich 2019). Named `norm1`, ...;
    /// parameter `scale`.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(deny_unknown_fields)]
    pub struct RmsNorm {
        /// Name in files.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        /// Added to the mean square.
        #[serde(default = "epsilon")]
        pub epsilon: f32,
    }
}

impl Default for RmsNorm {
    fn default() -> Self {
        Self { name: None, epsilon: EPSILON }
    }
}

impl Build for RmsNorm {
    fn build(&self, builder: &mut Builder, x: Tensor) -> Result<Tensor> {
        let name = builder.name(self.name.as_deref(), "norm");
        by_rows(builder, x, &name, self.epsilon, false)
    }
}

/// Layer norm, or without centring RMS norm.
pub(super) fn by_rows(
    builder: &mut Builder,
    x: Tensor,
    name: &str,
    epsilon: f32,
    centred: bool,
) -> Result<Tensor> {
    let x = builder.graph.normalise(x, epsilon, centred)?;
    let x = scale(builder, x, name)?;
    if centred { shift(builder, x, name) } else { Ok(x) }
}

fn scale(builder: &mut Builder, x: Tensor, name: &str) -> Result<Tensor> {
    let shape = [builder.width(x)];
    let scale =
        builder.graph.parameter_with(format!("{name}.scale"), shape, Init::Constant(1.0))?;
    builder.graph.mul(x, scale)
}

fn shift(builder: &mut Builder, x: Tensor, name: &str) -> Result<Tensor> {
    let shape = [builder.width(x)];
    let shift = builder.graph.parameter(format!("{name}.shift"), shape)?;
    builder.graph.add(x, shift)
}

/// Local response normalisation across channels (Krizhevsky et al. 2012):
/// `x / (bias + alpha * sum of x^2 over the channels at most radius away)^beta`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LocalResponseNorm {
    /// Channels on each side.
    pub radius: u32,
    /// Bias.
    pub bias: f32,
    /// Alpha.
    pub alpha: f32,
    /// Beta.
    pub beta: f32,
}

impl Build for LocalResponseNorm {
    fn build(&self, builder: &mut Builder, x: Tensor) -> Result<Tensor> {
        let &Self { radius, bias, alpha, beta } = self;
        builder.graph.local_response_norm(x, radius, [bias, alpha, beta])
    }
}

/// Softmax over the last axis. The loss has its own: no layer of it belongs at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Softmax {}

impl Build for Softmax {
    fn build(&self, builder: &mut Builder, x: Tensor) -> Result<Tensor> {
        builder.graph.softmax(x)
    }
}
