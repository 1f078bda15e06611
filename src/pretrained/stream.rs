//! What goes from cut to cut: a row for each window of a text, or for each image.

/// Rows of one shape in host memory, and what goes beside them through every block.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stream {
    shape: Vec<u32>,
    values: Vec<f32>,
    width: usize,
    /// Which positions are no padding; before the first block also the types of the tokens.
    beside: Vec<f32>,
    rows: usize,
}

impl Stream {
    /// `rows` rows of zeros of `shape`, and nothing beside them.
    pub(crate) fn new(rows: usize, shape: &[u32]) -> Self {
        let width = shape.iter().map(|&d| d as usize).product();
        let values = vec![0.0; rows * width];
        Self { shape: shape.to_vec(), values, width, beside: Vec::new(), rows }
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

    pub(crate) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.width..(row + 1) * self.width]
    }

    /// What is beside a row.
    pub(crate) fn beside(&self, row: usize) -> &[f32] {
        let width = self.beside.len() / self.rows.max(1);
        &self.beside[row * width..(row + 1) * width]
    }

    pub(crate) fn write(&mut self, row: usize, values: &[f32]) {
        self.values[row * self.width..(row + 1) * self.width].copy_from_slice(values);
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

    /// All rows, one after the other.
    pub(crate) fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// One of the rows alone.
    pub(crate) fn only(&self, row: usize) -> Self {
        let mut one = Self::new(1, &self.shape);
        one.write(0, self.row(row));
        one.with_beside(self.beside(row).to_vec())
    }
}
