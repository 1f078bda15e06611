//! Activations, and their slopes as functions of the output: `shaders/common/activation.wgsl`.
use serde::{Deserialize, Serialize};

/// An element-wise non-linearity whose slope its own output determines, so that nothing but the
/// output is kept for the backward pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// `x`
    #[default]
    Identity,
    /// `max(x, 0)`; its slope at 0 is 0.
    Relu,
    /// Hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// The number that the WGSL knows it by.
    pub fn code(self) -> f64 {
        match self {
            Self::Identity => 0.0,
            Self::Relu => 1.0,
            Self::Tanh => 2.0,
        }
    }

    /// Host reference.
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Self::Identity => x,
            Self::Relu => x.max(0.0),
            Self::Tanh => x.tanh(),
        }
    }

    /// Host reference of the slope where the output is `y`.
    pub fn slope(self, y: f64) -> f64 {
        match self {
            Self::Identity => 1.0,
            Self::Relu => f64::from(u8::from(y > 0.0)),
            Self::Tanh => 1.0 - y * y,
        }
    }
}
