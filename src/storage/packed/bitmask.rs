//! The elements that are kept, one after the other (`compressed`), and a bit for each element of the
//! matrix (`bitmask`): bit j of byte b of a row is that of its column 8 b + j. `row_offsets` says how
//! many are kept before each row; where two of every four are, they are a matrix, and need none.
use super::matrix::Matrix;
use super::packing::{Part, words};
use crate::storage::Dtype;

pub(super) const BITS: &str = "bitmask";
pub(super) const KEPT: &str = "compressed";
pub(super) const OFFSETS: &str = "row_offsets";
pub(super) const SHAPE: &str = "shape";

/// Elements of a group of which two are kept, and columns of a byte.
const GROUP: usize = 4;
const BYTE: usize = 8;

/// Whether no group of four in a row has more than two elements that are not zero, and most have no
/// fewer: otherwise the zeros that would be kept cost more than they save.
pub(super) fn is_two_four(matrix: &Matrix<'_>) -> bool {
    if !matrix.columns.is_multiple_of(GROUP) {
        return false;
    }
    let mut kept = 0;
    for row in 0..matrix.rows {
        for group in 0..matrix.columns / GROUP {
            let of = (0..GROUP).filter(|i| !matrix.is_zero(row, group * GROUP + i)).count();
            if of > 2 {
                return false;
            }
            kept += of;
        }
    }
    bytes_of(matrix, kept, false) >= bytes(matrix, true)
}

fn bytes_of(matrix: &Matrix<'_>, kept: usize, two_four: bool) -> u64 {
    let offsets = if two_four { 0 } else { matrix.rows * 8 };
    (kept * matrix.size() + matrix.rows * matrix.columns.div_ceil(BYTE) + offsets + 16) as u64
}

pub(super) fn bytes(matrix: &Matrix<'_>, two_four: bool) -> u64 {
    let kept = match two_four {
        true => matrix.rows * matrix.columns / 2,
        false => (0..matrix.rows).map(|row| matrix.columns_of(row).count()).sum(),
    };
    bytes_of(matrix, kept, two_four)
}

pub(super) fn parts(matrix: &Matrix<'_>) -> Vec<Part> {
    let (mut offsets, mut rest) = (Vec::new(), Packed::default());
    for row in 0..matrix.rows {
        offsets.push(rest.count);
        rest.push(matrix, row, matrix.columns_of(row));
    }
    let count = rest.count;
    let [extents, bits, kept] = rest.parts(matrix, vec![2], vec![count]);
    let offsets = Part {
        suffix: OFFSETS,
        dtype: Dtype::I64,
        shape: vec![matrix.rows],
        bytes: words(offsets),
    };
    vec![extents, offsets, kept, bits]
}

/// The parts of a matrix of which no group of four in a row has more than two elements that are not
/// zero: where it has fewer, its first zeros are kept, too.
pub(super) fn two_four(matrix: &Matrix<'_>) -> Vec<Part> {
    let mut rest = Packed::default();
    for row in 0..matrix.rows {
        let group = |group: usize| {
            let of = group * GROUP..(group + 1) * GROUP;
            let mut kept: Vec<usize> = of.clone().filter(|&c| !matrix.is_zero(row, c)).collect();
            let zeros = of.filter(|&c| matrix.is_zero(row, c)).take(2 - kept.len().min(2));
            kept.extend(zeros);
            kept.sort_unstable();
            kept
        };
        rest.push(matrix, row, (0..matrix.columns / GROUP).flat_map(group));
    }
    let [extents, bits, kept] =
        rest.parts(matrix, vec![2, 1], vec![matrix.rows, matrix.columns / 2]);
    vec![extents, kept, bits]
}

/// What is kept of the rows so far.
#[derive(Default)]
struct Packed {
    count: usize,
    bits: Vec<u8>,
    kept: Vec<u8>,
}

impl Packed {
    fn push(&mut self, matrix: &Matrix<'_>, row: usize, columns: impl Iterator<Item = usize>) {
        let begin = self.bits.len();
        self.bits.resize(begin + matrix.columns.div_ceil(BYTE), 0);
        for column in columns {
            self.bits[begin + column / BYTE] |= 1 << (column % BYTE);
            match matrix.is_zero(row, column) {
                true => self.kept.resize(self.kept.len() + matrix.size(), 0),
                false => self.kept.extend_from_slice(matrix.at(row, column)),
            }
            self.count += 1;
        }
    }

    fn parts(self, matrix: &Matrix<'_>, extents: Vec<usize>, kept: Vec<usize>) -> [Part; 3] {
        let of_row = matrix.columns.div_ceil(BYTE);
        let (shape, dtype) = (words([matrix.rows, matrix.columns]), matrix.dtype.clone());
        [
            Part { suffix: SHAPE, dtype: Dtype::I64, shape: extents, bytes: shape },
            Part {
                suffix: BITS,
                dtype: Dtype::U8,
                shape: vec![matrix.rows, of_row],
                bytes: self.bits,
            },
            Part { suffix: KEPT, dtype, shape: kept, bytes: self.kept },
        ]
    }
}

/// The dense matrix `[rows, columns]`, of elements of `size` bytes, of these parts; or what is wrong
/// with them. `offsets` are none where two of every four are kept.
pub(super) fn dense(
    [bits, kept]: [&[u8]; 2],
    offsets: Option<&[u8]>,
    [rows, columns]: [usize; 2],
    size: usize,
    mut out: Vec<u8>,
) -> Result<Vec<u8>, String> {
    let of_row = columns.div_ceil(BYTE);
    if bits.len() != rows * of_row {
        let needed = rows * of_row;
        return Err(format!("{BITS} has {} bytes, {rows}x{columns} needs {needed}", bits.len()));
    }
    let (have, mut next) = (kept.len() / size, 0);
    let offsets: Option<Vec<i64>> =
        offsets.map(|bytes| bytes.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b)).collect());
    if let Some(offsets) = offsets.as_ref().filter(|offsets| offsets.len() != rows) {
        return Err(format!("{OFFSETS} has {} numbers for {rows} rows", offsets.len()));
    }
    for row in 0..rows {
        if let Some(wrong) = offsets.as_ref().map(|all| all[row]).filter(|&at| at != next as i64) {
            return Err(format!("{OFFSETS} of row {row} is {wrong}, {BITS} has {next} before it"));
        }
        let bits = &bits[row * of_row..(row + 1) * of_row];
        for column in 0..of_row * BYTE {
            if bits[column / BYTE] >> (column % BYTE) & 1 == 0 {
                continue;
            }
            if column >= columns {
                return Err(format!("{BITS} of row {row} keeps column {column} of {columns}"));
            }
            if next >= have {
                return Err(format!("{BITS} keeps more than the {have} elements of {KEPT}"));
            }
            let to = (row * columns + column) * size;
            out[to..to + size].copy_from_slice(&kept[next * size..(next + 1) * size]);
            next += 1;
        }
    }
    match next == have {
        true => Ok(out),
        false => Err(format!("{BITS} keeps {next}, {KEPT} has {have} elements")),
    }
}
