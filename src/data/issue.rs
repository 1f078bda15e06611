//! Who trains on which batch, where ranks do not go in step.
use super::{BatchSource, Cursor};
use crate::{Error, Result};

/// Gives out the batches of a source one by one, by their places, and knows which are out. A batch
/// that comes back unused is the next to be given out, so each is used once.
///
/// The source is only asked for places, so the one that another thread reads may serve.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Issue {
    /// Of the first batch that has never been given out.
    cursor: Cursor,
    /// Came back unused, the last one first.
    returned: Vec<Cursor>,
    /// Given out, and not back or used.
    out: Vec<Cursor>,
    /// The source had no more.
    ended: bool,
}

impl Issue {
    /// Goes on from `cursor`, with the batches at `returned` before that.
    pub fn new(cursor: Cursor, mut returned: Vec<Cursor>) -> Self {
        returned.sort_unstable_by(|a, b| b.cmp(a));
        Self { cursor, returned, ..Self::default() }
    }

    /// The place of the next batch, for one who trains on it; `None` when the data has ended, but
    /// for batches that are out and may come back.
    ///
    /// # Errors
    /// [`Error::Argument`] for a source in streams: the next batch is for who has had the last one.
    /// Of `source`.
    pub fn give_out(&mut self, source: &mut (impl BatchSource + ?Sized)) -> Result<Option<Cursor>> {
        if source.in_streams() {
            let message = format!(
                "the rows of {} go on from batch to batch, so batches cannot go to any rank; train \
                 in step (sync_optimizer, with a gradient of each rank), or without streams",
                source.name()
            );
            return Err(Error::argument("batches", message));
        }
        if let Some(cursor) = self.returned.pop() {
            self.out.push(cursor);
            return Ok(Some(cursor));
        }
        if source.cursor() != self.cursor {
            source.seek(self.cursor)?;
        }
        self.ended = source.skip(1)? == 0;
        if self.ended {
            return Ok(None);
        }
        let given = std::mem::replace(&mut self.cursor, source.cursor());
        self.out.push(given);
        Ok(Some(given))
    }

    /// That the batch at `cursor` is out.
    ///
    /// # Errors
    /// [`Error::Argument`] where it is not.
    pub fn check_out(&self, cursor: Cursor) -> Result<()> {
        self.find(cursor).map(|_| ())
    }

    fn find(&self, cursor: Cursor) -> Result<usize> {
        self.out.iter().position(|&out| out == cursor).ok_or_else(|| {
            let Cursor { epoch, row } = cursor;
            let message = format!(
                "the batch at row {row} of epoch {epoch} is not out, {} others are; a rank answers \
                 once for the batch that it was given last",
                self.out.len()
            );
            Error::argument("cursor", message)
        })
    }

    /// The weights have moved by the batch at `cursor`.
    ///
    /// # Errors
    /// [`Error::Argument`] where it is not out.
    pub fn used(&mut self, cursor: Cursor) -> Result<()> {
        let at = self.find(cursor)?;
        self.out.swap_remove(at);
        Ok(())
    }

    /// The batch at `cursor` comes back unused.
    ///
    /// # Errors
    /// [`Error::Argument`] where it is not out.
    pub fn take_back(&mut self, cursor: Cursor) -> Result<()> {
        self.used(cursor)?;
        let at = self.returned.partition_point(|&other| other > cursor);
        self.returned.insert(at, cursor);
        Ok(())
    }

    /// Place of the first batch that has never been given out.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Whether nothing is left to give out: the source has said that it ends, and nothing that came
    /// back waits.
    pub fn is_exhausted(&self) -> bool {
        self.ended && self.returned.is_empty()
    }

    /// Batches that are out.
    pub fn outstanding(&self) -> &[Cursor] {
        &self.out
    }

    /// Batches before the cursor that nobody has used, in their order: those that are out, and
    /// those that came back. With the cursor it is where a run goes on from.
    pub fn unused(&self) -> Vec<Cursor> {
        let mut unused = [&self.returned[..], &self.out].concat();
        unused.sort_unstable();
        unused
    }
}
