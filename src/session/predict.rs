//! What a network answers on new rows.
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Session;
use super::steps::STEPS_IN_FLIGHT;
use crate::data::{Batch, BatchSource, Dataset, Task};
use crate::gpu::{Encoder, ReadbackRing, Slot};
use crate::kernels::Step;
use crate::nn::Network;
use crate::{Error, Result};

/// Name of the network's own output.
const OUTPUT: &str = "output";

/// Where predictions of one tensor come from.
#[derive(Debug)]
pub(super) struct Predicted {
    /// `output`, or a further output's.
    name: String,
    slot: Slot,
    /// Extents of a row.
    shape: Vec<usize>,
}

impl Predicted {
    /// The outputs of `network`, which are in `slots`.
    pub(super) fn of(network: &Network, slots: Vec<Slot>) -> Vec<Self> {
        let own = (OUTPUT.to_owned(), network.output);
        let all = [own].into_iter().chain(network.outputs.iter().cloned());
        let one = |((name, tensor), slot)| {
            let dims = network.graph.shape(tensor).dims();
            let shape = dims.iter().skip(1).map(|&d| d as usize).collect();
            Self { name, slot, shape }
        };
        all.zip(slots).map(one).collect()
    }

    fn width(&self) -> usize {
        self.shape.iter().product()
    }
}

/// A tensor for each of some rows.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Prediction {
    /// Rows.
    pub rows: usize,
    /// Extents of a row: `[classes]`, `[positions, classes]` or `[outputs]` of the network's own
    /// output.
    pub shape: Vec<usize>,
    /// One row after the other: logits of classes and labels, values of a regression, or what the
    /// tensor holds.
    pub values: Vec<f32>,
}

impl Prediction {
    /// The answers `rows`, all as long as the first.
    ///
    /// # Panics
    /// When one is not.
    pub fn of(rows: &[Vec<f32>]) -> Self {
        let width = rows.first().map_or(0, Vec::len);
        assert!(rows.iter().all(|row| row.len() == width), "answers of several lengths");
        Self { rows: rows.len(), shape: vec![width], values: rows.concat() }
    }

    /// The values of row `i`.
    ///
    /// # Panics
    /// When `i` is not below [`rows`](Self::rows).
    pub fn row(&self, i: usize) -> &[f32] {
        let width = self.shape.iter().product::<usize>();
        &self.values[i * width..][..width]
    }

    /// The class with the highest logit of each row, or of each of its positions; of equal ones the
    /// lowest. Means nothing for values that are no logits of classes.
    pub fn classes(&self) -> Vec<u32> {
        let highest = |logits: &[f32]| match logits {
            // With one logit the classes are its signs.
            [logit] => u32::from(*logit > 0.0),
            logits => {
                let better =
                    |best: usize, at: usize| if logits[at] > logits[best] { at } else { best };
                (1..logits.len()).fold(0, better) as u32
            }
        };
        self.values.chunks_exact(self.last()).map(highest).collect()
    }

    /// The logits of classes as probabilities: the softmax over the last extent.
    pub fn softmax(&self) -> Vec<f32> {
        let softmax = |logits: &[f32]| {
            let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let powers: Vec<f64> = logits.iter().map(|&z| f64::from(z - highest).exp()).collect();
            let sum: f64 = powers.iter().sum();
            powers.into_iter().map(|power| (power / sum) as f32).collect::<Vec<_>>()
        };
        self.values.chunks_exact(self.last()).flat_map(softmax).collect()
    }

    /// The logits of labels as probabilities: the sigmoid of each.
    pub fn sigmoid(&self) -> Vec<f32> {
        self.values.iter().map(|&z| (1.0 / (1.0 + f64::from(-z).exp())) as f32).collect()
    }

    fn last(&self) -> usize {
        self.shape.last().copied().unwrap_or(1).max(1)
    }
}

impl Session {
    /// The network's output on rows of [`width`](Self::width) features, one after the other in
    /// `rows`, with the weights as [`evaluate`](Self::evaluate) takes them. Features are given as
    /// they were measured, and values of a regression come in the units of its targets: the
    /// scalings of the [`schema`](Self::schema), where it has any, are applied here. Waits for the
    /// device.
    ///
    /// # Errors
    /// [`Error::Shape`] unless `rows` is whole rows, at least one; [`Error::Argument`] for a
    /// feature that is not finite.
    pub fn predict(&self, rows: &[f32]) -> Result<Prediction> {
        self.predict_tensor(OUTPUT, rows)
    }

    /// As [`predict`](Self::predict), of the tensor `name`: one of [`Network::outputs`], or
    /// `output`.
    ///
    /// # Errors
    /// As [`predict`](Self::predict); [`Error::Argument`] for a name that the network does not
    /// have.
    pub fn predict_tensor(&self, name: &str, rows: &[f32]) -> Result<Prediction> {
        let width = self.width();
        if rows.is_empty() || !rows.len().is_multiple_of(width) {
            let message = format!("{} values are no whole rows of {width} features", rows.len());
            return Err(Error::shape("predict", message));
        }
        if let Some(i) = rows.iter().position(|x| !x.is_finite()) {
            let (row, feature, value) = (i / width, i % width, rows[i]);
            let message = format!("row {row}, feature {feature} is {value}, must be finite");
            return Err(Error::argument("predict", message));
        }
        let mut predicting = self.predicting(name)?;
        let mut features = vec![0.0; self.takes.batch * width];
        let scaling = self.schema.as_ref().and_then(|schema| schema.scaling.as_ref());
        for chunk in rows.chunks(self.takes.batch * width) {
            features[..chunk.len()].copy_from_slice(chunk);
            if let Some(scaling) = scaling {
                scaling.apply(&mut features[..chunk.len()]);
            }
            features[chunk.len()..].fill(0.0);
            let rows = chunk.len() / width;
            predicting.push(&features, Step { follows: 0, ..self.scalars(1, rows) }, rows)?;
        }
        predicting.finish()
    }

    /// As [`predict`](Self::predict), on all rows of `dataset` in file order, whatever their
    /// answers are.
    ///
    /// # Errors
    /// [`Error::Shape`] when the rows are not what the network takes.
    pub fn predict_dataset(&self, name: &str, dataset: &Arc<Dataset>) -> Result<Prediction> {
        let mut batches = self.whole(dataset)?;
        self.takes.check_width("predict", dataset.name(), batches.width())?;
        let mut predicting = self.predicting(name)?;
        let (mut batch, streams) = (Batch::default(), dataset.is_text());
        // Streams give the rows in another order than the file's.
        let order = if streams { self.order_of_streams(dataset.rows()) } else { Vec::new() };
        while batches.next_batch(&mut batch)? {
            let scalars = Step { follows: batch.follows.into(), ..self.scalars(1, batch.rows) };
            predicting.push(&batch.features, scalars, batch.rows)?;
        }
        let prediction = predicting.finish()?;
        Ok(if streams { in_order(prediction, &order) } else { prediction })
    }

    /// How long batches of `dataset` take, each alone, from its rows on the host to the network's
    /// output there: of `most` batches at most, and of three at least where that takes longer than
    /// `time`. A first one, in which adapters warm up, is not counted; rows that are too few are
    /// taken again.
    ///
    /// # Errors
    /// As [`predict_dataset`](Self::predict_dataset).
    pub fn latencies(
        &self,
        dataset: &Arc<Dataset>,
        most: usize,
        time: Duration,
    ) -> Result<Vec<Duration>> {
        let mut batches = self.whole(dataset)?;
        self.takes.check_width("latencies", dataset.name(), batches.width())?;
        let (mut times, mut batch, mut warm) = (Vec::new(), Batch::default(), false);
        while times.len() < most && (times.len() < 3 || times.iter().sum::<Duration>() < time) {
            if !batches.next_batch(&mut batch)? {
                batches = self.whole(dataset)?;
                if !batches.next_batch(&mut batch)? {
                    break;
                }
            }
            let scalars = Step { follows: batch.follows.into(), ..self.scalars(1, batch.rows) };
            let mut predicting = self.predicting(OUTPUT)?;
            let begun = Instant::now();
            predicting.push(&batch.features, scalars, batch.rows)?;
            predicting.finish()?;
            if warm {
                times.push(begun.elapsed());
            }
            warm = true;
        }
        Ok(times)
    }

    /// Names of the tensors that can be predicted, `output` first.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        self.predicted.iter().map(|p| p.name.as_str())
    }

    /// Row of the data set of each row that streams give.
    fn order_of_streams(&self, rows: usize) -> Vec<usize> {
        let steps = rows.div_ceil(self.takes.batch);
        (0..steps).flat_map(|t| (t..rows).step_by(steps)).collect()
    }

    fn predicting(&self, name: &str) -> Result<Predicting<'_>> {
        let from = self.predicted.iter().find(|p| p.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.outputs().collect();
            let message = format!("no such output; there are {}", known.join(", "));
            Error::argument(name, message)
        })?;
        let ring = ReadbackRing::new(&self.gpu, u64::from(from.slot.words) * 4, STEPS_IN_FLIGHT)?;
        Ok(Predicting { session: self, from, ring, rows: Vec::new(), values: Vec::new(), taken: 0 })
    }

    /// Whether the answers are classes, for those who print predictions.
    pub fn answers_classes(&self) -> bool {
        matches!(self.takes.task, Task::Classification { .. })
    }
}

/// Rows on their way through the network.
struct Predicting<'s> {
    session: &'s Session,
    from: &'s Predicted,
    ring: ReadbackRing,
    /// Of each batch.
    rows: Vec<usize>,
    values: Vec<f32>,
    /// Batches that have arrived.
    taken: usize,
}

impl Predicting<'_> {
    fn push(&mut self, features: &[f32], scalars: Step, rows: usize) -> Result<()> {
        let Session { gpu, program, predict, .. } = self.session;
        self.session.upload_features(features, scalars);
        let mut encoder = Encoder::new(gpu);
        program.encode(*predict, &mut encoder);
        self.ring.copy(gpu, &mut encoder, program, &[self.from.slot])?;
        encoder.submit()?;
        self.rows.push(rows);
        let arrived = self.ring.ready(gpu)?;
        self.take(arrived);
        Ok(())
    }

    fn take<T>(&mut self, arrived: Vec<(T, Vec<u8>)>) {
        for (_, bytes) in arrived {
            let values: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
            self.values.extend(&values[..self.rows[self.taken] * self.from.width()]);
            self.taken += 1;
        }
    }

    fn finish(mut self) -> Result<Prediction> {
        let arrived = self.ring.wait(&self.session.gpu)?;
        self.take(arrived);
        let (rows, shape) = (self.rows.iter().sum(), self.from.shape.clone());
        let schema = self.session.schema.as_ref();
        let scaling = schema.and_then(|schema| schema.target_scaling.as_ref());
        if let Some(scaling) = scaling.filter(|_| self.from.name == OUTPUT) {
            scaling.undo(&mut self.values);
        }
        Ok(Prediction { rows, shape, values: self.values })
    }
}

/// The rows of `prediction` where `order` says that they belong.
fn in_order(prediction: Prediction, order: &[usize]) -> Prediction {
    let width = prediction.shape.iter().product::<usize>();
    let mut values = vec![0.0; prediction.values.len()];
    for (row, &to) in prediction.values.chunks_exact(width).zip(order) {
        values[to * width..][..width].copy_from_slice(row);
    }
    Prediction { values, ..prediction }
}
