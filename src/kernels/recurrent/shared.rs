//! What the kernels of recurrent layers share.
use crate::gpu::Target;

/// Rows and units of a workgroup of a step with its product (`common/recurrent_product.wgsl`).
const SIDE: u32 = 8;
/// Workgroups from which on a product of its own is the better one: eight for each of some 132
/// multiprocessors.
const MANY: u32 = 1056;

/// The grid of a step with its product.
pub(super) fn grid(rows: u32, units: u32) -> [u32; 3] {
    [units.div_ceil(SIDE), rows.div_ceil(SIDE), 1]
}

/// Whether `target` is a GPU that such a grid does not fill.
pub(super) fn small(target: Target, rows: u32, units: u32) -> bool {
    let [wide, high, _] = grid(rows, units);
    !target.software && wide.saturating_mul(high) <= MANY
}

pub(super) fn check(rows: u32, units: u32, words: u64) -> Result<(), String> {
    match rows > 0 && units > 0 && words <= u64::from(u32::MAX) {
        true => Ok(()),
        false => Err(format!("{rows} rows of {units} units, {words} words: must be 1 to 2^32 - 1")),
    }
}

/// A row's first element, and the next row's distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stride {
    /// Place of the first row.
    pub begin: u32,
    /// From one row to the next.
    pub stride: u32,
}

impl Stride {
    pub(super) fn end(self, rows: u32, width: u32) -> u64 {
        u64::from(self.begin)
            + u64::from(rows.saturating_sub(1)) * u64::from(self.stride)
            + u64::from(width)
    }
}

/// Names of the constants that are on.
pub(super) fn flags<const N: usize>(all: [(&'static str, bool); N]) -> Vec<(&'static str, f64)> {
    all.into_iter().filter(|&(_, on)| on).map(|(name, _)| (name, 1.0)).collect()
}
