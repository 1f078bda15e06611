//! `clipped_exp`: a kernel of this crate's own, from its WGSL to its reference.
use secateur::raw::{Bound, Kernel, Operand, Slot, common, grid_1d, read, uniform, wgsl, write};

/// `out[i] = min(exp(x[i]), limit)`
#[derive(Debug, Clone, Copy)]
pub struct ClippedExp {
    /// Exponents.
    pub x: Slot,
    /// As many powers.
    pub out: Slot,
    /// Elements.
    pub len: u32,
    /// Largest power, up to e^88.
    pub limit: f32,
}

uniform! {
    /// Uniform of [`ClippedExp`].
    pub struct ClippedExpParams {
        /// Elements.
        len: u32,
        /// Largest power.
        limit: f32,
    }
}

impl Kernel for ClippedExp {
    const NAME: &'static str = "clipped_exp";
    const WGSL: &'static str = wgsl!(common::GRID, include_str!("clipped_exp.wgsl"));
    const OPERANDS: &'static [Operand] = &[read("x"), write("out")];
    type Params = ClippedExpParams;

    fn bind(&self) -> Vec<Bound> {
        let len = u64::from(self.len);
        vec![self.x.needs(len), self.out.needs(len)]
    }

    fn params(&self) -> ClippedExpParams {
        ClippedExpParams { len: self.len, limit: self.limit }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }

    fn check(&self) -> Result<(), String> {
        let (limit, most) = (self.limit, 88f32.exp());
        match limit > 0.0 && limit <= most {
            true => Ok(()),
            false => Err(format!("the limit {limit} is not above 0 and up to {most}")),
        }
    }
}

/// Host reference, in f64.
pub fn clipped_exp_reference(x: &[f32], limit: f32) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x).exp().min(limit.into())).collect()
}
