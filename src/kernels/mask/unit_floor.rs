//! `unit_floor`: protects the highest weight of each output unit.
use crate::kernels::mask_words;
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// Sets the bit of each unit's peak in `protect`, and clears the others.
#[derive(Debug, Clone, Copy)]
pub struct UnitFloor {
    /// `[columns]` row numbers, from [`crate::kernels::UnitPeak`].
    pub peaks: Slot,
    /// One bit per weight.
    pub protect: Slot,
    /// Weights.
    pub len: u32,
    /// Units.
    pub columns: u32,
}

crate::uniform! {
    /// Uniform of [`UnitFloor`].
    pub struct UnitFloorParams {
        /// Weights.
        len: u32,
        /// Units.
        columns: u32,
    }
}

impl Kernel for UnitFloor {
    const NAME: &'static str = "unit_floor";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "unit_floor.wgsl");
    const OPERANDS: &'static [Operand] = &[read("peaks"), write("protect")];
    type Params = UnitFloorParams;

    fn bind(&self) -> Vec<Bound> {
        vec![self.peaks.needs(self.columns.into()), self.protect.needs(mask_words(self.len).into())]
    }

    fn params(&self) -> UnitFloorParams {
        UnitFloorParams { len: self.len, columns: self.columns }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(mask_words(self.len))
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
