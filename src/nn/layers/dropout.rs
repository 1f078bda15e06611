//! `dropout`.
use serde::{Deserialize, Serialize};

use super::{Build, Builder};
use crate::Result;
use crate::graph::Tensor;
use crate::settings::steps;

steps! {
    const
    /// In training, elements left out at random (Srivastava et al. 2014).
    #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(deny_unknown_fields)]
    pub struct Dropout {
        /// Chance of each to be left out.
        pub rate: f32,
    }
}

impl Dropout {
    /// Each element is left out with this probability.
    pub const fn new(rate: f32) -> Self {
        Self { rate }
    }
}

impl Build for Dropout {
    fn build(&self, builder: &mut Builder, x: Tensor) -> Result<Tensor> {
        builder.graph.dropout(x, self.rate)
    }
}
