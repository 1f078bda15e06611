//! `embedding`.
use serde::{Deserialize, Serialize};

use super::{Build, Builder};
use crate::Result;
use crate::graph::{Init, Tensor};
use crate::settings::steps;

steps! {
    /// Rows of a table by tokens `[batch, length]`: `[batch, length, outputs]`. Named `embed1`,
    /// ...; parameters `weight [tokens, outputs]`, and with positions `positions [length,
    /// outputs]`.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(deny_unknown_fields)]
    pub struct Embedding {
        /// Name in files.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        /// Width of a row.
        pub outputs: u32,
        /// Different tokens, which are below this; as many as the data has classes where left out,
        /// as in a text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub tokens: Option<u32>,
        /// Whether a learned row is added by position.
        #[serde(default)]
        pub positions: bool,
        /// First values of both.
        #[serde(default = "init")]
        pub init: Init,
        /// Whether a pruning may mask the table. Each token meets one row of it only.
        #[serde(default)]
        pub masked: bool,
    }
}

fn init() -> Init {
    Init::Normal(0.02)
}

impl Embedding {
    /// With the defaults.
    pub fn new(outputs: u32, positions: bool) -> Self {
        Self { name: None, outputs, tokens: None, positions, init: init(), masked: false }
    }
}

impl Build for Embedding {
    fn build(&self, builder: &mut Builder, x: Tensor) -> Result<Tensor> {
        let name = builder.name(self.name.as_deref(), "embed");
        let (rows, length) = (self.tokens.unwrap_or(builder.answers), builder.width(x));
        let table = builder.weight(&name, [rows, self.outputs], self.init, self.masked)?;
        let x = builder.graph.embedding(x, table)?;
        if !self.positions {
            return Ok(x);
        }
        let (name, shape) = (format!("{name}.positions"), [length, self.outputs]);
        let positions = builder.graph.parameter_with(name, shape, self.init)?;
        builder.graph.add(x, positions)
    }
}
