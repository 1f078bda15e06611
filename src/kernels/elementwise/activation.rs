//! Activations and their slopes: `shaders/common/activation.wgsl`.
use serde::{Deserialize, Serialize};

/// An element-wise non-linearity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x`
    #[default]
    Identity,
    /// `max(x, 0)`; its slope at 0 is 0.
    Relu,
    /// Hyperbolic tangent.
    Tanh,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `x` times the share of a normal distribution below `x`, `x / 2 (1 + erf(x / sqrt(2)))`
    /// (Hendrycks and Gimpel 2016). On the device that share is off by less than 3e-7.
    Gelu,
    /// `x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`, GPT-2's form of it.
    GeluTanh,
    /// `x sigmoid(x)`, also called swish.
    Silu,
}

impl Activation {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Identity,
        Self::Relu,
        Self::Tanh,
        Self::Sigmoid,
        Self::Gelu,
        Self::GeluTanh,
        Self::Silu,
    ];

    /// The number that the WGSL knows it by.
    pub fn code(self) -> f64 {
        self as u8 as f64
    }

    /// Whether its slope is a function of its input; of the others the output determines it, so
    /// that nothing but the output is kept for the backward pass, and a product can apply them.
    pub fn slopes_by_input(self) -> bool {
        matches!(self, Self::Gelu | Self::GeluTanh | Self::Silu)
    }

    /// Host reference.
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Self::Identity => x,
            Self::Relu => x.max(0.0),
            Self::Tanh => x.tanh(),
            Self::Sigmoid => sigmoid(x),
            Self::Gelu => x * share_below(x),
            Self::GeluTanh => 0.5 * x * (1.0 + gelu_inner(x).tanh()),
            Self::Silu => x * sigmoid(x),
        }
    }

    /// Host reference of the slope, where the output, or [the input](Self::slopes_by_input), is
    /// `at`.
    pub fn slope(self, at: f64) -> f64 {
        match self {
            Self::Identity => 1.0,
            Self::Relu => f64::from(u8::from(at > 0.0)),
            Self::Tanh => 1.0 - at * at,
            Self::Sigmoid => at * (1.0 - at),
            Self::Gelu => {
                let density = (-0.5 * at * at).exp() / (2.0 * std::f64::consts::PI).sqrt();
                share_below(at) + at * density
            }
            Self::GeluTanh => {
                let t = gelu_inner(at).tanh();
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (1.0 + 3.0 * 0.044715 * at * at);
                0.5 * (1.0 + t) + 0.5 * at * (1.0 - t * t) * inner
            }
            Self::Silu => sigmoid(at) * (1.0 + at * (1.0 - sigmoid(at))),
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The share of a normal distribution below `x`.
fn share_below(x: f64) -> f64 {
    0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

fn gelu_inner(x: f64) -> f64 {
    (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)
}
