//! How a matrix is packed, and which packing a file's matrices get.
use std::fmt;

use serde::Serialize;

use super::groups::Groups;
use super::matrix::Matrix;
use super::{bitmask, bits, columns, gaps, sparse};
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
    /// Whatever takes the fewest bytes, tensor by tensor: the parts of this crate's own, or
    /// PyTorch's.
    Smallest,
}

/// How one tensor is kept.
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
    /// A bit for each element, whatever the axes.
    Bits,
    /// The number of zeros before each element, in codes.
    Gaps {
        /// Bits of a code, 4 or 8.
        bits: u32,
    },
    /// The column of each element in 16 bits, row by row.
    Columns,
    /// N:M: so many of each group of neighbours, and their places in it.
    Groups {
        /// Elements that are kept of a group.
        kept: usize,
        /// Neighbours in a group.
        of: usize,
        /// The axis that groups run along.
        axis: usize,
    },
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
    /// The packing in which `matrix` takes the fewest bytes, and these; none where it takes fewer
    /// as it is.
    pub(super) fn choose(self, matrix: &Matrix<'_>) -> Option<(u64, Packing)> {
        let flat = matrix.is_flat();
        let fits = |[rows, columns]: &[usize; 2]| {
            matrix.rows.is_multiple_of(*rows) && matrix.columns.is_multiple_of(*columns)
        };
        let blocks = BLOCKS.into_iter().filter(fits);
        let blocks = blocks.map(|[rows, columns]| Packing::Blocks { rows, columns });
        let sparse = [Packing::Csr].into_iter().chain(blocks);
        let candidates: Vec<Packing> = match self {
            Self::Dense => Vec::new(),
            Self::Bitmask if !flat => Vec::new(),
            Self::Bitmask if bitmask::is_two_four(matrix) => vec![Packing::TwoFour],
            Self::Bitmask => vec![Packing::Bitmask],
            Self::Sparse => sparse.filter(|_| flat).collect(),
            Self::Smallest => {
                let codes = [4, 8].map(|bits| Packing::Gaps { bits });
                let columns = (matrix.columns <= columns::MOST).then_some(Packing::Columns);
                let own = [Packing::Bits].into_iter().chain(codes).chain(columns);
                own.chain(sparse.filter(|_| flat)).collect()
            }
        };
        let sized = candidates.into_iter().map(|packing| (packing.bytes(matrix), packing));
        let dense = matrix.bytes.len() as u64;
        let best = sized.min_by_key(|(bytes, _)| *bytes).filter(|(bytes, _)| *bytes < dense);
        let limit = best.map_or(dense, |(bytes, _)| bytes);
        let groups = match self {
            Self::Smallest if flat => Groups::best(matrix, limit),
            _ => None,
        };
        let groups = groups
            .map(|(bytes, Groups { kept, of, axis })| (bytes, Packing::Groups { kept, of, axis }));
        groups.or(best)
    }
}

impl Packing {
    /// Bytes of the parts that `matrix` becomes.
    fn bytes(self, matrix: &Matrix<'_>) -> u64 {
        let shape = matrix.shape.len() as u64 * 8;
        match self {
            Self::Csr => sparse::bytes(matrix, [1, 1]),
            Self::Blocks { rows, columns } => sparse::bytes(matrix, [rows, columns]),
            Self::Bitmask | Self::TwoFour => bitmask::bytes(matrix, self == Self::TwoFour),
            Self::Bits => shape + bits::bytes(matrix),
            Self::Gaps { bits } => shape + gaps::bytes(matrix, bits),
            Self::Columns => shape + columns::bytes(matrix),
            Self::Groups { kept, of, axis } => {
                let groups = Groups { kept, of, axis };
                shape + groups.bytes(matrix.elements(), matrix.size())
            }
        }
    }

    /// The parts that `matrix` becomes.
    pub(super) fn parts(self, matrix: &Matrix<'_>) -> Vec<Part> {
        match self {
            Self::Csr => sparse::parts(matrix, None),
            Self::Blocks { rows, columns } => sparse::parts(matrix, Some([rows, columns])),
            Self::Bitmask => bitmask::parts(matrix),
            Self::TwoFour => bitmask::two_four(matrix),
            Self::Bits => bits::parts(matrix),
            Self::Gaps { bits } => gaps::parts(matrix, bits),
            Self::Columns => columns::parts(matrix),
            Self::Groups { kept, of, axis } => Groups { kept, of, axis }.parts(matrix),
        }
    }

    /// What the names of the parts of `name` begin with; none where the layout has no name for it.
    pub(super) fn stem(self, name: &str) -> Option<&str> {
        match self {
            Self::Csr | Self::Blocks { .. } | Self::Bits | Self::Columns => Some(name),
            Self::Gaps { .. } | Self::Groups { .. } => Some(name),
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
            Self::Bits => f.write_str("bits"),
            Self::Gaps { bits } => write!(f, "gaps of {bits} bits"),
            Self::Columns => f.write_str("columns"),
            Self::Groups { kept, of, axis: 1 } => write!(f, "{kept}:{of} in rows"),
            Self::Groups { kept, of, .. } => write!(f, "{kept}:{of} in columns"),
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

/// The extents of a tensor, as a part.
pub(super) fn extents(matrix: &Matrix<'_>) -> Part {
    let bytes = words(matrix.shape.iter().copied());
    Part { suffix: sparse::SHAPE, dtype: Dtype::I64, shape: vec![matrix.shape.len()], bytes }
}

/// The elements that are not zero, as a part.
pub(super) fn values(matrix: &Matrix<'_>) -> Part {
    let bytes = matrix.elements_at(matrix.kept());
    let shape = vec![bytes.len() / matrix.size()];
    Part { suffix: sparse::VALUES, dtype: matrix.dtype.clone(), shape, bytes }
}
