//! Batches of a data set, in file order or shuffled anew for each epoch.
use super::{Dataset, permutation};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What one step consumes. Start from `Batch::default()` and let a source refill it: the buffers
/// are allocated by the first batch and reused by the others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Features, batch size x width in row-major order; zero from row [`rows`](Self::rows) on.
    pub features: Vec<f32>,
    /// Classes, one per row of the batch size, or `f32::to_bits` of the targets, batch size x their width, where the
    /// network was built of [`Graph::targets`](crate::graph::Graph::targets); zero from row [`rows`](Self::rows) on.
    pub labels: Vec<u32>,
    /// Number of valid rows: the batch size, or less in the last batch of an epoch.
    pub rows: usize,
    /// Epoch that the rows belong to, from 0.
    pub epoch: u64,
}

/// A position between two batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Epoch of the next batch, from 0.
    pub epoch: u64,
    /// Rows of that epoch that were already given.
    pub row: u64,
}

/// Where batches come from.
pub trait BatchSource {
    /// Rows in every batch, padding included.
    fn batch_size(&self) -> usize;

    /// Features per row.
    fn width(&self) -> usize;

    /// Number of classes; every label is below it.
    fn classes(&self) -> u32;

    /// Fills `batch`, whatever it held; at the end of the data gives `false`, and a `batch` of 0
    /// valid rows.
    ///
    /// # Errors
    /// What the source meets on reading; [`Batches`] meets nothing.
    fn next_batch(&mut self, batch: &mut Batch) -> Result<bool>;

    /// Position of the next batch.
    fn cursor(&self) -> Cursor;

    /// Goes to `cursor`: the batches from there on are those of a source that went the whole way.
    ///
    /// # Errors
    /// [`Error::Argument`] when no batch of this source starts there; the source stays where it is.
    fn seek(&mut self, cursor: Cursor) -> Result<()>;
}

/// Batches of a [`Dataset`] in memory.
#[derive(Clone, Debug)]
pub struct Batches {
    dataset: Arc<Dataset>,
    batch_size: usize,
    seed: Option<u64>,
    drop_last: bool,
    epochs: Option<u64>,
    epoch: u64,
    /// Below [`Self::epoch_rows`].
    row: usize,
    /// An epoch and its order, where shuffled.
    order: Option<(u64, Vec<u32>)>,
}

impl Batches {
    /// Batches of `batch_size` rows for ever, in file order without a `seed`. With one, the order
    /// of an epoch depends on number of rows, seed and epoch alone. The last batch of an epoch may
    /// be partial.
    ///
    /// # Errors
    /// [`Error::Argument`] when `batch_size` is 0 or its features exceed 4 GiB as `f32`.
    pub fn new(
        dataset: impl Into<Arc<Dataset>>,
        batch_size: usize,
        seed: Option<u64>,
    ) -> Result<Self> {
        let dataset = dataset.into();
        let max = MAX_FEATURES / dataset.width();
        if !(1..=max).contains(&batch_size) {
            let message = format!("{batch_size}; for {} it is 1 to {max}", dataset.name());
            return Err(Error::argument("batch_size", message));
        }
        let (epochs, drop_last) = (None, false);
        Ok(Self { dataset, batch_size, seed, drop_last, epochs, epoch: 0, row: 0, order: None })
    }

    /// Whether to leave out the partial batch at the end of each epoch, and go back to the start.
    ///
    /// # Errors
    /// [`Error::Argument`] when that leaves no batch, because `batch_size` exceeds the rows.
    pub fn drop_last(mut self, drop_last: bool) -> Result<Self> {
        let rows = self.dataset.rows();
        if drop_last && self.batch_size > rows {
            let message = format!(
                "{} exceeds the {rows} rows of {}, and partial batches are dropped; \
                 make it at most {rows} or keep the last batch",
                self.batch_size,
                self.dataset.name()
            );
            return Err(Error::argument("batch_size", message));
        }
        self.drop_last = drop_last;
        (self.epoch, self.row) = (0, 0);
        Ok(self)
    }

    /// Ends after that many epochs; `None` goes on for ever.
    pub fn epochs(mut self, epochs: Option<u64>) -> Self {
        self.epochs = epochs;
        self
    }

    /// Rows given in one epoch.
    fn epoch_rows(&self) -> usize {
        let rows = self.dataset.rows();
        if self.drop_last { rows - rows % self.batch_size } else { rows }
    }
}

impl BatchSource for Batches {
    fn batch_size(&self) -> usize {
        self.batch_size
    }

    fn width(&self) -> usize {
        self.dataset.width()
    }

    fn classes(&self) -> u32 {
        self.dataset.classes()
    }

    fn next_batch(&mut self, batch: &mut Batch) -> Result<bool> {
        batch.rows = 0;
        if self.epochs.is_some_and(|epochs| self.epoch >= epochs) {
            return Ok(false);
        }
        if let Some(seed) = self.seed
            && self.order.as_ref().is_none_or(|&(epoch, _)| epoch != self.epoch)
        {
            let order = permutation(self.dataset.rows(), seed, self.epoch);
            self.order = Some((self.epoch, order));
        }

        let width = self.dataset.width();
        let end = self.epoch_rows().min(self.row + self.batch_size);
        batch.epoch = self.epoch;
        batch.rows = end - self.row;
        batch.features.resize(self.batch_size * width, 0.0);
        batch.labels.resize(self.batch_size, 0);
        for (k, row) in (self.row..end).enumerate() {
            let i = self.order.as_ref().map_or(row, |(_, order)| order[row] as usize);
            self.dataset.write_row(i, &mut batch.features[k * width..][..width]);
            batch.labels[k] = self.dataset.label(i);
        }
        batch.features[batch.rows * width..].fill(0.0);
        batch.labels[batch.rows..].fill(0);

        self.row = end;
        if end == self.epoch_rows() {
            (self.epoch, self.row) = (self.epoch.saturating_add(1), 0);
        }
        Ok(true)
    }

    fn cursor(&self) -> Cursor {
        Cursor { epoch: self.epoch, row: self.row as u64 }
    }

    fn seek(&mut self, cursor: Cursor) -> Result<()> {
        let rows = self.epoch_rows();
        match usize::try_from(cursor.row) {
            Ok(row) if row < rows && row.is_multiple_of(self.batch_size) => {
                (self.epoch, self.row) = (cursor.epoch, row);
                Ok(())
            }
            _ => Err(Error::argument(
                "cursor",
                format!(
                    "row {} starts no batch of {} in the {rows} rows of an epoch of {}; \
                     use the data and the batch size of the run that it is from",
                    cursor.row,
                    self.batch_size,
                    self.dataset.name()
                ),
            )),
        }
    }
}

/// 4 GiB as `f32`, more than any GPU binds as one tensor.
const MAX_FEATURES: usize = 1 << 30;
