//! `gradient_norm`: squared length of a gradient, in parts.
use super::topk::CHUNK;
use super::{bit, mask_words};
use crate::gpu::{Bound, Kernel, Operand, Slot, read, write};

/// For each chunk of a gradient the sum of the squares of its elements, each times `multiplier` and then not beyond
/// `+-value`; pruned weights' do not count. A [`ColumnSum`](super::ColumnSum) of one column makes one sum of them. Squares
/// beyond the largest f32, of norms above 1.8e19, make it infinite.
#[derive(Debug, Clone, Copy)]
pub struct GradientNorm {
    /// `[len]`
    pub gradient: Slot,
    /// One bit per weight.
    pub mask: Option<Slot>,
    /// Sums; `first` and [`chunks`](Self::chunks) from there on are written.
    pub partials: Slot,
    /// Place of the first chunk's sum.
    pub first: u32,
    /// Elements.
    pub len: u32,
    /// What each element is multiplied with first.
    pub multiplier: f32,
    /// Largest magnitude of an element, above 0.
    pub value: Option<f32>,
}

crate::uniform! {
    /// Uniform of [`GradientNorm`].
    pub struct GradientNormParams {
        /// Elements.
        len: u32,
        /// Place of the first chunk's sum.
        first: u32,
        /// What each element is multiplied with first.
        multiplier: f32,
        /// Largest magnitude of an element.
        value: f32,
    }
}

impl GradientNorm {
    /// Sums over `len` elements.
    pub fn chunks(len: u32) -> u32 {
        len.div_ceil(CHUNK)
    }
}

impl Kernel for GradientNorm {
    const NAME: &'static str = "gradient_norm";
    const WGSL: &'static str =
        crate::wgsl!("common/bits.wgsl", "common/clipped.wgsl", "gradient_norm.wgsl");
    const OPERANDS: &'static [Operand] = &[read("gradient"), read("mask"), write("partials")];
    type Params = GradientNormParams;

    fn bind(&self) -> Vec<Bound> {
        let words = u64::from(self.first) + u64::from(Self::chunks(self.len));
        vec![
            self.gradient.needs(self.len.into()),
            self.mask.map_or(Bound::NONE, |mask| mask.needs(mask_words(self.len).into())),
            self.partials.needs(words),
        ]
    }

    fn params(&self) -> GradientNormParams {
        let Self { first, len, multiplier, value, .. } = *self;
        GradientNormParams { len, first, multiplier, value: value.unwrap_or_default() }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let flags = [("MASKED", self.mask.is_some()), ("VALUE", self.value.is_some())];
        flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| (name, 1.0)).collect()
    }

    fn grid(&self) -> [u32; 3] {
        [Self::chunks(self.len), 1, 1]
    }
}

/// Host reference: the sum of the squares.
pub fn gradient_norm_reference(
    gradient: &[f32],
    mask: Option<&[u32]>,
    multiplier: f32,
    value: Option<f32>,
) -> f64 {
    let kept = |i: usize| mask.is_none_or(|words| bit(words, i));
    let all = clipped_reference(gradient, multiplier, value).into_iter().enumerate();
    all.filter(|(i, _)| kept(*i)).map(|(_, g)| g * g).sum()
}

/// Host reference of what is done to each element before norms.
pub(super) fn clipped_reference(gradient: &[f32], multiplier: f32, value: Option<f32>) -> Vec<f64> {
    let one = |&g: &f32| {
        let g = f64::from(multiplier) * f64::from(g);
        match value.map(f64::from) {
            Some(value) if g.is_finite() => g.clamp(-value, value),
            _ => g,
        }
    };
    gradient.iter().map(one).collect()
}
