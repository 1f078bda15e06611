//! `unit_peak`: where each output unit has its highest weight.
use crate::gpu::{Bound, Kernel, Operand, Slot, read, write};

/// `peaks[c]` = row of the value of column `c` with the highest magnitude, the first of equal ones.
#[derive(Debug, Clone, Copy)]
pub struct UnitPeak {
    /// `[rows, columns]`
    pub values: Slot,
    /// `[columns]` row numbers.
    pub peaks: Slot,
    /// Inputs of a unit, at most [`UnitPeak::MAX_ROWS`].
    pub rows: u32,
    /// Units.
    pub columns: u32,
}

crate::uniform! {
    /// Uniform of [`UnitPeak`].
    pub struct UnitPeakParams {
        /// Inputs of a unit.
        rows: u32,
        /// Units.
        columns: u32,
    }
}

impl UnitPeak {
    /// 16 invocations share a column, and none may loop more than 30,000 times.
    pub const MAX_ROWS: u32 = 16 * 30_000;
}

impl Kernel for UnitPeak {
    const NAME: &'static str = "unit_peak";
    const WGSL: &'static str = crate::wgsl!("common/score.wgsl", "unit_peak.wgsl");
    const OPERANDS: &'static [Operand] = &[read("values"), write("peaks")];
    type Params = UnitPeakParams;

    fn bind(&self) -> Vec<Bound> {
        let len = u64::from(self.rows) * u64::from(self.columns);
        vec![self.values.needs(len), self.peaks.needs(self.columns.into())]
    }

    fn params(&self) -> UnitPeakParams {
        UnitPeakParams { rows: self.rows, columns: self.columns }
    }

    fn check(&self) -> Result<(), String> {
        match self.rows {
            0..=Self::MAX_ROWS => Ok(()),
            rows => Err(format!("{rows} rows, it takes at most {}", Self::MAX_ROWS)),
        }
    }

    fn grid(&self) -> [u32; 3] {
        let groups = self.columns.div_ceil(16);
        [groups.min(65_535), groups.div_ceil(65_535), 1]
    }
}

/// Host reference.
pub fn unit_peak_reference(values: &[f32], columns: usize) -> Vec<u32> {
    let score = |r: usize, c: usize| values[r * columns + c].to_bits() & 0x7fff_ffff;
    let rows = values.len() / columns;
    let peak = |c| (0..rows).rev().max_by_key(|&r| score(r, c)).unwrap_or(0) as u32;
    (0..columns).map(peak).collect()
}
