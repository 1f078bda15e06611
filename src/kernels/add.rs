//! `add`: the sum of two tensors, where a tensor is used twice.
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// `out[i] = x[i] + y[i]`
#[derive(Debug, Clone, Copy)]
pub struct Add {
    /// First term.
    pub x: Slot,
    /// Second term.
    pub y: Slot,
    /// Sum.
    pub out: Slot,
    /// Elements.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`Add`].
    pub struct AddParams {
        /// Elements.
        len: u32,
    }
}

impl Kernel for Add {
    const NAME: &'static str = "add";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "add.wgsl");
    const OPERANDS: &'static [Operand] = &[read("x"), read("y"), write("out")];
    type Params = AddParams;

    fn bind(&self) -> Vec<Bound> {
        [self.x, self.y, self.out].map(|s| s.needs(self.len.into())).to_vec()
    }

    fn params(&self) -> AddParams {
        AddParams { len: self.len }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

/// Host reference.
pub fn add_reference(x: &[f32], y: &[f32]) -> Vec<f32> {
    x.iter().zip(y).map(|(x, y)| x + y).collect()
}
