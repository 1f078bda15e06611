//! The elements that are kept, the column of each in sixteen bits, and how many each row has. Where
//! eight bits would do, gaps of eight bits never take more.
use super::matrix::Matrix;
use super::packing::{Part, extents, values};
use crate::storage::Dtype;

pub(super) const COLUMNS: &str = "columns";
pub(super) const COUNTS: &str = "row_counts";

/// Columns that a row has at most: their number fits sixteen bits.
pub(super) const MOST: usize = u16::MAX as usize;

pub(super) fn bytes(matrix: &Matrix<'_>) -> u64 {
    (matrix.rows * 2 + matrix.kept().count() * (2 + matrix.size())) as u64
}

pub(super) fn parts(matrix: &Matrix<'_>) -> Vec<Part> {
    let (mut counts, mut columns, mut count) = (Vec::new(), Vec::new(), 0);
    for row in 0..matrix.rows {
        let before = count;
        for column in matrix.columns_of(row) {
            columns.extend_from_slice(&(column as u16).to_le_bytes());
            count += 1;
        }
        counts.extend_from_slice(&((count - before) as u16).to_le_bytes());
    }
    let rows = vec![matrix.rows];
    vec![
        extents(matrix),
        Part { suffix: COUNTS, dtype: Dtype::U16, shape: rows, bytes: counts },
        Part { suffix: COLUMNS, dtype: Dtype::U16, shape: vec![count], bytes: columns },
        values(matrix),
    ]
}

/// The places of the `count` elements that are kept of `rows` of so many columns; or what is wrong
/// with the parts.
pub(super) fn places(
    [columns, counts]: [&[u8]; 2],
    [rows, across]: [usize; 2],
    count: usize,
) -> Result<Vec<usize>, String> {
    let words = |bytes: &[u8]| -> Vec<usize> {
        bytes.as_chunks().0.iter().map(|&word| u16::from_le_bytes(word).into()).collect()
    };
    let [columns, counts] = [columns, counts].map(words);
    if counts.len() != rows {
        return Err(format!("{COUNTS} has {} numbers for {rows} rows", counts.len()));
    }
    let sum: usize = counts.iter().sum();
    if sum != columns.len() || sum != count {
        let have = columns.len();
        return Err(format!("{COUNTS} adds up to {sum}, {COLUMNS} has {have}, values {count}"));
    }
    let (mut places, mut rest) = (Vec::with_capacity(count), &columns[..]);
    for (row, &of_row) in counts.iter().enumerate() {
        let (here, behind) = rest.split_at(of_row);
        rest = behind;
        let mut least = 0;
        for &column in here {
            if column >= across {
                return Err(format!("{COLUMNS} has {column} of {across} columns in row {row}"));
            }
            if column < least {
                return Err(format!("{COLUMNS} of row {row} are not in order at {column}"));
            }
            least = column + 1;
            places.push(row * across + column);
        }
    }
    Ok(places)
}
