//! `activate`: an activation on its own, where its slope is a function of its input.
use crate::kernels::Activation;
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// `out[i] = activation(x[i])`
#[derive(Debug, Clone, Copy)]
pub struct Activate {
    /// Input.
    pub x: Slot,
    /// Applied to each element.
    pub activation: Activation,
    /// Result.
    pub out: Slot,
    /// Elements.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`Activate`].
    pub struct ActivateParams {
        /// Elements.
        len: u32,
    }
}

impl Kernel for Activate {
    const NAME: &'static str = "activate";
    const WGSL: &'static str =
        crate::wgsl!("common/grid.wgsl", "common/activation.wgsl", "activate.wgsl");
    const OPERANDS: &'static [Operand] = &[read("x"), write("out")];
    type Params = ActivateParams;

    fn bind(&self) -> Vec<Bound> {
        [self.x, self.out].map(|s| s.needs(self.len.into())).to_vec()
    }

    fn params(&self) -> ActivateParams {
        ActivateParams { len: self.len }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("ACTIVATION", self.activation.code())]
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

/// Host reference.
pub fn activate_reference(x: &[f64], activation: Activation) -> Vec<f64> {
    x.iter().map(|&x| activation.apply(x)).collect()
}
