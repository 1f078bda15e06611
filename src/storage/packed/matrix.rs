//! A dense matrix as the bytes of its file.
use crate::storage::Dtype;

/// Rows of elements, one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub(super) dtype: &'a Dtype,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) bytes: &'a [u8],
    /// The bits of an element that make it another number than zero.
    mask: &'static [u8],
}

impl<'a> Matrix<'a> {
    /// The matrix `shape` of these `bytes`; none for other ranks, and for types whose zeros are not
    /// known.
    pub(super) fn new(dtype: &'a Dtype, shape: &[usize], bytes: &'a [u8]) -> Option<Self> {
        let (&[rows, columns], mask) = (shape, dtype.mask()?) else { return None };
        (rows > 0 && columns > 0).then_some(Self { dtype, rows, columns, bytes, mask })
    }

    /// Bytes of an element.
    pub(super) fn size(&self) -> usize {
        self.mask.len()
    }

    /// The element of a row and a column.
    pub(super) fn at(&self, row: usize, column: usize) -> &'a [u8] {
        let first = (row * self.columns + column) * self.size();
        &self.bytes[first..first + self.size()]
    }

    /// Whether that is a zero, with whatever sign.
    pub(super) fn is_zero(&self, row: usize, column: usize) -> bool {
        self.at(row, column).iter().zip(self.mask).all(|(byte, mask)| byte & mask == 0)
    }

    /// The columns of a row whose elements are not zero.
    pub(super) fn columns_of(&self, row: usize) -> impl Iterator<Item = usize> {
        let this = *self;
        (0..self.columns).filter(move |&column| !this.is_zero(row, column))
    }
}
