//! Batches of a data set: in file order, shuffled anew for each epoch, or in streams.
use super::{Batch, BatchSource, Cursor, Dataset, Schema, Task, permutation};
use crate::{Error, Result};
use std::sync::Arc;

/// Batches of a [`Dataset`] in memory.
#[derive(Clone, Debug)]
pub struct Batches {
    dataset: Arc<Dataset>,
    batch_size: usize,
    seed: Option<u64>,
    augment: bool,
    streams: bool,
    drop_last: bool,
    epochs: Option<u64>,
    /// Rank and number of ranks that share the rows of streams.
    part: (usize, usize),
    epoch: u64,
    /// Below [`Self::epoch_rows`], and in streams a multiple of the rows of all ranks.
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
        let task = dataset.task();
        let max = MAX_FEATURES / dataset.width().max(task.positions()).max(task.targets());
        if !(1..=max).contains(&batch_size) {
            let message = format!("{batch_size}; for {} it is 1 to {max}", dataset.name());
            return Err(Error::argument("batch_size", message));
        }
        Ok(Self {
            dataset,
            batch_size,
            seed,
            augment: false,
            streams: false,
            drop_last: false,
            epochs: None,
            part: (0, 1),
            epoch: 0,
            row: 0,
            order: None,
        })
    }

    /// Whether to give a random version of each image
    /// ([`Images::augment`](super::Images::augment)), a function of seed, epoch and row of the data
    /// set. Without a seed, or for rows that have no such versions, they are given as they are.
    pub fn augment(mut self, augment: bool) -> Self {
        self.augment = augment;
        self
    }

    /// Whether to give the rows in streams, without a shuffle, and go back to the start. For rows
    /// that go on from each other, as those of a text: R of them in batches of B are cut into B
    /// streams of ceil(R / B) consecutive rows, and batch t has row t of each stream. The last
    /// streams may be shorter, or empty: later batches are partial then. With
    /// [`drop_last`](Self::drop_last) the streams have floor(R / B) rows, and the rest is left out.
    ///
    /// Where n ranks [`shard`](BatchSource::shard) them there are n * B streams, and rank r has
    /// those from r * B on: together they read what one process reads in batches of n * B.
    pub fn streams(mut self, streams: bool) -> Self {
        (self.streams, self.part) = (streams, (0, 1));
        (self.epoch, self.row) = (0, 0);
        self
    }

    /// Whether to leave out the partial batch at the end of each epoch, and go back to the start.
    ///
    /// # Errors
    /// [`Error::Argument`] when that leaves no batch, because `batch_size` exceeds the rows.
    pub fn drop_last(mut self, drop_last: bool) -> Result<Self> {
        self.drop_last = drop_last;
        (self.epoch, self.row) = (0, 0);
        self.check_rows()?;
        Ok(self)
    }

    /// That no epoch is without a batch, and in streams no rank without a row in one.
    fn check_rows(&self) -> Result<()> {
        let (rows, name, (_, ranks)) = (self.dataset.rows(), self.dataset.name(), self.part);
        let whole = self.whole();
        let size = match ranks {
            1 => format!("{}", self.batch_size),
            _ => format!("{} on {ranks} ranks", self.batch_size),
        };
        if self.drop_last && whole > rows {
            let message = format!(
                "{size} exceeds the {rows} rows of {name}, and partial batches are dropped; \
                 make it at most {} or keep the last batch",
                rows / ranks
            );
            return Err(Error::argument("batch_size", message));
        }
        if !self.streams {
            return Ok(());
        }
        // The last batch has as many rows as there are whole streams, the first ranks' first.
        let last = rows / (self.epoch_rows() / whole);
        if last.min(whole) <= whole - self.batch_size {
            let message = format!(
                "{size}: the last batch of the {rows} rows of {name} in {whole} streams has {last} \
                 rows, and none for the last rank; make it smaller or drop that batch (drop_last)"
            );
            return Err(Error::argument("batch_size", message));
        }
        Ok(())
    }

    /// Ends after that many epochs; `None` goes on for ever.
    pub fn epochs(mut self, epochs: Option<u64>) -> Self {
        self.epochs = epochs;
        self
    }

    /// Batches of an epoch, a partial one included.
    pub fn batches_per_epoch(&self) -> u64 {
        self.epoch_rows().div_ceil(self.whole()) as u64
    }

    /// Rows that a batch takes from the data, those of other ranks included.
    fn whole(&self) -> usize {
        self.batch_size * self.part.1
    }

    /// Rows given in one epoch; in streams a partial batch counts as a whole one.
    fn epoch_rows(&self) -> usize {
        let (rows, size) = (self.dataset.rows(), self.whole());
        match (self.drop_last, self.streams) {
            (true, _) => rows - rows % size,
            (false, true) => rows.next_multiple_of(size),
            (false, false) => rows,
        }
    }

    /// Rows of the data set that the next batch gives, by place in the epoch and step between them.
    fn next_rows(&self) -> impl Iterator<Item = usize> + use<> {
        let (rows, size) = (self.dataset.rows(), self.batch_size);
        let (first, step, end) = if self.streams {
            // Streams that have ended are the last ones: the rest is a prefix of the batch.
            let (of_stream, before) = (self.epoch_rows() / self.whole(), self.part.0 * size);
            (self.row / self.whole() + before * of_stream, of_stream, rows)
        } else {
            (self.row, 1, self.epoch_rows())
        };
        (first..end).step_by(step).take(size)
    }
}

impl BatchSource for Batches {
    fn name(&self) -> &str {
        self.dataset.name()
    }

    fn batch_size(&self) -> usize {
        self.batch_size
    }

    fn shape(&self) -> &[usize] {
        self.dataset.feature_shape()
    }

    fn task(&self) -> Task {
        self.dataset.task()
    }

    fn schema(&self) -> Schema {
        self.dataset.schema()
    }

    fn fingerprint(&self) -> Option<u64> {
        Some(self.dataset.fingerprint())
    }

    fn next_batch(&mut self, batch: &mut Batch) -> Result<bool> {
        batch.rows = 0;
        if self.epochs.is_some_and(|epochs| self.epoch >= epochs) {
            return Ok(false);
        }
        let seed = self.seed.filter(|_| !self.streams);
        if let Some(seed) = seed
            && self.order.as_ref().is_none_or(|&(epoch, _)| epoch != self.epoch)
        {
            let order = permutation(self.dataset.rows(), seed, self.epoch);
            self.order = Some((self.epoch, order));
        }
        let order = self.order.as_ref().filter(|_| seed.is_some());
        let augment = self.seed.filter(|_| self.augment);

        let (width, task) = (self.dataset.width(), self.dataset.task());
        let (positions, targets) = (task.positions(), task.targets());
        batch.epoch = self.epoch;
        batch.follows = self.streams && self.row > 0;
        batch.features.resize(self.batch_size * width, 0.0);
        batch.labels.resize(self.batch_size * positions, 0);
        batch.targets.resize(self.batch_size * targets, 0.0);
        for row in self.next_rows() {
            let (i, k) = (order.map_or(row, |(_, order)| order[row] as usize), batch.rows);
            let features = &mut batch.features[k * width..][..width];
            match augment {
                Some(seed) => self.dataset.write_random_row(i, seed, self.epoch, features),
                None => self.dataset.write_row(i, features),
            }
            let labels = &mut batch.labels[k * positions..][..positions];
            labels.iter_mut().zip(self.dataset.labels(i)).for_each(|(to, label)| *to = label);
            let values = &mut batch.targets[k * targets..][..targets];
            self.dataset.write_targets(i, values);
            batch.rows += 1;
        }
        batch.features[batch.rows * width..].fill(0.0);
        batch.labels[batch.rows * positions..].fill(0);
        batch.targets[batch.rows * targets..].fill(0.0);

        let end = self.epoch_rows().min(self.row + self.whole());
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
        let (rows, whole) = (self.epoch_rows(), self.whole());
        match usize::try_from(cursor.row) {
            Ok(row) if row < rows && row.is_multiple_of(whole) => {
                (self.epoch, self.row) = (cursor.epoch, row);
                Ok(())
            }
            _ => Err(Error::argument(
                "cursor",
                format!(
                    "row {} starts no batch of {whole} in the {rows} rows of an epoch of {}; \
                     use the data and the batch size of the run that it is from",
                    cursor.row,
                    self.dataset.name()
                ),
            )),
        }
    }

    fn skip(&mut self, batches: u64) -> Result<u64> {
        let (whole, of_epoch) = (self.whole(), self.batches_per_epoch());
        let begun = (self.row / whole) as u64;
        let left = self.epochs.map_or(u64::MAX, |epochs| {
            let epochs = epochs.saturating_sub(self.epoch);
            epochs.saturating_mul(of_epoch).saturating_sub(begun)
        });
        let passed = batches.min(left);
        let at = u128::from(begun) + u128::from(passed);
        let (epochs, batch) = (at / u128::from(of_epoch), at % u128::from(of_epoch));
        // Both are at most what they came from, which fits.
        self.epoch = self.epoch.saturating_add(epochs as u64);
        self.row = batch as usize * whole;
        Ok(passed)
    }

    fn in_streams(&self) -> bool {
        self.streams
    }

    fn shard(&mut self, rank: usize, ranks: usize, first: &[Cursor]) -> Result<bool> {
        if !self.streams {
            return Ok(false);
        }
        if !first.is_empty() {
            let message = "rows of streams go on from batch to batch: none can come before others";
            return Err(Error::argument("first", message));
        }
        let before = std::mem::replace(&mut self.part, (rank, ranks));
        let rows = self.dataset.rows();
        let shared = match self.batch_size.checked_mul(ranks) {
            Some(whole) if whole - self.batch_size < rows => {
                self.check_rows().and_then(|()| self.seek(self.cursor()))
            }
            _ => {
                let message = format!(
                    "{} on {ranks} ranks: the {rows} rows of {} are not enough streams for all; \
                     make it smaller or train on fewer ranks",
                    self.batch_size,
                    self.dataset.name()
                );
                Err(Error::argument("batch_size", message))
            }
        };
        if shared.is_err() {
            self.part = before;
        }
        shared.map(|()| true)
    }
}

/// 4 GiB as `f32`, more than any GPU binds as one tensor.
const MAX_FEATURES: usize = 1 << 30;
