//! `lstm`: upstream's `MaskedBasicLSTMCell` and `MaskedLSTMCell`.
use serde::{Deserialize, Serialize};

use super::unit::{glorot, yes};
use super::{Build, Builder};
use crate::graph::{Init, LstmOptions, LstmWeights, Tensor};
use crate::settings::steps;
use crate::{Error, Result};

steps! {
    /// An LSTM over sequences `[batch, length, channels]`: `[batch, length, outputs]`. Named
    /// `lstm1`, ...; parameters `weight [channels + outputs, 4 * units]` with one mask, `bias`,
    /// perhaps `peepholes [3, units]` and `projection [units, outputs]`, which upstream never
    /// masks, and nor does this. Its state goes on from batch to batch where the rows do.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(deny_unknown_fields)]
    pub struct Lstm {
        /// Name in files.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        /// Units.
        pub units: u32,
        /// Whether the gates see the cells.
        #[serde(default)]
        pub peepholes: bool,
        /// Outputs of a projection, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub projection: Option<u32>,
        /// Added to the sum of the forget gate.
        #[serde(default = "forget_bias")]
        pub forget_bias: f32,
        /// Highest magnitude of a cell.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub cell_clip: Option<f32>,
        /// Highest magnitude of a projected output.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub projection_clip: Option<f32>,
        /// First values of the kernel.
        #[serde(default = "glorot")]
        pub init: Init,
        /// Whether a pruning may mask the kernel.
        #[serde(default = "yes")]
        pub masked: bool,
    }
}

fn forget_bias() -> f32 {
    1.0
}

impl Lstm {
    /// `MaskedBasicLSTMCell`.
    pub fn new(units: u32) -> Self {
        Self {
            name: None,
            units,
            peepholes: false,
            projection: None,
            forget_bias: forget_bias(),
            cell_clip: None,
            projection_clip: None,
            init: glorot(),
            masked: true,
        }
    }
}

impl Build for Lstm {
    fn build(&self, builder: &mut Builder, x: Tensor) -> Result<Tensor> {
        let &Self { units, forget_bias, cell_clip, projection_clip, .. } = self;
        let name = builder.name(self.name.as_deref(), "lstm");
        let outputs = self.projection.unwrap_or(units);
        let gates = units.checked_mul(4).ok_or_else(|| {
            Error::argument("units", format!("{units} must be at most {}", u32::MAX / 4))
        })?;
        let rows = builder.width(x).saturating_add(outputs);
        let kernel = builder.weight(&name, [rows, gates], self.init, self.masked)?;
        let (batch, graph) = (builder.batch, &mut builder.graph);
        let peepholes =
            self.peepholes.then(|| graph.parameter(format!("{name}.peepholes"), [3, units]));
        let projection =
            self.projection.map(|n| graph.parameter(format!("{name}.projection"), [units, n]));
        let weights = LstmWeights {
            kernel,
            bias: graph.parameter(format!("{name}.bias"), [gates])?,
            peepholes: peepholes.transpose()?,
            projection: projection.transpose()?,
            outputs: graph.carried(format!("{name}.h"), [batch, outputs])?,
            cells: graph.carried(format!("{name}.c"), [batch, units])?,
        };
        graph.lstm(x, weights, LstmOptions { forget_bias, cell_clip, projection_clip })
    }
}
