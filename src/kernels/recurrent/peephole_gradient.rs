//! `peephole_gradient`: what the steps of an LSTM add to the gradient of its peepholes.
use super::shared::check;
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// What each row of each time adds to the gradient of the peepholes: `[length * rows, 3 * units]`.
#[derive(Debug, Clone, Copy)]
pub struct PeepholeGradient {
    /// Rows of a batch.
    pub rows: u32,
    /// Units.
    pub units: u32,
    /// Times.
    pub length: u32,
    /// Gradient of the gates' sums.
    pub gradient: Slot,
    /// As [`Lstm`](crate::kernels::Lstm) left them.
    pub cells: Slot,
    /// The addends.
    pub out: Slot,
}

crate::uniform! {
    /// Uniform of [`PeepholeGradient`].
    pub struct PeepholeGradientParams {
        /// Rows of a batch.
        rows: u32,
        /// Units.
        units: u32,
        /// Times.
        length: u32,
    }
}

impl PeepholeGradient {
    fn len(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.units) * u64::from(self.length)
    }
}

impl Kernel for PeepholeGradient {
    const NAME: &'static str = "peephole_gradient";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "peephole_gradient.wgsl");
    const OPERANDS: &'static [Operand] = &[read("gradient"), read("cells"), write("out")];
    type Params = PeepholeGradientParams;

    fn bind(&self) -> Vec<Bound> {
        let one = u64::from(self.rows) * u64::from(self.units);
        vec![
            self.gradient.needs(4 * self.len()),
            self.cells.needs(self.len() + one),
            self.out.needs(3 * self.len()),
        ]
    }

    fn params(&self) -> PeepholeGradientParams {
        let &Self { rows, units, length, .. } = self;
        PeepholeGradientParams { rows, units, length }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len().min(u64::from(u32::MAX)) as u32)
    }

    fn check(&self) -> Result<(), String> {
        check(self.rows, self.units, 4 * self.len())
    }
}
