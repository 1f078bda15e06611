//! Which weights a generator may have packed, for those who measure.
use super::plan::{HeadGraph, PartGraph, vocabulary_and_width};
use crate::Result;
use crate::graph::Parameter;
use crate::kernels::Units;
use crate::pretrained::layers::Source;
use crate::pretrained::model::Pretrained;

/// A weight that each token is multiplied with, by products alone: it may be packed.
#[derive(Debug)]
pub struct TokenWeight {
    parameter: Parameter,
    source: Source,
}

impl TokenWeight {
    /// Its name, as the file has it.
    pub fn name(&self) -> &str {
        &self.parameter.name
    }

    /// Its extents, and how its values lie in memory.
    pub fn of(&self) -> Units {
        self.parameter.units()
    }
}

impl Pretrained {
    /// The weights that a generator may have packed, each once.
    ///
    /// # Errors
    /// As [`generator`](Self::generator), where this is no language model.
    pub fn token_weights(&self) -> Result<Vec<TokenWeight>> {
        let [_, width] = vocabulary_and_width(self)?;
        let PartGraph { graph, sources, .. } = PartGraph::new(self, [1, width, 1])?;
        let head = HeadGraph::new(self, width)?;
        let mut all: Vec<TokenWeight> = Vec::new();
        for (graph, sources) in [(graph, sources), (head.graph, head.sources)] {
            for (parameter, source) in graph.parameters().iter().zip(sources) {
                let known = all.iter().any(|weight| weight.parameter.name == parameter.name);
                if !known && graph.packs(parameter.tensor).is_ok() {
                    all.push(TokenWeight { parameter: parameter.clone(), source });
                }
            }
        }
        Ok(all)
    }

    /// The values of one of [`token_weights`](Self::token_weights), in the layout that it has.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io), and [`Error::File`](crate::Error::File) for a value that is not
    /// finite.
    pub fn token_weight_values(&self, weight: &TokenWeight) -> Result<Vec<f32>> {
        self.values(&weight.source, "", &|name| self.files().read_f32(name))
    }
}
