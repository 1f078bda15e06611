//! `activate`.
use serde::{Deserialize, Serialize};

use super::{Build, Builder};
use crate::Result;
use crate::graph::Tensor;
use crate::kernels::Activation;

/// An activation on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Activate {
    /// Which.
    pub activation: Activation,
}

impl Build for Activate {
    fn build(&self, builder: &mut Builder, x: Tensor) -> Result<Tensor> {
        Ok(builder.graph.activate(x, self.activation))
    }
}
