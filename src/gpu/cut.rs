//! A launch that would take too long, or whose grid is too large, as several: pure, no GPU.
//!
//! Windows and macOS reset a GPU that one launch keeps busy for some two seconds, and loops that
//! are bounded do not bound a launch. So a kernel may say what its launch costs, and read from its
//! uniform which workgroup the launch begins with; a plan then launches pieces of its grid. Every
//! workgroup computes what it did, so no bit changes.

use super::adapter::AdapterKind;

/// Most workgroups in one dimension (WebGPU).
const MAX: u32 = 65_535;

/// What a plan needs to know of a kernel to cut its launches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Multiply-adds of the whole launch, as products make them; what takes longer counts more.
    pub operations: u64,
    /// Place in bytes of three neighbouring words of the uniform, the workgroup that the launch
    /// begins with: x, y and z. A plan fills them in, on top of what the kernel has there: 0, but
    /// where it launches a part of a grid itself.
    pub first: usize,
}

/// A part of a grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its first workgroup in the whole.
    pub(super) first: [u32; 3],
    /// Workgroups of it.
    pub(super) grid: [u32; 3],
}

/// Multiply-adds that an adapter of this kind makes within some 100 ms, none of them fast: what
/// stands in until a tuner has measured. `None` where nobody resets it.
pub(super) fn safe_operations(kind: AdapterKind) -> Option<u64> {
    match kind {
        AdapterKind::Software => None,
        AdapterKind::Discrete => Some(50_000_000_000),
        AdapterKind::Integrated | AdapterKind::Virtual | AdapterKind::Other => Some(5_000_000_000),
    }
}

/// The pieces of `grid` that make at most `most` of its `operations` each, or are one workgroup,
/// and are within WebGPU's limit: slices of z, or else of y, or else of x.
pub(super) fn pieces(grid: [u32; 3], operations: u64, most: Option<u64>) -> Vec<Piece> {
    let [x, y, z] = grid;
    let workgroups = u64::from(x) * u64::from(y) * u64::from(z);
    let each = operations.div_ceil(workgroups.max(1)).max(1);
    let budget = most.map_or(u64::MAX, |most| (most / each).max(1));
    let wide = even(x, budget);
    let high = if wide == x { even(y, budget / u64::from(x)) } else { 1 };
    let deep = match wide == x && high == y {
        true => even(z, budget / (u64::from(x) * u64::from(y))),
        false => 1,
    };
    let along = |extent: u32, step: u32| (0..extent).step_by(step as usize);
    let mut pieces = Vec::new();
    for fz in along(z, deep) {
        for fy in along(y, high) {
            for fx in along(x, wide) {
                let grid = [wide.min(x - fx), high.min(y - fy), deep.min(z - fz)];
                pieces.push(Piece { first: [fx, fy, fz], grid });
            }
        }
    }
    pieces
}

/// The longest step through `extent` that is at most `budget`, such that all steps are about even.
fn even(extent: u32, budget: u64) -> u32 {
    let most = u32::try_from(budget).unwrap_or(MAX).clamp(1, MAX);
    extent.div_ceil(extent.div_ceil(most))
}
