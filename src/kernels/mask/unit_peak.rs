//! `unit_peak`: where each output unit has its highest weight.
use crate::kernels::Units;
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_groups, read, write};

/// `peaks[u]` = input of the value of unit `u` with the highest magnitude, the first of equal ones.
#[derive(Debug, Clone, Copy)]
pub struct UnitPeak {
    /// One a weight.
    pub values: Slot,
    /// `[units]` numbers of inputs.
    pub peaks: Slot,
    /// How they lie, with at most [`UnitPeak::MAX_ROWS`] inputs of a unit.
    pub of: Units,
}

crate::uniform! {
    /// Uniform of [`UnitPeak`].
    pub struct UnitPeakParams {
        /// Inputs of a unit.
        inputs: u32,
        /// Units.
        units: u32,
    }
}

impl UnitPeak {
    /// 16 invocations share a unit, and none may loop more than 30,000 times.
    pub const MAX_ROWS: u32 = 16 * 30_000;
}

impl Kernel for UnitPeak {
    const NAME: &'static str = "unit_peak";
    const WGSL: &'static str = crate::wgsl!("common/score.wgsl", "common/units.wgsl", "unit_peak.wgsl");
    const OPERANDS: &'static [Operand] = &[read("values"), write("peaks")];
    type Params = UnitPeakParams;

    fn bind(&self) -> Vec<Bound> {
        vec![self.values.needs(self.of.len()), self.peaks.needs(self.of.units.into())]
    }

    fn params(&self) -> UnitPeakParams {
        UnitPeakParams { inputs: self.of.inputs, units: self.of.units }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.of.constants()
    }

    fn check(&self) -> Result<(), String> {
        match self.of.inputs {
            0..=Self::MAX_ROWS => self.of.check(),
            inputs => Err(format!("{inputs} inputs, it takes at most {}", Self::MAX_ROWS)),
        }
    }

    fn grid(&self) -> [u32; 3] {
        grid_groups(self.of.units.div_ceil(16))
    }
}

/// Host reference.
pub fn unit_peak_reference(values: &[f32], columns: usize) -> Vec<u32> {
    let score = |r: usize, c: usize| values[r * columns + c].to_bits() & 0x7fff_ffff;
    let rows = values.len() / columns;
    let peak = |c| (0..rows).rev().max_by_key(|&r| score(r, c)).unwrap_or(0) as u32;
    (0..columns).map(peak).collect()
}
