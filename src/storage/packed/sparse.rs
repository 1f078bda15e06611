//! The parts of PyTorch's sparse tensors: `crow_indices`, where each row of blocks begins among the
//! `values`, `col_indices`, the column of blocks of each, and the `shape`.
use super::matrix::Matrix;
use super::packing::{Part, words};
use crate::storage::Dtype;

pub(super) const CROW: &str = "crow_indices";
pub(super) const COLUMNS: &str = "col_indices";
pub(super) const VALUES: &str = "values";
pub(super) const SHAPE: &str = "shape";

/// The columns of blocks of `height x width` in a row of blocks that are not all zero.
fn blocks<'a>(
    matrix: &'a Matrix<'_>,
    row: usize,
    [height, width]: [usize; 2],
) -> impl Iterator<Item = usize> + 'a {
    (0..matrix.columns / width).filter(move |&column| {
        let mut at =
            (0..height * width).map(|i| (row * height + i / width, column * width + i % width));
        at.any(|(row, column)| !matrix.is_zero(row, column))
    })
}

fn count(matrix: &Matrix<'_>, size: [usize; 2]) -> usize {
    (0..matrix.rows / size[0]).map(|row| blocks(matrix, row, size).count()).sum()
}

/// Bytes of an index that counts to `most`: 4 as long as that fits.
fn index_bytes(most: usize) -> usize {
    if i32::try_from(most).is_ok() { 4 } else { 8 }
}

pub(super) fn bytes(matrix: &Matrix<'_>, size: [usize; 2]) -> u64 {
    let (count, rows) = (count(matrix, size), matrix.rows / size[0]);
    let index = index_bytes(count.max(matrix.columns));
    let of_block = index + size[0] * size[1] * matrix.size();
    (count * of_block + (rows + 1) * index + 16) as u64
}

/// The parts of `matrix` by elements, or by blocks of that size, which divides it.
pub(super) fn parts(matrix: &Matrix<'_>, size: Option<[usize; 2]>) -> Vec<Part> {
    let [height, width] = size.unwrap_or([1, 1]);
    let (mut begins, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
    for row in 0..matrix.rows / height {
        for column in blocks(matrix, row, [height, width]) {
            columns.push(column);
            for i in 0..height * width {
                let at = (row * height + i / width, column * width + i % width);
                // A zero in a block has no sign, as one that is left out has none.
                match matrix.is_zero(at.0, at.1) {
                    true => values.resize(values.len() + matrix.size(), 0),
                    false => values.extend_from_slice(matrix.at(at.0, at.1)),
                }
            }
        }
        begins.push(columns.len());
    }
    let count = columns.len();
    let index = |suffix, values: Vec<usize>| {
        let shape = vec![values.len()];
        let (dtype, bytes) = match index_bytes(count.max(matrix.columns)) {
            4 => (Dtype::I32, values.iter().flat_map(|&v| (v as i32).to_le_bytes()).collect()),
            _ => (Dtype::I64, words(values)),
        };
        Part { suffix, dtype, shape, bytes }
    };
    let shape = match size {
        Some([height, width]) => vec![count, height, width],
        None => vec![count],
    };
    let extents = words([matrix.rows, matrix.columns]);
    vec![
        Part { suffix: SHAPE, dtype: Dtype::I64, shape: vec![2], bytes: extents },
        index(CROW, begins),
        index(COLUMNS, columns),
        Part { suffix: VALUES, dtype: matrix.dtype.clone(), shape, bytes: values },
    ]
}

/// The dense matrix `[rows, columns]`, of elements of `size` bytes, of these parts; or what is wrong
/// with them.
pub(super) fn dense(
    [begins, columns, values]: [&[u8]; 3],
    index: &Dtype,
    [height, width]: [usize; 2],
    shape: [usize; 2],
    size: usize,
    mut out: Vec<u8>,
) -> Result<Vec<u8>, String> {
    let numbers = |bytes: &[u8], what: &str| -> Result<Vec<usize>, String> {
        let number = |v: i64| usize::try_from(v).map_err(|_| format!("{what} has {v}"));
        match index {
            Dtype::I32 => {
                let all = bytes.as_chunks().0.iter();
                all.map(|&b| number(i32::from_le_bytes(b).into())).collect()
            }
            _ => bytes.as_chunks().0.iter().map(|&b| number(i64::from_le_bytes(b))).collect(),
        }
    };
    let (begins, columns) = (numbers(begins, CROW)?, numbers(columns, COLUMNS)?);
    let (rows, across) = (shape[0] / height, shape[1] / width);
    if begins.len() != rows + 1 {
        return Err(format!("{CROW} has {} numbers, {rows} rows need {}", begins.len(), rows + 1));
    }
    if begins[0] != 0 || begins[rows] != columns.len() {
        let ends = format!("from {} to {}", begins[0], begins[rows]);
        return Err(format!("{CROW} goes {ends}, {COLUMNS} has {}", columns.len()));
    }
    let of_block = height * width * size;
    if values.len() != columns.len() * of_block {
        let have = values.len() / of_block.max(1);
        return Err(format!("{VALUES} has {have} of them, {COLUMNS} {}", columns.len()));
    }
    for row in 0..rows {
        let (first, last) = (begins[row], begins[row + 1]);
        if last < first || last > columns.len() {
            return Err(format!("{CROW} goes from {first} to {last} in row {row}"));
        }
        let mut least = 0;
        for (i, &column) in columns[first..last].iter().enumerate() {
            let block = first + i;
            if column >= across {
                return Err(format!("{COLUMNS} has {column} of {across} columns in row {row}"));
            }
            if column < least {
                return Err(format!("{COLUMNS} of row {row} are not in order at {column}"));
            }
            least = column + 1;
            for y in 0..height {
                let from = block * of_block + y * width * size;
                let to = ((row * height + y) * shape[1] + column * width) * size;
                out[to..to + width * size].copy_from_slice(&values[from..from + width * size]);
            }
        }
    }
    Ok(out)
}
