//! Models by name.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Network;
use crate::graph::Graph;
use crate::kernels::Activation;
use crate::{Error, Result};

/// A model by name; its input width and classes come from the data. As text: `mlp:300-100`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Model {
    /// Fully connected layers with ReLU between them, named `fc1`, `fc2`, ...
    Mlp {
        /// Width of each hidden layer.
        hidden: Vec<u32>,
    },
}

impl Model {
    /// Fully connected layers with these hidden widths and ReLU between them.
    pub fn mlp(hidden: &[u32]) -> Self {
        Self::Mlp { hidden: hidden.to_vec() }
    }

    /// The graph for batches of `batch` rows of `width` features in `classes` classes. Every
    /// weight matrix has a mask; biases have none.
    ///
    /// # Errors
    /// [`Error::Argument`] when a size is 0 or too large.
    pub fn network(&self, batch: usize, width: usize, classes: u32) -> Result<Network> {
        let Self::Mlp { hidden } = self;
        let size = |name: &str, value: usize| {
            u32::try_from(value)
                .ok()
                .filter(|&v| v > 0)
                .ok_or_else(|| Error::argument(name, format!("{value} must be 1 to {}", u32::MAX)))
        };
        let (batch, width) = (size("batch", batch)?, size("width", width)?);
        let mut graph = Graph::default();
        let (features, labels) = (graph.features(batch, width), graph.labels(batch));
        let (mut x, mut inputs) = (features, width);
        for (i, &outputs) in hidden.iter().chain([&classes]).enumerate() {
            let weight = graph.parameter(format!("fc{}.weight", i + 1), [inputs, outputs])?;
            let weight = graph.apply_mask(weight)?;
            let bias = graph.parameter(format!("fc{}.bias", i + 1), [outputs])?;
            let last = i == hidden.len();
            let activation = if last { Activation::Identity } else { Activation::Relu };
            x = graph.linear(x, weight, Some(bias), activation)?;
            inputs = outputs;
        }
        let loss = graph.softmax_cross_entropy(x, labels)?;
        let correct = graph.correct(x, labels)?;
        let (name, losses) = (self.to_string(), Vec::new());
        Ok(Network { name, graph, features, labels, loss, losses, correct, classes })
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Mlp { hidden } = self;
        let widths: Vec<String> = hidden.iter().map(u32::to_string).collect();
        write!(f, "mlp:{}", widths.join("-"))
    }
}

impl FromStr for Model {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let widths = text.strip_prefix("mlp:").ok_or_else(|| {
            let message = format!("`{text}` is not a model; known: mlp:WIDTH-WIDTH-...");
            Error::argument("model", message)
        })?;
        let width = |w: &str| {
            w.parse().ok().filter(|&w| w > 0).ok_or_else(|| {
                let message = format!("`{w}` in `{text}` is not a width of 1 or more");
                Error::argument("model", message)
            })
        };
        Ok(Self::Mlp { hidden: widths.split('-').map(width).collect::<Result<_>>()? })
    }
}

impl TryFrom<String> for Model {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Model> for String {
    fn from(model: Model) -> Self {
        model.to_string()
    }
}
