//! `gate`: a gradient through an activation.
use crate::kernels::Activation;
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// `out[i] = gradient[i] * slope(output[i])`
#[derive(Debug, Clone, Copy)]
pub struct Gate {
    /// Gradient of the activation's output.
    pub gradient: Slot,
    /// The activation's output.
    pub output: Slot,
    /// Which activation.
    pub activation: Activation,
    /// Gradient of the activation's input.
    pub out: Slot,
    /// Elements.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`Gate`].
    pub struct GateParams {
        /// Elements.
        len: u32,
    }
}

impl Kernel for Gate {
    const NAME: &'static str = "gate";
    const WGSL: &'static str =
        crate::wgsl!("common/grid.wgsl", "common/activation.wgsl", "gate.wgsl");
    const OPERANDS: &'static [Operand] = &[read("gradient"), read("output"), write("out")];
    type Params = GateParams;

    fn bind(&self) -> Vec<Bound> {
        [self.gradient, self.output, self.out].map(|s| s.needs(self.len.into())).to_vec()
    }

    fn params(&self) -> GateParams {
        GateParams { len: self.len }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("GATE", self.activation.code())]
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

/// Host reference.
pub fn gate_reference(gradient: &[f32], output: &[f32], activation: Activation) -> Vec<f64> {
    let one = |(g, y): (&f32, &f32)| f64::from(*g) * activation.slope(f64::from(*y));
    gradient.iter().zip(output).map(one).collect()
}
