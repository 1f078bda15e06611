//! What a network takes, against what a source gives.
use crate::data::{Batch, BatchSource, Task};
use crate::{Error, Result};

/// The batches that a network takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Takes {
    /// Rows of a batch.
    pub(crate) batch: usize,
    /// Features of a row.
    pub(crate) width: usize,
    pub(crate) task: Task,
}

impl Takes {
    /// That `source` gives such batches, for `op`.
    ///
    /// # Errors
    /// [`Error::Shape`] with both numbers.
    pub(crate) fn check_source(&self, op: &str, source: &dyn BatchSource) -> Result<()> {
        let name = source.name();
        if source.batch_size() != self.batch {
            let (have, takes) = (source.batch_size(), self.batch);
            let message = format!("{name} has batches of {have} rows, the network takes {takes}");
            return Err(Error::shape(op, message));
        }
        self.check_width(op, name, source.width())?;
        self.check_task(op, name, source.task())
    }

    /// That rows of `width` features, which `name` has, are such.
    ///
    /// # Errors
    /// [`Error::Shape`] with both numbers.
    pub(crate) fn check_width(&self, op: &str, name: &str, width: usize) -> Result<()> {
        if width == self.width {
            return Ok(());
        }
        let takes = self.width;
        Err(Error::shape(op, format!("{name} has {width} features, the network takes {takes}")))
    }

    /// That answers of `task`, which `name` has, are what the network gives.
    ///
    /// # Errors
    /// [`Error::Shape`] says what differs.
    pub(crate) fn check_task(&self, op: &str, name: &str, task: Task) -> Result<()> {
        let message = match (task, self.task) {
            (
                Task::Classification { classes: have, positions },
                Task::Classification { classes: most, positions: answers },
            ) => {
                if have > most {
                    format!("{name} has {have} classes, the network tells {most} apart")
                } else if positions != answers {
                    format!(
                        "rows of {name} have {positions} labels, the network gives {answers} answers; choose a model that \
                         answers as many"
                    )
                } else {
                    return Ok(());
                }
            }
            (have, wanted) if have == wanted => return Ok(()),
            (have, wanted) => format!("{name} is for {have}, the network for {wanted}"),
        };
        Err(Error::shape(op, message))
    }

    /// That `batch`, the `number`-th that `source` gave, is what the source says.
    ///
    /// # Errors
    /// [`Error::Batch`]
    pub(crate) fn check_batch(
        &self,
        source: &dyn BatchSource,
        batch: &Batch,
        number: u64,
    ) -> Result<()> {
        // A source of fewer classes may still not name one that it does not have.
        batch.check(source.name(), number, self.batch, self.width, source.task())
    }
}
