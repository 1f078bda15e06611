//! Shapes: row-major, at most 2^32 - 1 elements.
use std::fmt;

/// Extents of a tensor, outermost first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shape(Vec<u32>);

impl Shape {
    /// A shape of any rank.
    pub fn new(dims: impl Into<Vec<u32>>) -> Self {
        Self(dims.into())
    }

    /// Extents, outermost first.
    pub fn dims(&self) -> &[u32] {
        &self.0
    }

    /// Number of extents.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Number of elements; `None` when an index of 32 bits could not reach them all.
    pub fn elements(&self) -> Option<u32> {
        self.0.iter().try_fold(1u32, |n, &d| n.checked_mul(d))
    }
}

impl<const N: usize> From<[u32; N]> for Shape {
    fn from(dims: [u32; N]) -> Self {
        Self(dims.to_vec())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}
