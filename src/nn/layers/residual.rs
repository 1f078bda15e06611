//! `residual`.
use serde::{Deserialize, Serialize};

use super::{Build, Builder, Layer};
use crate::Result;
use crate::graph::Tensor;

/// `x + layers(x)` (He et al. 2016).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residual {
    /// The layers, whose last has the shape of `x`.
    pub layers: Vec<Layer>,
}

impl Build for Residual {
    fn build(&self, builder: &mut Builder, x: Tensor) -> Result<Tensor> {
        let y = self.layers.iter().try_fold(x, |y, layer| layer.build(builder, y))?;
        builder.graph.add(x, y)
    }
}
