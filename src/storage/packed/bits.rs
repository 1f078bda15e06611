//! The elements that are kept, and a bit for each element, from the first to the last: bit j of
//! byte b is that of element 8 b + j, row ends or not.
use super::matrix::Matrix;
use super::packing::{Part, extents, values};
use crate::storage::Dtype;

pub(super) const BITS: &str = "bits";
/// Elements of a byte.
const BYTE: usize = 8;

pub(super) fn bytes(matrix: &Matrix<'_>) -> u64 {
    (matrix.elements().div_ceil(BYTE) + matrix.kept().count() * matrix.size()) as u64
}

pub(super) fn parts(matrix: &Matrix<'_>) -> Vec<Part> {
    let mut bits = vec![0; matrix.elements().div_ceil(BYTE)];
    for place in matrix.kept() {
        bits[place / BYTE] |= 1 << (place % BYTE);
    }
    let shape = vec![bits.len()];
    let bits = Part { suffix: BITS, dtype: Dtype::U8, shape, bytes: bits };
    vec![extents(matrix), bits, values(matrix)]
}

/// The places of the `count` elements that are kept of so many; or what is wrong with the bits.
pub(super) fn places(bits: &[u8], elements: usize, count: usize) -> Result<Vec<usize>, String> {
    let needed = elements.div_ceil(BYTE);
    if bits.len() != needed {
        let have = bits.len();
        return Err(format!("{BITS} has {have} bytes, {elements} elements need {needed}"));
    }
    let ones: usize = bits.iter().map(|byte| byte.count_ones() as usize).sum();
    if ones != count {
        return Err(format!("{BITS} keeps {ones}, values has {count} elements"));
    }
    let is_set = |place: &usize| bits[place / BYTE] >> (place % BYTE) & 1 == 1;
    let places: Vec<usize> = (0..elements).filter(is_set).collect();
    match places.len() == count {
        true => Ok(places),
        false => Err(format!("{BITS} keeps elements behind the last of {elements}")),
    }
}
