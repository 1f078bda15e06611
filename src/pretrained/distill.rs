//! Training towards another model, the teacher, of which only the head is on the device: what comes
//! out of its last block is computed before, and goes beside the tokens of each row.
use std::collections::HashMap;

use super::architectures::{Answer, Input};
use super::cut::{Cut, CutGraph};
use super::evaluate::Progress;
use super::layers::Layers;
use super::model::{Pretrained, Read};
use super::window::Window;
use crate::data::{Dataset, Task};
use crate::gpu::Gpu;
use crate::nn::{Ends, Metric, Network};
use crate::{Error, Result};

/// In front of the names of the teacher's constants.
const TEACHER: &str = "teacher/";

crate::settings::steps! {
    const
    /// What a network learns from its teacher.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Distill {
        /// What both logits are divided by.
        pub temperature: f32,
        /// How much of the loss is the teacher's; the rest is the text's.
        pub share: f32,
    }
}

/// The teacher's probabilities as they are, and nothing of the text: Muralidharan et al. 2024.
impl Default for Distill {
    fn default() -> Self {
        Self { temperature: 1.0, share: 1.0 }
    }
}

impl Pretrained {
    /// This model as a network that learns from `teacher`'s logits: as [`network`](Self::network),
    /// with the loss of [`Graph::distillation`](crate::graph::Graph::distillation), and measured by
    /// the cross-entropy of the text, too. The features of a row are those of the teacher's
    /// [`taught`](Self::taught): tokens, and what comes out of the teacher's last block behind
    /// them. The teacher's head is in the graph, as constants.
    ///
    /// # Errors
    /// As [`network`](Self::network); [`Error::Argument`] for a teacher that is no language model,
    /// has another vocabulary or knows fewer positions, and for a temperature or share out of
    /// range; [`Error::Io`] and [`Error::File`] of the teacher's files.
    pub fn distilled_network(
        &self,
        batch: u32,
        length: u32,
        teacher: &Self,
        distill: &Distill,
    ) -> Result<Network> {
        self.check_teacher(teacher, length)?;
        let width = teacher.state_width()?;
        let beside = length.saturating_mul(width);
        let of = self.whole_beside(batch, length, beside)?;
        let CutGraph { mut graph, features, output, .. } = of;
        let states = graph.slice(features, 1, length..length.saturating_add(beside))?;
        let states = graph.reshape(states, [batch, length, width])?;
        let mut layers = Layers::given(graph, TEACHER, teacher.head_values(width)?);
        let teachers = teacher.architecture().head(&mut layers, states)?;
        if let Some(source) = layers.sources.first() {
            let message = format!("{} of its head cannot stand still", source.name);
            return Err(Error::argument("teacher", message));
        }
        let mut graph = layers.graph;
        let answers = graph.position_labels(batch, length);
        let &Distill { temperature, share } = distill;
        let loss = graph.distillation(output, teachers, answers, temperature, share)?;
        let correct = graph.correct(output, answers)?;
        let of_text = graph.softmax_cross_entropy(output, answers)?;
        let classes = graph.shape(output).dims()[2];
        let task = Task::Classification { classes, positions: length as usize };
        let ends = Ends { features, answers, output, loss };
        let network = Network::new(self.network_name(), graph, task, ends);
        let network = network.with_metric(Metric::Accuracy, correct);
        Ok(network.with_metric(Metric::CrossEntropy, of_text))
    }

    /// The rows of `tokens`, which are windows of tokens, with what comes out of this model's last
    /// block beside each: rows for the [`distilled_network`](Self::distilled_network) of a student.
    /// That is computed block after block, and takes
    /// [`stream_bytes`](Self::stream_bytes) of host memory.
    ///
    /// # Errors
    /// [`Error::Argument`] for rows that are no tokens of this model, and for a model that is no
    /// language model; of the device and the files.
    pub fn taught(&self, gpu: &Gpu, tokens: &Dataset, progress: Progress<'_>) -> Result<Dataset> {
        self.check_speaks("teacher")?;
        let mut row = vec![0.0; tokens.width()];
        let mut windows = Vec::with_capacity(tokens.rows());
        for i in 0..tokens.rows() {
            tokens.write_row(i, &mut row);
            if let Some(x) = row.iter().find(|x| x.fract() != 0.0 || **x < 0.0) {
                let message = format!("{x} in row {i} of {} is no token", tokens.name());
                return Err(Error::argument("tokens", message));
            }
            windows.push(Window::new(row.iter().map(|&id| id as u32).collect()));
        }
        let (states, _) = self.through_blocks(gpu, &windows, progress)?;
        let told = self.files().fingerprint()?;
        tokens.clone().with_beside(states.into_values()?, &told)
    }

    /// That `teacher` can teach this model by windows of `length` tokens.
    ///
    /// # Errors
    /// [`Error::Argument`]
    pub fn check_teacher(&self, teacher: &Self, length: u32) -> Result<()> {
        self.check_speaks("student")?;
        teacher.check_speaks("teacher")?;
        let tokens = |of: &Self| match of.architecture().input() {
            Input::Tokens { vocabulary, positions, .. } => [vocabulary, positions],
            Input::Images { .. } => [0; 2],
        };
        let ([own, _], [theirs, positions]) = (tokens(self), tokens(teacher));
        let wrong = |message: String| Err(Error::argument("teacher", message));
        let (student, of) = (self.path().display(), teacher.path().display());
        if own != theirs {
            return wrong(format!(
                "{of} has {theirs} tokens, {student} has {own}: a logit would be another token's; \
                 take a teacher of the same tokenizer"
            ));
        }
        if length > positions {
            return wrong(format!(
                "{of} knows {positions} positions, a window has {length}; take shorter windows"
            ));
        }
        Ok(())
    }

    fn check_speaks(&self, what: &str) -> Result<()> {
        if self.architecture().answer() == Answer::NextToken && !self.is_padded() {
            return Ok(());
        }
        let message = format!("{} is no language model", self.path().display());
        Err(Error::argument(what, message))
    }

    /// Channels of what comes out of the last block.
    fn state_width(&self) -> Result<u32> {
        let Input::Tokens { width, .. } = self.architecture().input() else { return Ok(0) };
        let CutGraph { graph, output, .. } = self.cut(Cut::Embed, 1, &[1, width])?;
        Ok(graph.shape(output).dims().last().copied().unwrap_or(width))
    }

    /// What the head is made of, by the names of the file.
    fn head_values(&self, width: u32) -> Result<HashMap<String, Vec<f32>>> {
        let read: Read<'_> = &|name| self.files().read_f32(name);
        let sources = self.cut(Cut::Head, 1, &[1, width])?.sources;
        let values = sources.iter().map(|s| Ok((s.name.clone(), self.values(s, "", read)?)));
        values.collect()
    }
}
