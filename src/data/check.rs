//! What a batch must be before a device sees it.
use super::{Batch, Task};
use crate::{Error, Result};

impl Batch {
    /// That this is a batch of `batch_size` rows of `width` features with the answers of `task`:
    /// batch `number` that `source` gave. Rows of padding are checked as the valid ones are, since
    /// they are uploaded too. Reads everything once and allocates nothing.
    ///
    /// # Errors
    /// [`Error::Batch`] for more valid rows than the batch size, for another number of features,
    /// labels or targets, for a label that is no class, for a feature or target that is NaN or
    /// infinite, and for a target of [`Task::MultiLabel`] outside 0 to 1.
    pub fn check(
        &self,
        source: &str,
        number: u64,
        batch_size: usize,
        width: usize,
        task: Task,
    ) -> Result<()> {
        self.fault(batch_size, width, task).map_or(Ok(()), |message| {
            Err(Error::Batch { source_name: source.to_owned(), batch: number, message })
        })
    }

    fn fault(&self, batch_size: usize, width: usize, task: Task) -> Option<String> {
        if self.rows > batch_size {
            return Some(format!(
                "has {} valid rows, the batch size is {batch_size}; set `rows` to at most that",
                self.rows
            ));
        }
        let (positions, targets) = (task.positions(), task.targets());
        let parts = [
            ("features", self.features.len(), width),
            ("labels", self.labels.len(), positions),
            ("targets", self.targets.len(), targets),
        ];
        for (what, have, of_row) in parts {
            let needed = batch_size.saturating_mul(of_row);
            if have != needed {
                return Some(format!(
                    "has {have} {what}, {batch_size} rows of {of_row} need {needed} ({task}); \
                     fill the rows after the last valid one with zeros"
                ));
            }
        }
        if let Some(classes) = task.classes()
            && let Some(i) = find(&self.labels, |label| label >= classes)
        {
            return Some(format!(
                "row {}, position {}: label {} must be below {classes}, the number of classes; \
                 count classes from 0, or say that there are more",
                i / positions,
                i % positions,
                self.labels[i],
            ));
        }
        if let Some(i) = find(&self.features, |x| !x.is_finite()) {
            return Some(format!(
                "row {}, feature {} is {}, must be finite; leave the row out or repair it",
                i / width,
                i % width,
                self.features[i]
            ));
        }
        let is_flag = matches!(task, Task::MultiLabel { .. });
        let (what, bad): (_, fn(f32) -> bool) = match is_flag {
            true => ("in 0 to 1", |x| !(0.0..=1.0).contains(&x)),
            false => ("finite", |x| !x.is_finite()),
        };
        find(&self.targets, bad).map(|i| {
            format!(
                "row {}, target {} is {}, must be {what}; leave the row out or repair it",
                i / targets,
                i % targets,
                self.targets[i]
            )
        })
    }
}

/// Index of the first value that is `bad`. Whole chunks are tried at once, without a branch for
/// each value, so that the usual case costs little more than reading them.
pub(super) fn find<T: Copy>(values: &[T], bad: impl Fn(T) -> bool) -> Option<usize> {
    let chunk = values.chunks(CHUNK).position(|c| c.iter().fold(false, |any, &x| any | bad(x)))?;
    let first = chunk * CHUNK;
    values[first..].iter().position(|&x| bad(x)).map(|i| first + i)
}

const CHUNK: usize = 256;
