//! What a graph is made of.
use serde::{Deserialize, Serialize};

use super::{Op, Shape, Tensor};
use crate::kernels::{Layout, Units};

/// An operation, what it reads and what it makes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Node {
    /// The operation.
    pub op: Op,
    /// What it reads, in the order that the operation documents.
    pub inputs: Vec<Tensor>,
    /// Shape of its output.
    pub shape: Shape,
    /// Name of its output, for plans and errors.
    pub name: String,
}

/// How a parameter begins: a function of the run's seed, the parameter's place and the index.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// Uniform in `+-sqrt(6 / (inputs + outputs))` (Glorot and Bengio 2010); a kernel of a
    /// convolution has as many inputs and outputs as a pixel of it meets.
    Glorot,
    /// Uniform in `+-sqrt(6 / inputs)` (He et al. 2015).
    He,
    /// All the same.
    Constant(f32),
    /// Means 0 and variances 1, for `[2, channels]` running statistics.
    Moments,
    /// Normal with this standard deviation around 0.
    Normal(f32),
    /// Normal with this standard deviation around 0, drawn again where it is more than two of them
    /// away.
    TruncatedNormal(f32),
}

/// A tensor that outlives a step.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Parameter {
    /// Dotted and unique: `fc1.weight`.
    pub name: String,
    /// Extents.
    pub shape: Shape,
    /// Its node.
    pub tensor: Tensor,
    /// Which axis its output units are.
    pub layout: Layout,
    /// Whether it has a mask.
    pub masked: bool,
    /// Whether an optimizer moves it; running statistics are not.
    pub trainable: bool,
    /// Whether it stays what it was given: no optimizer moves it, and no checkpoint has it.
    pub frozen: bool,
    /// Its first values.
    pub init: Init,
    /// Whether it is a state that goes on from batch to batch, no part of the model.
    pub carried: bool,
    /// Weight decay of its own, added to its gradient as `decay * weight`.
    pub decay: f32,
}

impl Parameter {
    /// It as a matrix by its output units.
    pub fn units(&self) -> Units {
        units(&self.shape, self.layout)
    }
}

/// A tensor as a matrix by its output units: one of its ends, as `layout` says.
pub(super) fn units(shape: &Shape, layout: Layout) -> Units {
    let of = match layout {
        Layout::InOut => shape.dims().last(),
        Layout::OutIn => shape.dims().first(),
    };
    let units = of.copied().unwrap_or(1).max(1);
    // Parameters of 2^32 elements are refused where they are declared.
    let inputs = shape.elements().unwrap_or(u32::MAX) / units;
    Units { inputs, units, layout }
}
