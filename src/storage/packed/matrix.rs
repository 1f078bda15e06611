//! A dense tensor as the bytes of its file.
use crate::storage::Dtype;

/// Rows of elements, one after the other: of a tensor of more than two axes all but the last one
/// together count the rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub(super) dtype: &'a Dtype,
    /// Of the tensor.
    pub(super) shape: &'a [usize],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) bytes: &'a [u8],
    /// The bits of an element that make it another number than zero.
    mask: &'static [u8],
}

impl<'a> Matrix<'a> {
    /// The tensor `shape` of these `bytes`; none for fewer than two axes, without any element, and
    /// for types whose zeros are not known.
    pub(super) fn new(dtype: &'a Dtype, shape: &'a [usize], bytes: &'a [u8]) -> Option<Self> {
        let ([leading @ .., columns], mask) = (shape, dtype.mask()?) else { return None };
        let (rows, columns) = (leading.iter().product(), *columns);
        let is_one = !leading.is_empty() && rows > 0 && columns > 0;
        is_one.then_some(Self { dtype, shape, rows, columns, bytes, mask })
    }

    /// Whether it has two axes.
    pub(super) fn is_flat(&self) -> bool {
        self.shape.len() == 2
    }

    /// Bytes of an element.
    pub(super) fn size(&self) -> usize {
        self.mask.len()
    }

    /// Number of elements.
    pub(super) fn elements(&self) -> usize {
        self.rows * self.columns
    }

    /// The element of a row and a column.
    pub(super) fn at(&self, row: usize, column: usize) -> &'a [u8] {
        self.element(row * self.columns + column)
    }

    /// The element at a place, counted row by row.
    pub(super) fn element(&self, place: usize) -> &'a [u8] {
        &self.bytes[place * self.size()..(place + 1) * self.size()]
    }

    /// Whether that is a zero, with whatever sign.
    pub(super) fn is_zero(&self, row: usize, column: usize) -> bool {
        self.is_zero_at(row * self.columns + column)
    }

    /// The same of a place.
    pub(super) fn is_zero_at(&self, place: usize) -> bool {
        self.element(place).iter().zip(self.mask).all(|(byte, mask)| byte & mask == 0)
    }

    /// The columns of a row whose elements are not zero.
    pub(super) fn columns_of(&self, row: usize) -> impl Iterator<Item = usize> {
        let this = *self;
        (0..self.columns).filter(move |&column| !this.is_zero(row, column))
    }

    /// The places whose elements are not zero, in their order.
    pub(super) fn kept(&self) -> impl Iterator<Item = usize> {
        let this = *self;
        (0..self.elements()).filter(move |&place| !this.is_zero_at(place))
    }

    /// The elements at these places, one after the other.
    pub(super) fn elements_at(&self, places: impl IntoIterator<Item = usize>) -> Vec<u8> {
        places.into_iter().flat_map(|place| self.element(place).iter().copied()).collect()
    }
}
