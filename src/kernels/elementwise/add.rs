//! `add`: the sum of two tensors, the second repeated over the first's leading axes.
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// `out[i] = x[i] + y[i mod period]`
#[derive(Debug, Clone, Copy)]
pub struct Add {
    /// First term.
    pub x: Slot,
    /// Second term, of `period` elements.
    pub y: Slot,
    /// Sum.
    pub out: Slot,
    /// Elements of `x`.
    pub len: u32,
    /// Elements of `y`.
    pub period: u32,
}

crate::uniform! {
    /// Uniform of [`Add`].
    pub struct AddParams {
        /// Elements of `x`.
        len: u32,
        /// Elements of `y`.
        period: u32,
    }
}

impl Kernel for Add {
    const NAME: &'static str = "add";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "add.wgsl");
    const OPERANDS: &'static [Operand] = &[read("x"), read("y"), write("out")];
    type Params = AddParams;

    fn bind(&self) -> Vec<Bound> {
        let len = u64::from(self.len);
        vec![self.x.needs(len), self.y.needs(self.period.into()), self.out.needs(len)]
    }

    fn params(&self) -> AddParams {
        AddParams { len: self.len, period: self.period }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

/// Host reference.
pub fn add_reference(x: &[f64], y: &[f64]) -> Vec<f64> {
    x.iter().enumerate().map(|(i, x)| x + y[i % y.len()]).collect()
}
