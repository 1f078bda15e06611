//! `pool_gradient`: the gradient of `pool` by its images.
use crate::kernels::Convolution;
use super::window::{self, Pooling, WindowParams};
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// Each pixel gathers from the windows that hold it, so that nothing is added by two invocations.
/// Where no two windows share a pixel, each window writes its own.
#[derive(Debug, Clone, Copy)]
pub struct PoolGradient {
    /// The extents, with a group for each channel.
    pub shape: Convolution,
    /// What became of a window.
    pub pooling: Pooling,
    /// Of the result.
    pub gradient: Slot,
    /// Images.
    pub x: Slot,
    /// Gradient of the images.
    pub out: Slot,
}

impl PoolGradient {
    /// Whether no two windows share a pixel.
    fn apart(&self) -> bool {
        (0..2).all(|d| self.shape.stride[d] >= self.shape.kernel[d])
    }
}

impl Kernel for PoolGradient {
    const NAME: &'static str = "pool_gradient";
    const WGSL: &'static str =
        crate::wgsl!("common/grid.wgsl", "common/window.wgsl", "pool_gradient.wgsl");
    const OPERANDS: &'static [Operand] = &[read("gradient"), read("x"), write("out")];
    type Params = WindowParams;

    fn bind(&self) -> Vec<Bound> {
        let (x, y) = (self.shape.input_len(), self.shape.output_len());
        vec![self.gradient.needs(y), self.x.needs(x), self.out.needs(x)]
    }

    fn params(&self) -> WindowParams {
        WindowParams::new(&self.shape)
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let mut constants = self.pooling.constants();
        if self.apart() {
            constants.push(("APART", 1.0));
        }
        constants
    }

    fn grid(&self) -> [u32; 3] {
        let apart = self.apart();
        grid_1d(if apart { self.shape.output_len() } else { self.shape.input_len() } as u32)
    }

    fn check(&self) -> Result<(), String> {
        window::check(&self.shape)
    }
}

/// Host reference.
pub fn pool_gradient_reference(
    s: &Convolution,
    pooling: Pooling,
    gradient: &[f64],
    x: &[f64],
) -> Vec<f64> {
    let mut out = vec![0.0; x.len()];
    for (window, g) in window::windows(s).into_iter().zip(gradient) {
        match pooling {
            Pooling::Mean => window.iter().for_each(|&i| out[i] += g / window.len() as f64),
            Pooling::Max => {
                let first = window.iter().copied().reduce(|a, b| if x[b] > x[a] { b } else { a });
                out[first.expect("a window holds a pixel")] += g;
            }
        }
    }
    out
}
