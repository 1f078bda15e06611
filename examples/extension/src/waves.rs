//! A data source of this crate's own: rows that are computed, and never end.
use secateur::data::{Batch, BatchSource, Cursor, Task};
use secateur::{Error, Result};

/// Rows of one number x, and the two numbers sin x and cos x to predict for it.
#[derive(Debug)]
pub struct Waves {
    batch_size: usize,
    /// Rows given so far.
    row: u64,
}

impl Waves {
    /// Batches of `batch_size` rows.
    pub fn new(batch_size: usize) -> Self {
        Self { batch_size, row: 0 }
    }
}

impl BatchSource for Waves {
    fn name(&self) -> &str {
        "waves"
    }

    fn batch_size(&self) -> usize {
        self.batch_size
    }

    fn shape(&self) -> &[usize] {
        &[1]
    }

    fn task(&self) -> Task {
        Task::Regression { outputs: 2 }
    }

    fn next_batch(&mut self, batch: &mut Batch) -> Result<bool> {
        let rows = self.row..self.row + self.batch_size as u64;
        // The fractional parts of multiples of the golden ratio fill an interval evenly.
        let xs = rows.map(|i| ((i as f64 * 0.618_033_988_75).fract() * 6.0 - 3.0) as f32);
        batch.features.clear();
        batch.features.extend(xs);
        batch.targets.clear();
        batch.targets.extend(batch.features.iter().flat_map(|x| [x.sin(), x.cos()]));
        batch.rows = self.batch_size;
        batch.epoch = 0;
        self.row += self.batch_size as u64;
        Ok(true)
    }

    fn cursor(&self) -> Cursor {
        Cursor { epoch: 0, row: self.row }
    }

    fn seek(&mut self, cursor: Cursor) -> Result<()> {
        if cursor.epoch != 0 || !cursor.row.is_multiple_of(self.batch_size as u64) {
            let message = format!("{cursor:?} begins no batch of {}", self.batch_size);
            return Err(Error::argument("cursor", message));
        }
        self.row = cursor.row;
        Ok(())
    }
}
