//! `clip_norm`: a gradient scaled to a norm, in place.
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// Each element times `bound / max(norm, bound)`. What is not finite stays so, and so does all
/// under a norm that is NaN; finite elements under an infinite norm become 0.
#[derive(Debug, Clone, Copy)]
pub struct ClipNorm {
    /// `[len]`, changed in place.
    pub gradient: Slot,
    /// One word: the squared norm.
    pub square: Slot,
    /// Elements.
    pub len: u32,
    /// Largest norm, above 0.
    pub bound: f32,
}

crate::uniform! {
    /// Uniform of [`ClipNorm`].
    pub struct ClipNormParams {
        /// Elements.
        len: u32,
        /// Largest norm.
        bound: f32,
    }
}

impl Kernel for ClipNorm {
    const NAME: &'static str = "clip_norm";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "clip_norm.wgsl");
    const OPERANDS: &'static [Operand] = &[read("square"), write("gradient")];
    type Params = ClipNormParams;

    fn bind(&self) -> Vec<Bound> {
        vec![self.square.needs(1), self.gradient.needs(self.len.into())]
    }

    fn params(&self) -> ClipNormParams {
        ClipNormParams { len: self.len, bound: self.bound }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

/// Host reference.
pub fn clip_norm_reference(gradient: &[f32], square: f64, bound: f32) -> Vec<f64> {
    let bound = f64::from(bound);
    let factor = bound / square.sqrt().max(bound);
    gradient.iter().map(|&g| f64::from(g) * factor).collect()
}
