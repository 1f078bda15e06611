//! `gru`: upstream's `GRUCell`, with masks.
use serde::{Deserialize, Serialize};

use super::unit::{glorot, yes};
use super::{Build, Builder};
use crate::graph::{GruWeights, Init, Tensor};
use crate::settings::steps;
use crate::{Error, Result};

steps! {
    /// A GRU over sequences `[batch, length, channels]`: `[batch, length, units]`. Named `gru1`,
    /// ...; layers `gates [channels + units, 2 * units]` and `candidate [channels + units, units]`,
    /// each with a bias. Its state goes on from batch to batch where the rows do.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(deny_unknown_fields)]
    pub struct Gru {
        /// Name in files.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        /// Units.
        pub units: u32,
        /// First values of the kernels.
        #[serde(default = "glorot")]
        pub init: Init,
        /// Whether a pruning may mask the kernels.
        #[serde(default = "yes")]
        pub masked: bool,
    }
}

impl Gru {
    /// With the defaults.
    pub fn new(units: u32) -> Self {
        Self { name: None, units, init: glorot(), masked: true }
    }
}

impl Build for Gru {
    fn build(&self, builder: &mut Builder, x: Tensor) -> Result<Tensor> {
        let units = self.units;
        let name = builder.name(self.name.as_deref(), "gru");
        let both = units.checked_mul(2).ok_or_else(|| {
            Error::argument("units", format!("{units} must be at most {}", u32::MAX / 2))
        })?;
        let rows = builder.width(x).saturating_add(units);
        let mut layer = |part: &str, columns, bias| {
            let name = format!("{name}.{part}");
            let weight = builder.weight(&name, [rows, columns], self.init, self.masked)?;
            let name = format!("{name}.bias");
            let bias = builder.graph.parameter_with(name, [columns], Init::Constant(bias))?;
            Ok::<_, Error>((weight, bias))
        };
        // Upstream's first values: gates begin half open towards what they have.
        let (gates, gates_bias) = layer("gates", both, 1.0)?;
        let (candidate, candidate_bias) = layer("candidate", units, 0.0)?;
        let state = builder.graph.carried(format!("{name}.h"), [builder.batch, units])?;
        let weights = GruWeights { gates, gates_bias, candidate, candidate_bias, state };
        builder.graph.gru(x, weights)
    }
}
