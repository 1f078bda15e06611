//! `unit_floor`: protects the highest weight of each output unit.
use crate::kernels::Units;
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// Sets the bit of each unit's peak in `protect`, and clears the others.
#[derive(Debug, Clone, Copy)]
pub struct UnitFloor {
    /// `[units]` numbers of inputs, from [`crate::kernels::UnitPeak`].
    pub peaks: Slot,
    /// One bit per weight.
    pub protect: Slot,
    /// How the weights lie.
    pub of: Units,
}

crate::uniform! {
    /// Uniform of [`UnitFloor`].
    pub struct UnitFloorParams {
        /// Inputs of a unit.
        inputs: u32,
        /// Units.
        units: u32,
    }
}

impl Kernel for UnitFloor {
    const NAME: &'static str = "unit_floor";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "common/units.wgsl", "unit_floor.wgsl");
    const OPERANDS: &'static [Operand] = &[read("peaks"), write("protect")];
    type Params = UnitFloorParams;

    fn bind(&self) -> Vec<Bound> {
        let words = self.of.len().div_ceil(32);
        vec![self.peaks.needs(self.of.units.into()), self.protect.needs(words)]
    }

    fn params(&self) -> UnitFloorParams {
        UnitFloorParams { inputs: self.of.inputs, units: self.of.units }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.of.constants()
    }

    fn check(&self) -> Result<(), String> {
        self.of.check()
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(u32::try_from(self.of.len().div_ceil(32)).unwrap_or(u32::MAX))
    }
}

/// Host reference.
pub fn unit_floor_reference(peaks: &[u32], len: usize) -> Vec<u32> {
    let mut protect = vec![0; len.div_ceil(32)];
    for (c, &row) in peaks.iter().enumerate() {
        let i = row as usize * peaks.len() + c;
        protect[i / 32] |= 1 << (i % 32);
    }
    protect
}
