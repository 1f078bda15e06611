//! What one rank of several reads of a source.
use super::{Batch, BatchSource, Cursor, Schema, Task};
use crate::{Error, Result};

/// The batches of a source that one of several ranks trains on: rank r of n has batch r of every n
/// consecutive ones, so that the ranks together read what one process does. The cursor is that of
/// the source behind all n, the same on every rank and for any number of ranks.
///
/// Where the data ends within the n, ranks without a batch are told so and the others in their next
/// call. A source in streams, whose batches go on from each other, has n times as many, of which
/// each rank has a part; so its cursors are for n times as many rows.
#[derive(Debug)]
pub struct Shard<S> {
    source: S,
    rank: usize,
    ranks: usize,
    /// Batches that come before the source's next one.
    first: Vec<Cursor>,
    /// The source does all of it.
    by_itself: bool,
}

impl<S: BatchSource> Shard<S> {
    /// All of `source`, from where it is, until [`shard`](BatchSource::shard) says otherwise.
    pub fn new(source: S) -> Self {
        Self { source, rank: 0, ranks: 1, first: Vec::new(), by_itself: false }
    }

    /// The rank whose batches it gives, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Ranks that the batches are for.
    pub fn ranks(&self) -> usize {
        self.ranks
    }

    /// Batches that come before the one at the cursor.
    pub fn first(&self) -> &[Cursor] {
        &self.first
    }

    /// To where the batches at `first` and then those from `cursor` on come.
    pub(super) fn go_back(&mut self, cursor: Cursor, first: &[Cursor]) -> Result<()> {
        self.seek(cursor)?;
        self.shard(self.rank, self.ranks, first).map(|_| ())
    }

    /// The rank's batch of the next `ranks` ones, all of which are passed.
    fn turn(&mut self, batch: &mut Batch) -> Result<bool> {
        batch.rows = 0;
        let (rank, ranks) = (self.rank, self.ranks);
        let first = &self.first[..ranks.min(self.first.len())];
        let further = ranks - first.len();
        if let Some(&cursor) = first.get(rank) {
            let at = self.source.cursor();
            self.source.seek(cursor)?;
            let given = self.source.next_batch(batch)?;
            self.source.seek(at)?;
            self.source.skip(further as u64)?;
            return Ok(given);
        }
        let before = (rank - first.len()) as u64;
        if self.source.skip(before)? < before || !self.source.next_batch(batch)? {
            return Ok(false);
        }
        if batch.follows && ranks > 1 {
            let name = self.source.name();
            return Err(Error::argument("batches", in_streams(name, ranks)));
        }
        self.source.skip(further as u64 - before - 1)?;
        Ok(true)
    }

    /// Takes what has been given out of `first`.
    fn pass(&mut self, batches: usize) {
        self.first.drain(..batches.min(self.first.len()));
    }
}

impl<S: BatchSource> BatchSource for Shard<S> {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn batch_size(&self) -> usize {
        self.source.batch_size()
    }

    fn shape(&self) -> &[usize] {
        self.source.shape()
    }

    fn width(&self) -> usize {
        self.source.width()
    }

    fn task(&self) -> Task {
        self.source.task()
    }

    fn schema(&self) -> Schema {
        self.source.schema()
    }

    fn fingerprint(&self) -> Option<u64> {
        self.source.fingerprint()
    }

    fn next_batch(&mut self, batch: &mut Batch) -> Result<bool> {
        let given = if self.by_itself || (self.ranks == 1 && self.first.is_empty()) {
            self.source.next_batch(batch)?
        } else {
            let at = self.source.cursor();
            let given = self.turn(batch);
            if given.is_err() {
                self.source.seek(at)?;
            }
            given?
        };
        self.pass(self.ranks);
        Ok(given)
    }

    fn cursor(&self) -> Cursor {
        self.source.cursor()
    }

    fn seek(&mut self, cursor: Cursor) -> Result<()> {
        self.source.seek(cursor)?;
        self.first.clear();
        Ok(())
    }

    fn skip(&mut self, batches: u64) -> Result<u64> {
        let (rank, ranks) = (self.rank as u64, self.ranks as u64);
        let all = batches.saturating_mul(ranks);
        let first = (self.first.len() as u64).min(all);
        let passed = if self.by_itself {
            self.source.skip(batches)?
        } else {
            let passed = first + self.source.skip(all - first)?;
            passed.saturating_sub(rank).div_ceil(ranks)
        };
        self.pass(first as usize);
        Ok(passed)
    }

    fn in_streams(&self) -> bool {
        self.source.in_streams()
    }

    fn shard(&mut self, rank: usize, ranks: usize, first: &[Cursor]) -> Result<bool> {
        if rank >= ranks {
            let message = format!("{rank} must be below the number of ranks, {ranks}");
            return Err(Error::argument("rank", message));
        }
        let by_itself = self.source.shard(rank, ranks, first)?;
        if !by_itself && ranks > 1 && self.in_streams() {
            return Err(Error::argument("batches", in_streams(self.name(), ranks)));
        }
        if !by_itself && !first.is_empty() {
            let at = self.source.cursor();
            let there = first.iter().try_for_each(|&cursor| self.source.seek(cursor));
            self.source.seek(at)?;
            there?;
        }
        (self.rank, self.ranks, self.by_itself) = (rank, ranks, by_itself);
        self.first = first.to_vec();
        Ok(true)
    }
}

fn in_streams(name: &str, ranks: usize) -> String {
    format!(
        "the rows of {name} go on from batch to batch, so {ranks} ranks cannot take turns; \
         give each a part of the rows (BatchSource::shard), or train on one"
    )
}
