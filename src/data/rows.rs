//! How the rows of a data set are read.
use super::Dataset;
use super::features::Row;

impl Dataset {
    /// Writes the features of row `i` into `row`. Of an image it is the crop from the middle.
    ///
    /// # Panics
    /// When `i` is not below [`rows`](Self::rows), or `row` is not [`width`](Self::width) long.
    pub fn write_row(&self, i: usize, row: &mut [f32]) {
        self.write_unscaled(i, row);
        self.scale(row);
    }

    /// Writes a random version of row `i`, which depends on `seed`, `epoch` and `i` alone; the row
    /// as it is where [`Images::augment`](super::Images::augment) does not say what is random.
    ///
    /// # Panics
    /// As [`write_row`](Self::write_row).
    pub fn write_random_row(&self, i: usize, seed: u64, epoch: u64, row: &mut [f32]) {
        let Some((images, augment)) = self.images.as_ref().and_then(|x| Some((x, x.augment?)))
        else {
            return self.write_row(i, row);
        };
        assert_eq!(row.len(), self.width(), "length of a row of {}", self.name);
        let draws = augment.draw(images.room(&self.stored_shape), seed, epoch, i as u64);
        images.write_version(self.stored(i), &self.stored_shape, &draws, row);
        self.scale(row);
    }

    /// As [`write_row`](Self::write_row), before any scaling.
    pub(super) fn write_unscaled(&self, i: usize, row: &mut [f32]) {
        assert_eq!(row.len(), self.width(), "length of a row of {}", self.name);
        let own = row.len() - self.beside();
        let (row, rest) = row.split_at_mut(own);
        if let Some(beside) = &self.beside {
            rest.copy_from_slice(beside.row(i));
        }
        match (&self.images, self.stored(i)) {
            (Some(images), stored) => images.write(stored, &self.stored_shape, row),
            (None, Row::F32(values)) => row.copy_from_slice(values),
            (None, Row::U8(bytes, scale)) => {
                for (value, &byte) in row.iter_mut().zip(bytes) {
                    *value = f32::from(byte) * scale;
                }
            }
        }
    }

    fn scale(&self, row: &mut [f32]) {
        if let Some(scaling) = &self.scaling {
            scaling.apply(row);
        }
    }

    fn stored(&self, i: usize) -> Row<'_> {
        self.features.row(i, self.stored_shape.iter().product())
    }
}
