//! What goes from cut to cut: a row for each window of a text, or for each image.
use std::borrow::Cow;
use std::path::Path;

use crate::Result;
use crate::storage::Spill;

/// Rows of one shape, and what goes beside them through every block.
#[derive(Debug)]
pub(crate) struct Stream {
    shape: Vec<u32>,
    values: Held,
    width: usize,
    /// Which positions are no padding; before the first block also the types of the tokens.
    beside: Vec<f32>,
    rows: usize,
}

/// Where the rows are.
#[derive(Debug)]
enum Held {
    Memory(Vec<f32>),
    File(Spill),
}

impl Stream {
    /// `rows` rows of zeros of `shape`, and nothing beside them; in a file in `folder`, if there is
    /// one, else in memory.
    pub(crate) fn new(rows: usize, shape: &[u32], folder: Option<&Path>) -> Result<Self> {
        let width: usize = shape.iter().map(|&d| d as usize).product();
        let values = match folder {
            Some(folder) => Held::File(Spill::create(folder, rows as u64 * width as u64)?),
            None => Held::Memory(vec![0.0; rows * width]),
        };
        Ok(Self { shape: shape.to_vec(), values, width, beside: Vec::new(), rows })
    }

    /// As many rows of zeros of `shape`, in such a place, and nothing beside them.
    pub(crate) fn like(&self, shape: &[u32]) -> Result<Self> {
        Self::new(self.rows, shape, self.folder())
    }

    /// The same rows once more, in such a place.
    pub(crate) fn copied(&self) -> Result<Self> {
        let mut copy = self.like(&self.shape)?;
        (0..self.rows).try_for_each(|row| copy.write(row, &self.row(row)?))?;
        Ok(copy.with_beside(self.beside.clone()))
    }

    fn folder(&self) -> Option<&Path> {
        match &self.values {
            Held::Memory(_) => None,
            Held::File(spill) => Some(spill.folder()),
        }
    }

    /// With as many values `beside` each row.
    pub(crate) fn with_beside(self, beside: Vec<f32>) -> Self {
        Self { beside, ..self }
    }

    /// Extents of a row.
    pub(crate) fn shape(&self) -> &[u32] {
        &self.shape
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn row(&self, row: usize) -> Result<Cow<'_, [f32]>> {
        let first = row * self.width;
        Ok(match &self.values {
            Held::Memory(values) => Cow::Borrowed(&values[first..first + self.width]),
            Held::File(spill) => {
                let mut values = vec![0.0; self.width];
                spill.read(first as u64, &mut values)?;
                Cow::Owned(values)
            }
        })
    }

    /// What is beside a row.
    pub(crate) fn beside(&self, row: usize) -> &[f32] {
        let width = self.beside.len() / self.rows.max(1);
        &self.beside[row * width..(row + 1) * width]
    }

    pub(crate) fn write(&mut self, row: usize, values: &[f32]) -> Result<()> {
        let first = row * self.width;
        match &mut self.values {
            Held::Memory(all) => all[first..first + self.width].copy_from_slice(values),
            Held::File(spill) => spill.write(first as u64, &values[..self.width])?,
        }
        Ok(())
    }

    /// All rows, one after the other.
    pub(crate) fn into_values(self) -> Result<Vec<f32>> {
        match self.values {
            Held::Memory(values) => Ok(values),
            Held::File(spill) => {
                let mut values = vec![0.0; self.rows * self.width];
                spill.read(0, &mut values)?;
                Ok(values)
            }
        }
    }

    /// Takes the rows of `other`; what is beside them stays.
    pub(crate) fn replace(&mut self, other: Self) {
        let beside = std::mem::take(&mut self.beside);
        *self = other.with_beside(beside);
    }

    /// Leaves the first half of what is beside each row.
    pub(crate) fn halve_beside(&mut self) {
        let width = self.beside.len() / self.rows.max(1);
        let halves = self.beside.chunks(width.max(1)).flat_map(|row| &row[..width / 2]);
        self.beside = halves.copied().collect();
    }

    /// One of the rows alone, in memory.
    pub(crate) fn only(&self, row: usize) -> Result<Self> {
        let mut one = Self::new(1, &self.shape, None)?;
        one.write(0, &self.row(row)?)?;
        Ok(one.with_beside(self.beside(row).to_vec()))
    }
}
