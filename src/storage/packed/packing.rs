//! How a matrix is packed, and which packing a file's matrices get.
use std::fmt;

use serde::Serialize;

use super::matrix::Matrix;
use super::{bitmask, sparse};
use crate::storage::Dtype;

/// What the matrices of a file become, where that takes fewer bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Nothing: every element is there, and every reader of safetensors reads it.
    #[default]
    Dense,
    /// The parts of PyTorch's `sparse_csr` and `sparse_bsr` tensors.
    Sparse,
    /// The elements that are not zero, and a bit for each that says which these are.
    Bitmask,
}

/// How one matrix is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packing {
    /// The column of each element beside it, row by row.
    Csr,
    /// The same of blocks, which are kept whole.
    Blocks {
        /// Rows of a block.
        rows: usize,
        /// Columns of a block.
        columns: usize,
    },
    /// A bit for each element.
    Bitmask,
    /// The same where two of every four in a row are kept.
    TwoFour,
}

/// A tensor that a matrix becomes, by what follows the name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    pub(super) suffix: &'static str,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) bytes: Vec<u8>,
}

/// Blocks that are tried: what kernels for blocks have.
const BLOCKS: [[usize; 2]; 10] =
    [[4, 4], [8, 8], [16, 16], [32, 32], [1, 4], [4, 1], [1, 16], [16, 1], [1, 32], [32, 1]];

impl Format {
    /// The packing in which `matrix` takes the fewest bytes; none where it takes fewer as it is.
    pub(super) fn choose(self, matrix: &Matrix<'_>) -> Option<Packing> {
        let candidates = match self {
            Self::Dense => Vec::new(),
            Self::Bitmask if bitmask::is_two_four(matrix) => vec![Packing::TwoFour],
            Self::Bitmask => vec![Packing::Bitmask],
            Self::Sparse => {
                let fits = |[rows, columns]: &[usize; 2]| {
                    matrix.rows.is_multiple_of(*rows) && matrix.columns.is_multiple_of(*columns)
                };
                let blocks = BLOCKS.into_iter().filter(fits);
                let blocks = blocks.map(|[rows, columns]| Packing::Blocks { rows, columns });
                [Packing::Csr].into_iter().chain(blocks).collect()
            }
        };
        let sized = candidates.into_iter().map(|packing| (packing.bytes(matrix), packing));
        let (bytes, packing) = sized.min_by_key(|(bytes, _)| *bytes)?;
        (bytes < matrix.bytes.len() as u64).then_some(packing)
    }
}

impl Packing {
    /// Bytes of the parts that `matrix` becomes.
    fn bytes(self, matrix: &Matrix<'_>) -> u64 {
        match self {
            Self::Csr => sparse::bytes(matrix, [1, 1]),
            Self::Blocks { rows, columns } => sparse::bytes(matrix, [rows, columns]),
            Self::Bitmask | Self::TwoFour => bitmask::bytes(matrix, self == Self::TwoFour),
        }
    }

    /// The parts that `matrix` becomes.
    pub(super) fn parts(self, matrix: &Matrix<'_>) -> Vec<Part> {
        match self {
            Self::Csr => sparse::parts(matrix, None),
            Self::Blocks { rows, columns } => sparse::parts(matrix, Some([rows, columns])),
            Self::Bitmask => bitmask::parts(matrix),
            Self::TwoFour => bitmask::two_four(matrix),
        }
    }

    /// What the names of the parts of `name` begin with; none where the layout has no name for it.
    pub(super) fn stem(self, name: &str) -> Option<&str> {
        match self {
            Self::Csr | Self::Blocks { .. } => Some(name),
            Self::Bitmask | Self::TwoFour => name.strip_suffix(".weight"),
        }
    }
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Csr => f.write_str("csr"),
            Self::Blocks { rows, columns } => write!(f, "bsr {rows}x{columns}"),
            Self::Bitmask => f.write_str("bitmask"),
            Self::TwoFour => f.write_str("2:4 bitmask"),
        }
    }
}

impl Serialize for Packing {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Whole numbers as elements of 64 bits.
pub(super) fn words(values: impl IntoIterator<Item = usize>) -> Vec<u8> {
    values.into_iter().flat_map(|value| (value as i64).to_le_bytes()).collect()
}
