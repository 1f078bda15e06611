//! How good a network's answers are on rows with known ones.
use std::collections::VecDeque;
use std::sync::Arc;

use super::Session;
use super::steps::{STEPS_IN_FLIGHT, summed};
use crate::data::{Batch, BatchSource, Batches, Dataset, Task};
use crate::gpu::{Encoder, Phase, ReadbackRing};
use crate::nn::{Figures, Metric};
use crate::{Error, Result};

/// A network's answers on a data set.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Evaluation {
    /// Rows.
    pub rows: u64,
    /// Mean loss: of targets as batches have them, which are scaled ones where the data says so.
    pub loss: f64,
    /// What the network is measured by.
    pub figures: Figures,
}

impl Evaluation {
    /// Share of right rows, or of right positions where rows have several labels; `None` where
    /// answers are no classes.
    pub fn accuracy(&self) -> Option<f64> {
        self.figures.get(Metric::Accuracy)
    }
}

impl Session {
    /// Loss and figures on all rows of `dataset`, with the weights as they are now, or with their
    /// averages where [`Training::average`](crate::optim::Training::average) keeps them: in file
    /// order, those of a text in streams ([`Batches::streams`]).
    ///
    /// # Errors
    /// [`Error::Shape`] when the data set does not fit the network.
    pub fn evaluate(&self, dataset: &Arc<Dataset>) -> Result<Evaluation> {
        self.evaluate_by(self.evaluate, &mut self.whole(dataset)?)
    }

    /// As [`evaluate`](Self::evaluate), never with averages.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub fn evaluate_raw(&self, dataset: &Arc<Dataset>) -> Result<Evaluation> {
        let phase = self.evaluate_raw.unwrap_or(self.evaluate);
        self.evaluate_by(phase, &mut self.whole(dataset)?)
    }

    /// As [`evaluate`](Self::evaluate), on the batches of any source from where it is: to its end,
    /// or to the end of the epoch that its first batch belongs to. A source that has one epoch
    /// without an end is never done: evaluate on one that ends.
    ///
    /// # Errors
    /// [`Error::Shape`] when the source does not fit the network, [`Error::Batch`] names what is
    /// wrong with a batch, and what the source meets.
    pub fn evaluate_batches(&self, source: &mut dyn BatchSource) -> Result<Evaluation> {
        self.evaluate_by(self.evaluate, source)
    }

    /// All rows of `dataset` once.
    ///
    /// # Errors
    /// [`Error::Shape`] for rows that are scaled otherwise than those that the network knows.
    pub(super) fn whole(&self, dataset: &Arc<Dataset>) -> Result<Batches> {
        let known = self.schema.as_ref().is_some_and(|s| {
            // Rows without targets can be predicted whatever their targets would be scaled by.
            let targets = matches!(dataset.task(), Task::Regression { .. });
            s.scaling.as_ref() != dataset.scaling()
                || (targets && s.target_scaling.as_ref() != dataset.target_scaling())
        });
        if known {
            let message = format!(
                "{} is not scaled as the rows that the network was trained on; scale it by \
                 Dataset::scaled and Dataset::with_scaled_targets with the scalings of \
                 Session::schema",
                dataset.name()
            );
            return Err(Error::shape("scaling", message));
        }
        let batches = Batches::new(Arc::clone(dataset), self.takes.batch, None)?.epochs(Some(1));
        Ok(batches.streams(dataset.is_text()))
    }

    /// What a figure of scaled targets is times, to be one in the units of the data. Where there
    /// are several targets these have no unit in common: then it stays one in deviations.
    pub(super) fn unit_of(&self, metric: Metric) -> f64 {
        let scaling = self.schema.as_ref().and_then(|schema| schema.target_scaling.as_ref());
        match scaling.map(|scaling| scaling.scale.as_slice()) {
            Some(&[scale]) => metric.unit(f64::from(scale)),
            _ => 1.0,
        }
    }

    fn evaluate_by(&self, phase: Phase, source: &mut dyn BatchSource) -> Result<Evaluation> {
        self.takes.check_source("evaluate", source)?;
        let gpu = &self.gpu;
        let bytes = self.evaluated.len() as u64 * 4;
        let mut ring = ReadbackRing::new(gpu, bytes, STEPS_IN_FLIGHT)?;
        let (mut batch, mut in_flight) = (Batch::default(), VecDeque::new());
        let (mut loss, mut sums) = (0.0, vec![0.0; self.metrics.len()]);
        let mut add = |in_flight: &mut VecDeque<usize>, arrived: Vec<(_, Vec<u8>)>| {
            for (_, bytes) in arrived {
                let rows = in_flight.pop_front().unwrap_or(0);
                let values: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
                loss += f64::from(values[0]) * rows as f64;
                for ((sum, &metric), &value) in sums.iter_mut().zip(&self.metrics).zip(&values[1..])
                {
                    *sum += summed(metric, value, rows);
                }
            }
        };
        let (mut rows, mut number, mut epoch) = (0, 0, None);
        while source.next_batch(&mut batch)? {
            if *epoch.get_or_insert(batch.epoch) != batch.epoch {
                break;
            }
            self.takes.check_batch(source, &batch, number)?;
            number += 1;
            rows += batch.rows as u64;
            self.upload_batch(&batch, self.scalars(1, batch.rows));
            let mut encoder = Encoder::new(gpu);
            self.program.encode(phase, &mut encoder);
            ring.copy(gpu, &mut encoder, &self.program, &self.evaluated)?;
            encoder.submit()?;
            in_flight.push_back(batch.rows);
            add(&mut in_flight, ring.ready(gpu)?);
        }
        add(&mut in_flight, ring.wait(gpu)?);
        if rows == 0 {
            let message = format!("{} gives no rows; seek its beginning first", source.name());
            return Err(Error::argument("evaluate", message));
        }
        let positions = self.takes.task.positions();
        let value = |(&metric, sum): (&Metric, f64)| {
            let mean = sum / (rows as f64 * metric.of_a_row(positions) as f64);
            (metric, mean * self.unit_of(metric))
        };
        let figures = Figures::new(self.metrics.iter().zip(sums).map(value));
        Ok(Evaluation { rows, loss: loss / rows as f64, figures })
    }
}
