//! `residual`.
use serde::{Deserialize, Serialize};

use super::{Build, Builder, Layer};
use crate::Result;
use crate::graph::Tensor;
use crate::settings::steps;

steps! {
    /// `x + layers(x)` (He et al. 2016).
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(deny_unknown_fields)]
    pub struct Residual {
        /// The layers, whose last has the shape of `x`.
        pub layers: Vec<Layer>,
    }
}

impl Residual {
    /// What these layers make of it is added to what goes in.
    pub fn new(layers: Vec<Layer>) -> Self {
        Self { layers }
    }
}

impl Build for Residual {
    fn build(&self, builder: &mut Builder, x: Tensor) -> Result<Tensor> {
        let y = self.layers.iter().try_fold(x, |y, layer| layer.build(builder, y))?;
        builder.graph.add(x, y)
    }
}
