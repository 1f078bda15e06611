//! `pool`: the largest or the mean of each window of an image.
use crate::kernels::Convolution;
use super::window::{self, Pooling, WindowParams};
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// `y[n, oy, ox, c] = pooling of x[n, iy, ix, c]` over the window of each `(oy, ox)`.
#[derive(Debug, Clone, Copy)]
pub struct Pool {
    /// The extents, with a group for each channel.
    pub shape: Convolution,
    /// What becomes of a window.
    pub pooling: Pooling,
    /// Images.
    pub x: Slot,
    /// Result.
    pub y: Slot,
}

impl Kernel for Pool {
    const NAME: &'static str = "pool";
    const WGSL: &'static str = crate::wgsl!(
        "common/grid.wgsl",
        "common/nan.wgsl",
        "common/window.wgsl",
        "pool.wgsl"
    );
    const OPERANDS: &'static [Operand] = &[read("x"), write("y")];
    type Params = WindowParams;

    fn bind(&self) -> Vec<Bound> {
        vec![self.x.needs(self.shape.input_len()), self.y.needs(self.shape.output_len())]
    }

    fn params(&self) -> WindowParams {
        WindowParams::new(&self.shape)
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.pooling.constants()
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.shape.output_len() as u32)
    }

    fn check(&self) -> Result<(), String> {
        window::check(&self.shape)
    }
}

/// Host reference.
pub fn pool_reference(s: &Convolution, pooling: Pooling, x: &[f64]) -> Vec<f64> {
    let one = |window: Vec<usize>| match pooling {
        Pooling::Max => window.iter().fold(f64::NEG_INFINITY, |m, &i| m.max(x[i])),
        Pooling::Mean => window.iter().map(|&i| x[i]).sum::<f64>() / window.len() as f64,
    };
    window::windows(s).into_iter().map(one).collect()
}
