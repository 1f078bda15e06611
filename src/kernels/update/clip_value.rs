//! `clip_value`: a gradient with its multiplier, and its elements within a bound, in place.
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, write};

/// Each element times `multiplier`, and then not beyond `+-value`. What is not finite stays so.
#[derive(Debug, Clone, Copy)]
pub struct ClipValue {
    /// `[len]`, changed in place.
    pub gradient: Slot,
    /// Elements.
    pub len: u32,
    /// What each element is multiplied with.
    pub multiplier: f32,
    /// Largest magnitude of an element, above 0.
    pub value: Option<f32>,
}

crate::uniform! {
    /// Uniform of [`ClipValue`].
    pub struct ClipValueParams {
        /// Elements.
        len: u32,
        /// What each element is multiplied with.
        multiplier: f32,
        /// Largest magnitude of an element.
        value: f32,
    }
}

impl Kernel for ClipValue {
    const NAME: &'static str = "clip_value";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "clip_value.wgsl");
    const OPERANDS: &'static [Operand] = &[write("gradient")];
    type Params = ClipValueParams;

    fn bind(&self) -> Vec<Bound> {
        vec![self.gradient.needs(self.len.into())]
    }

    fn params(&self) -> ClipValueParams {
        let Self { len, multiplier, value, .. } = *self;
        ClipValueParams { len, multiplier, value: value.unwrap_or_default() }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.value.map(|_| ("BOUNDED", 1.0)).into_iter().collect()
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

/// Host reference.
pub fn clip_value_reference(gradient: &[f32], multiplier: f32, value: Option<f32>) -> Vec<f64> {
    let one = |&g: &f32| {
        let g = f64::from(multiplier) * f64::from(g);
        match value.map(f64::from) {
            Some(value) if g.is_finite() => g.clamp(-value, value),
            _ => g,
        }
    };
    gradient.iter().map(one).collect()
}
