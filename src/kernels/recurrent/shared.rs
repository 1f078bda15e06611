//! What the kernels of recurrent layers share.

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
