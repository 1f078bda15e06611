//! A model as one graph, for training: all of it on the device.
use super::architectures::{Answer, Input};
use super::cut::CutGraph;
use super::layers::{Layers, Source};
use super::model::Pretrained;
use crate::data::Task;
use crate::graph::Tensor;
use crate::nn::{Ends, Metric, Model, Network};
use crate::session::Session;
use crate::{Error, Result};

impl Pretrained {
    /// The graph of the whole model, with the names of the file: its features are `[batch, length]`
    /// tokens, or with padding `[batch, 3 * length]`: tokens, seen and types; or images `[batch,
    /// side * side * channels]`, for which `length` says nothing. Products in its blocks have
    /// masks, and each block is a layer for [`Graph::recompute`](crate::graph::Graph::recompute).
    ///
    /// # Errors
    /// [`Error::Argument`] for more positions than the model knows; of the graph.
    pub fn whole(&self, batch: u32, length: u32) -> Result<CutGraph> {
        self.whole_beside(batch, length, 0)
    }

    /// The same, where as many values go `beside` the tokens of a row, behind them.
    pub(super) fn whole_beside(&self, batch: u32, length: u32, beside: u32) -> Result<CutGraph> {
        let architecture = self.architecture();
        let mut layers = Layers::new("");
        let (features, x, types) = match architecture.input() {
            Input::Tokens { .. } => self.tokens(&mut layers, batch, [length, beside])?,
            Input::Images { side, channels } => {
                let width = side.saturating_mul(side).saturating_mul(channels);
                let features = layers.graph.features(batch, width);
                let x = layers.graph.reshape(features, [batch, side, side, channels])?;
                (features, x, None)
            }
        };
        let mut x = architecture.embed(&mut layers, x, types)?;
        layers.graph.end_layer();
        layers.can_prune(true);
        for block in 0..architecture.blocks() {
            for part in 0..architecture.parts(block) {
                x = architecture.part(&mut layers, block, part, x)?;
            }
            layers.graph.end_layer();
        }
        layers.can_prune(false);
        if architecture.answer() != Answer::Hidden {
            x = architecture.head(&mut layers, x)?;
            layers.graph.end_layer();
        }
        let Layers { graph, sources, seen, .. } = layers;
        Ok(CutGraph { graph, sources, prefix: String::new(), features, output: x, seen })
    }

    /// Features of tokens, the tokens as their table has them, and their types.
    fn tokens(
        &self,
        layers: &mut Layers,
        batch: u32,
        [length, beside]: [u32; 2],
    ) -> Result<(Tensor, Tensor, Option<Tensor>)> {
        let architecture = self.architecture();
        let wrong = |name: &str, message: String| Err(Error::argument(name, message));
        let Input::Tokens { vocabulary, positions, width, types } = architecture.input() else {
            return wrong("input", "the model takes no tokens".to_owned());
        };
        if !(1..=positions).contains(&length) {
            let message = format!("{length} positions, the model knows 1 to {positions}");
            return wrong("length", message);
        }
        let Some(table) = architecture.table() else {
            return wrong("table", "an architecture of tokens has one".to_owned());
        };
        let own = if types.is_some() { length.saturating_mul(3) } else { length };
        let features = layers.graph.features(batch, own.saturating_add(beside));
        let mut part = |i: u32| layers.graph.slice(features, 1, i * length..(i + 1) * length);
        let (tokens, seen, types) = match types {
            Some(_) => (part(0)?, Some(part(1)?), Some(part(2)?)),
            None if beside > 0 => (part(0)?, None, None),
            None => (features, None, None),
        };
        layers.seen = seen;
        let table = layers.parameter(&table, &[vocabulary, width])?;
        let x = layers.graph.embedding(tokens, table)?;
        Ok((features, x, types))
    }

    /// The whole model as a network that learns: a language model the token that follows each
    /// position, another the class of each row. [`load`](Self::load) gives a session of it the
    /// file's weights.
    ///
    /// # Errors
    /// As [`whole`](Self::whole); [`Error::Argument`] for a model without a head, or with one that
    /// does not choose among classes.
    pub fn network(&self, batch: u32, length: u32) -> Result<Network> {
        let CutGraph { mut graph, features, output, .. } = self.whole(batch, length)?;
        let kind = self.kind();
        let (answers, task) = match self.architecture().answer() {
            Answer::NextToken => {
                let classes = graph.shape(output).dims()[2];
                let positions = length as usize;
                let task = Task::Classification { classes, positions };
                (graph.position_labels(batch, length), task)
            }
            Answer::Class { classes } => {
                let problem = self.config().text("problem_type")?;
                if classes < 2 || problem.is_some_and(|p| p != "single_label_classification") {
                    let message = format!(
                        "{} has {classes} outputs for {}: they are no classes to choose from; \
                         take Pretrained::whole and put a loss of your own behind it",
                        self.path().display(),
                        problem.unwrap_or("a regression")
                    );
                    return Err(Error::argument("model", message));
                }
                (graph.labels(batch), Task::Classification { classes, positions: 1 })
            }
            Answer::Hidden => {
                let message = format!(
                    "{} has no head, so nothing says what its {kind} shall learn; take \
                     Pretrained::whole and put a loss of your own behind its hidden states",
                    self.path().display()
                );
                return Err(Error::argument("model", message));
            }
        };
        let loss = graph.softmax_cross_entropy(output, answers)?;
        let correct = graph.correct(output, answers)?;
        let ends = Ends { features, answers, output, loss };
        let network = Network::new(self.network_name(), graph, task, ends);
        Ok(network.with_metric(Metric::Accuracy, correct))
    }

    /// What checkpoints call its network.
    pub(super) fn network_name(&self) -> String {
        Model::Pretrained { kind: self.kind().to_owned() }.to_string()
    }

    /// Gives `session`, of this model's [`network`](Self::network), the weights of the file.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::File`] for a weight that is not finite; [`Error::Argument`] where
    /// the session is of another network.
    pub fn load(&self, session: &mut Session) -> Result<()> {
        let sources = self.sources()?;
        sources.iter().try_for_each(|s| session.set_weights(&s.name, &self.parameter(s)?))
    }

    /// The values of a parameter of [`whole`](Self::whole), as its graph has them.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::File`] for a value that is not finite.
    pub fn parameter(&self, source: &Source) -> Result<Vec<f32>> {
        self.values(source, "", &|name| self.files().read_f32(name))
    }
}
