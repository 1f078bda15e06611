//! `clip_gradient`: a gradient made smaller, in place.
use super::gradient_norm::clipped_reference;
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// Each element times `multiplier`, then not beyond `+-value`, then times `bound / max(norm, bound)`. What is not
/// finite stays so; finite elements under an infinite norm become 0.
#[derive(Debug, Clone, Copy)]
pub struct ClipGradient {
    /// `[len]`, changed in place.
    pub gradient: Slot,
    /// One word with the squared norm, and the largest norm that may stay, above 0.
    pub norm: Option<(Slot, f32)>,
    /// Elements.
    pub len: u32,
    /// What each element is multiplied with first.
    pub multiplier: f32,
    /// Largest magnitude of an element, above 0.
    pub value: Option<f32>,
}

crate::uniform! {
    /// Uniform of [`ClipGradient`].
    pub struct ClipGradientParams {
        /// Elements.
        len: u32,
        /// What each element is multiplied with first.
        multiplier: f32,
        /// Largest magnitude of an element.
        value: f32,
        /// Largest norm.
        bound: f32,
    }
}

impl Kernel for ClipGradient {
    const NAME: &'static str = "clip_gradient";
    const WGSL: &'static str =
        crate::wgsl!("common/grid.wgsl", "common/clipped.wgsl", "clip_gradient.wgsl");
    const OPERANDS: &'static [Operand] = &[read("square"), write("gradient")];
    type Params = ClipGradientParams;

    fn bind(&self) -> Vec<Bound> {
        let square = self.norm.map_or(Bound::NONE, |(square, _)| square.needs(1));
        vec![square, self.gradient.needs(self.len.into())]
    }

    fn params(&self) -> ClipGradientParams {
        let Self { len, multiplier, value, norm, .. } = *self;
        let bound = norm.map_or(0.0, |(_, bound)| bound);
        ClipGradientParams { len, multiplier, value: value.unwrap_or_default(), bound }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let flags = [("NORM", self.norm.is_some()), ("VALUE", self.value.is_some())];
        flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| (name, 1.0)).collect()
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

/// Host reference: the clipped gradient, given the squared norm and the largest norm that may stay.
pub fn clip_gradient_reference(
    gradient: &[f32],
    multiplier: f32,
    value: Option<f32>,
    norm: Option<(f64, f32)>,
) -> Vec<f64> {
    let factor = norm.map_or(1.0, |(square, bound)| {
        let bound = f64::from(bound);
        bound / square.sqrt().max(bound)
    });
    clipped_reference(gradient, multiplier, value).into_iter().map(|g| g * factor).collect()
}
