//! Models: by name, or as layers.
use std::fmt;
use std::str::FromStr;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::layers::{Build, Builder, Layer};
use super::{Ends, Input, Metric, Network, zoo};
use crate::data::Task;
use crate::graph::{Graph, Shape, Tensor};
use crate::{Error, Result};

/// A model; its input and its classes come from the data. As text its name, `mlp:300-100`; in a
/// recipe that or an array of layers.
#[derive(Debug, Clone, PartialEq)]
pub enum Model {
    /// `mlp:WIDTH-WIDTH-...`: fully connected layers with ReLU between them, named `fc1`, `fc2`,
    /// ...
    Mlp {
        /// Width of each hidden layer.
        hidden: Vec<u32>,
    },
    /// `lenet5`: Caffe's, which Han et al. 2015 prune.
    Lenet5,
    /// `cifar10`: upstream's example.
    Cifar10,
    /// `charlstm:UNITSxDEPTH`: a language model of characters.
    CharLstm {
        /// Units of each layer, and width of the embedding.
        units: u32,
        /// Layers.
        depth: u32,
    },
    /// `chargpt:WIDTHxBLOCKSxHEADS`: a language model of characters.
    CharGpt {
        /// Channels.
        width: u32,
        /// Blocks.
        blocks: u32,
        /// Heads of each block's attention.
        heads: u32,
    },
    /// Layers of one's own, the last of which gives the logits.
    Layers(Vec<Layer>),
    /// `pretrained:KIND`: what a folder that others have trained is made of, which only
    /// [`Pretrained`](crate::pretrained) knows. Here it is a name.
    Pretrained {
        /// The folder's `model_type`.
        kind: String,
    },
}

/// What models can be called.
const KNOWN: &str =
    "mlp:WIDTH-WIDTH-..., lenet5, cifar10, charlstm:UNITSxDEPTH, chargpt:WIDTHxBLOCKSxHEADS";

/// Before the layers of a model without a name, in files.
const LAYERS: &str = "layers:";
/// Before the kind of a folder's model.
const PRETRAINED: &str = "pretrained:";

impl Model {
    /// Fully connected layers with these hidden widths and ReLU between them.
    pub fn mlp(hidden: &[u32]) -> Self {
        Self::Mlp { hidden: hidden.to_vec() }
    }

    /// What it is made of.
    pub fn layers(&self) -> Vec<Layer> {
        match self {
            Self::Mlp { hidden } => zoo::mlp(hidden),
            Self::Lenet5 => zoo::lenet5(),
            Self::Cifar10 => zoo::cifar10(),
            &Self::CharLstm { units, depth } => zoo::charlstm(units, depth),
            &Self::CharGpt { width, blocks, heads } => zoo::chargpt(width, blocks, heads),
            Self::Layers(layers) => layers.clone(),
            Self::Pretrained { .. } => Vec::new(),
        }
    }

    /// The graph for batches of `batch` rows of `input`. Its loss is the mean over rows: for
    /// classes the softmax cross-entropy (over positions too), for several labels the sigmoid
    /// cross-entropy, for a regression the squared error.
    ///
    /// # Errors
    /// [`Error::Argument`] when a size is 0 or too large, or the rows have no answers to learn, and
    /// for a pretrained model;
    /// [`Error::Shape`] when a layer does not fit what is before it, or the last one the answers.
    pub fn network(&self, batch: usize, input: &Input) -> Result<Network> {
        if matches!(self, Self::Pretrained { .. }) {
            let message = format!(
                "{self} is made of its folder: train that by --init FOLDER; write a checkpoint of \
                 it into such a folder by `secateur export LOGDIR -o FOLDER`, and take that"
            );
            return Err(Error::argument("model", message));
        }
        let size = |name: &str, value: usize| {
            u32::try_from(value)
                .ok()
                .filter(|&v| v > 0)
                .ok_or_else(|| Error::argument(name, format!("{value} must be 1 to {}", u32::MAX)))
        };
        let shape = input.shape.iter().map(|&d| size("shape", d)).collect::<Result<Vec<_>>>()?;
        let width = size("width", input.shape.iter().product())?;
        let batch = size("batch", batch)?;
        let answers = match input.task {
            Task::Unlabelled => {
                let message = "its rows have no answers; name a label or targets to learn";
                return Err(Error::argument("data", message));
            }
            Task::Classification { classes, .. } => classes,
            task => size("targets", task.targets())?,
        };
        let mut builder = Builder::new(batch, answers);
        let features = builder.graph.features(batch, width);
        let x = match *shape.as_slice() {
            [_] | [] => features,
            // Images of one colour.
            [height, width] => builder.graph.reshape(features, [batch, height, width, 1])?,
            ref dims => builder.graph.reshape(features, Shape::new([&[batch], dims].concat()))?,
        };
        let layers = self.layers();
        let output = layers.iter().try_fold(x, |x, layer| {
            let x = layer.build(&mut builder, x)?;
            builder.graph.end_layer();
            Ok::<_, Error>(x)
        })?;
        self.check_answers(&builder.graph, output, input.task)?;
        self.with_loss(builder.graph, features, output, input.task)
    }

    /// That the last layer answers as `task` asks.
    fn check_answers(&self, graph: &Graph, output: Tensor, task: Task) -> Result<()> {
        let (have, rows) = match *graph.shape(output).dims() {
            [_, ref positions @ .., have] => (have as usize, positions.iter().product::<u32>()),
            _ => (0, 0),
        };
        let (asked, positions) = match task {
            Task::Classification { classes, positions } => (classes as usize, positions),
            task => (task.targets(), 1),
        };
        if (have, rows as usize) == (asked, positions) {
            return Ok(());
        }
        let message = match task {
            Task::Classification { .. } => format!(
                "the last layer gives {rows} answers a row, among {have} classes; \
                 the data has {positions} labels a row, of {asked} classes"
            ),
            task => format!(
                "the last layer gives {have} values at {rows} positions of a row; the data asks for {asked} ({task}); leave \
                 out `outputs` of the last linear layer to have as many as the data asks for"
            ),
        };
        Err(Error::shape(self.to_string(), message))
    }

    /// The loss of `output` at `task`, and what measures it.
    fn with_loss(
        &self,
        mut graph: Graph,
        features: Tensor,
        output: Tensor,
        task: Task,
    ) -> Result<Network> {
        let batch = graph.shape(output).dims()[0];
        let mut metrics = Vec::new();
        let (answers, loss) = match task {
            Task::Classification { classes, positions } => {
                let labels = match graph.shape(output).rank() {
                    2 => graph.labels(batch),
                    _ => graph.position_labels(batch, positions as u32),
                };
                let loss = graph.softmax_cross_entropy(output, labels)?;
                metrics.push((Metric::Accuracy, graph.correct(output, labels)?));
                if classes > 5 {
                    metrics.push((Metric::Top5Accuracy, graph.top_k(output, labels, 5)?));
                }
                (labels, loss)
            }
            Task::MultiLabel { labels } => {
                let targets = graph.targets(batch, labels as u32);
                let loss = graph.sigmoid_cross_entropy(output, targets)?;
                metrics.push((Metric::LabelAccuracy, graph.right_labels(output, targets)?));
                (targets, loss)
            }
            task => {
                let targets = graph.targets(batch, task.targets() as u32);
                let loss = graph.mean_squared_error(output, targets)?;
                metrics.push((Metric::MeanAbsoluteError, graph.absolute_error(output, targets)?));
                metrics.push((Metric::MeanSquaredError, loss));
                (targets, loss)
            }
        };
        let ends = Ends { features, answers, output, loss };
        Ok(Network { metrics, ..Network::new(self.to_string(), graph, task, ends) })
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mlp { hidden } => {
                let widths: Vec<String> = hidden.iter().map(u32::to_string).collect();
                write!(f, "mlp:{}", widths.join("-"))
            }
            Self::Lenet5 => f.write_str("lenet5"),
            Self::Cifar10 => f.write_str("cifar10"),
            Self::CharLstm { units, depth } => write!(f, "charlstm:{units}x{depth}"),
            Self::CharGpt { width, blocks, heads } => write!(f, "chargpt:{width}x{blocks}x{heads}"),
            Self::Layers(layers) => {
                let json = serde_json::to_string(layers).map_err(|_| fmt::Error)?;
                write!(f, "{LAYERS}{json}")
            }
            Self::Pretrained { kind } => write!(f, "{PRETRAINED}{kind}"),
        }
    }
}

impl FromStr for Model {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(json) = text.strip_prefix(LAYERS) {
            let layers = serde_json::from_str(json);
            return layers.map(Self::Layers).map_err(|e| Error::argument("model", e.to_string()));
        }
        if let Some(kind) = text.strip_prefix(PRETRAINED).filter(|kind| !kind.is_empty()) {
            return Ok(Self::Pretrained { kind: kind.to_owned() });
        }
        let (name, sizes) = text.split_once(':').unwrap_or((text, ""));
        let separator = if name == "mlp" { '-' } else { 'x' };
        let size = |w: &str| {
            w.parse().ok().filter(|&w| w > 0).ok_or_else(|| {
                let message = format!("`{w}` in `{text}` is not a width of 1 or more");
                Error::argument("model", message)
            })
        };
        let sizes = match sizes {
            "" => Vec::new(),
            _ => sizes.split(separator).map(size).collect::<Result<Vec<u32>>>()?,
        };
        match (name, sizes.as_slice()) {
            ("mlp", [_, ..]) => Ok(Self::Mlp { hidden: sizes }),
            ("lenet5", []) => Ok(Self::Lenet5),
            ("cifar10", []) => Ok(Self::Cifar10),
            ("charlstm", &[units]) => Ok(Self::CharLstm { units, depth: 1 }),
            ("charlstm", &[units, depth]) => Ok(Self::CharLstm { units, depth }),
            ("chargpt", &[width, blocks, heads]) => Ok(Self::CharGpt { width, blocks, heads }),
            _ => Err(Error::argument("model", format!("`{text}` is not a model; known: {KNOWN}"))),
        }
    }
}

impl Serialize for Model {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Layers(layers) => layers.serialize(serializer),
            named => serializer.collect_str(named),
        }
    }
}

impl<'de> Deserialize<'de> for Model {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ModelVisitor)
    }
}

struct ModelVisitor;

impl<'de> Visitor<'de> for ModelVisitor {
    type Value = Model;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a model ({KNOWN}) or an array of layers")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Model, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, layers: A) -> Result<Model, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(layers)).map(Model::Layers)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Model {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Model".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let known = r"^(mlp:\+?\d+(-\+?\d+)*|lenet5:?|cifar10:?|charlstm:\+?\d+(x\+?\d+)?|chargpt:\+?\d+(x\+?\d+){2})$";
        let layers = generator.subschema_for::<Vec<Layer>>();
        schemars::json_schema!({
            "anyOf": [
                { "type": "string", "pattern": known, "description": KNOWN },
                { "type": "string", "pattern": format!("^({LAYERS}|{PRETRAINED}.)") },
                layers,
            ]
        })
    }
}
