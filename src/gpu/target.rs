//! What a plan is for.
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// In what products are computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// All in 32 bits.
    #[default]
    F32,
    /// Dense products read copies in 16 bits and add up in 32; weights, activations, gradients and everything else are
    /// kept in 32. Each copy is scaled on the device by its own largest magnitude, so there is no loss scale to choose and no
    /// step that overflows.
    Mixed,
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "f32" => Ok(Self::F32),
            "mixed" => Ok(Self::Mixed),
            _ => Err(format!("`{text}` is not a precision; use f32 or mixed")),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::F32 { "f32" } else { "mixed" })
    }
}

/// What a plan may count on. Decided before the plan, so that a plan needs no device; the default runs on any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Target {
    /// Shaders run on the processor: loads cost more than arithmetic there, and barriers more than either.
    pub software: bool,
    /// Invocations of a subgroup, where every one has as many and shaders may broadcast within it.
    pub subgroup: Option<u32>,
    /// In what products are computed.
    pub precision: Precision,
    /// Rows, columns and terms of the cooperative matrices that take halves and add up in f32, where there are any.
    pub cooperative: Option<u32>,
    /// What a tuner chose; whatever it is, the results are the same.
    pub products: Products,
}

/// The fastest variant of the products for each form (NN, NT, TN) and class of size, by the number that
/// `kernels::tune` gives it; `None` where nothing was measured.
pub type Products = [[Option<u8>; 3]; 3];
