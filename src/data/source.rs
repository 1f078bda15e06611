//! What a step consumes, and where it comes from.
use super::{Schema, Task};
use crate::Result;
use serde::{Deserialize, Serialize};

/// What one step consumes. Start from `Batch::default()` and let a source refill it: the buffers
/// are allocated by the first batch and reused by the others. [`check`](Self::check) says what is
/// wrong with one.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Features, batch size x width in row-major order; zero from row [`rows`](Self::rows) on.
    pub features: Vec<f32>,
    /// For [`Task::Classification`] class numbers, batch size x positions in row-major order, zero
    /// from row [`rows`](Self::rows) on; else empty.
    pub labels: Vec<u32>,
    /// For [`Task::MultiLabel`] and [`Task::Regression`] what is to be predicted, batch size x
    /// [`targets`](Task::targets) in row-major order, zero from row [`rows`](Self::rows) on; else
    /// empty.
    pub targets: Vec<f32>,
    /// Number of valid rows: the batch size, or less in the last batch of an epoch.
    pub rows: usize,
    /// Epoch that the rows belong to, from 0.
    pub epoch: u64,
    /// Whether each row goes on from the same row of the batch before, as the rows of streams do;
    /// never in the first batch of an epoch.
    pub follows: bool,
}

/// A position between two batches.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Cursor {
    /// Epoch of the next batch, from 0.
    pub epoch: u64,
    /// Rows of that epoch that were already given. In streams a partial batch counts as a whole
    /// one.
    pub row: u64,
}

/// Where batches come from.
pub trait BatchSource: Send {
    /// What errors call it.
    fn name(&self) -> &str {
        "batches"
    }

    /// Rows in every batch, padding included.
    fn batch_size(&self) -> usize;

    /// Shape of a row's features, for instance `[28, 28]`.
    fn shape(&self) -> &[usize];

    /// Features per row: the product of [`shape`](Self::shape).
    fn width(&self) -> usize {
        self.shape().iter().product()
    }

    /// What the answers of a row are.
    fn task(&self) -> Task;

    /// What a model must know of the rows: names, scaling, alphabet, where the source has any.
    fn schema(&self) -> Schema {
        Schema { shape: self.shape().to_vec(), task: self.task(), ..Schema::default() }
    }

    /// A number that tells these rows from others, whatever the batches; `None` where the source
    /// does not know. A run is not taken up on rows with another one.
    fn fingerprint(&self) -> Option<u64> {
        None
    }

    /// Fills `batch`, whatever it held; at the end of the data gives `false`, and a `batch` of 0
    /// valid rows.
    ///
    /// # Errors
    /// What the source meets on reading; [`Batches`](super::Batches) meets nothing.
    fn next_batch(&mut self, batch: &mut Batch) -> Result<bool>;

    /// Position of the next batch.
    fn cursor(&self) -> Cursor;

    /// Goes to `cursor`: the batches from there on are those of a source that went the whole way.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) when no batch of this source starts there; the
    /// source stays where it is.
    fn seek(&mut self, cursor: Cursor) -> Result<()>;

    /// Passes over so many batches, or over those that there are before the data ends; gives how
    /// many. Unless a source knows better it makes them all.
    ///
    /// # Errors
    /// As [`next_batch`](Self::next_batch).
    fn skip(&mut self, batches: u64) -> Result<u64> {
        let mut batch = Batch::default();
        for passed in 0..batches {
            if !self.next_batch(&mut batch)? {
                return Ok(passed);
            }
        }
        Ok(batches)
    }

    /// Whether rows go on from batch to batch, as those of streams do ([`Batch::follows`]). Ranks
    /// that train together then share the rows of each batch, and else the batches.
    fn in_streams(&self) -> bool {
        false
    }

    /// From where it is gives what rank `rank` of `ranks` reads, and the batches at `first` before
    /// all others, if it can do so by itself. Says whether it can; [`Shard`](super::Shard) does it
    /// for sources that cannot, which is what they are without this method.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) where ranks cannot share this source so.
    fn shard(&mut self, _rank: usize, _ranks: usize, _first: &[Cursor]) -> Result<bool> {
        Ok(false)
    }
}

macro_rules! passes_on {
    ($($pointer:ty),*) => {$(
        impl<S: BatchSource + ?Sized> BatchSource for $pointer {
            fn name(&self) -> &str {
                (**self).name()
            }

            fn batch_size(&self) -> usize {
                (**self).batch_size()
            }

            fn shape(&self) -> &[usize] {
                (**self).shape()
            }

            fn width(&self) -> usize {
                (**self).width()
            }

            fn task(&self) -> Task {
                (**self).task()
            }

            fn schema(&self) -> Schema {
                (**self).schema()
            }

            fn fingerprint(&self) -> Option<u64> {
                (**self).fingerprint()
            }

            fn next_batch(&mut self, batch: &mut Batch) -> Result<bool> {
                (**self).next_batch(batch)
            }

            fn cursor(&self) -> Cursor {
                (**self).cursor()
            }

            fn seek(&mut self, cursor: Cursor) -> Result<()> {
                (**self).seek(cursor)
            }

            fn skip(&mut self, batches: u64) -> Result<u64> {
                (**self).skip(batches)
            }

            fn in_streams(&self) -> bool {
                (**self).in_streams()
            }

            fn shard(&mut self, rank: usize, ranks: usize, first: &[Cursor]) -> Result<bool> {
                (**self).shard(rank, ranks, first)
            }
        }
    )*};
}

passes_on!(Box<S>, &mut S);
