//! `flatten`.
use serde::{Deserialize, Serialize};

use super::{Build, Builder};
use crate::Result;
use crate::graph::Tensor;

/// All axes but the first as one: `[batch, ...]` becomes `[batch, features]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Flatten {}

impl Build for Flatten {
    fn build(&self, builder: &mut Builder, x: Tensor) -> Result<Tensor> {
        let dims = builder.dims(x);
        if dims.len() == 2 {
            return Ok(x);
        }
        let features = dims[1..].iter().fold(1, |n: u32, &d| n.saturating_mul(d));
        builder.graph.reshape(x, [dims[0], features])
    }
}
