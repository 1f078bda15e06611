//! `dropout`.
use serde::{Deserialize, Serialize};

use super::{Build, Builder};
use crate::Result;
use crate::graph::Tensor;

/// In training, elements left out at random (Srivastava et al. 2014).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// Chance of each to be left out.
    pub rate: f32,
}

impl Build for Dropout {
    fn build(&self, builder: &mut Builder, x: Tensor) -> Result<Tensor> {
        builder.graph.dropout(x, self.rate)
    }
}
