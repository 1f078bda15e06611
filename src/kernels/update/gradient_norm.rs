//! `gradient_norm`: squared length of a gradient, in parts.
use crate::kernels::elementwise::column_sum::CHUNK;
use crate::kernels::{bit, mask_words};
use crate::gpu::{Bound, Kernel, Operand, Slot, read, write};

/// For each chunk of a gradient the sum of the squares of its elements; pruned weights' do not
/// count. A [`ColumnSum`](crate::kernels::ColumnSum) of one column makes one sum of them. Squares
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
}

crate::uniform! {
    /// Uniform of [`GradientNorm`].
    pub struct GradientNormParams {
        /// Elements.
        len: u32,
        /// Place of the first chunk's sum.
        first: u32,
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
    const WGSL: &'static str = crate::wgsl!("common/bits.wgsl", "gradient_norm.wgsl");
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
        GradientNormParams { len: self.len, first: self.first }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.mask.map(|_| ("MASKED", 1.0)).into_iter().collect()
    }

    fn grid(&self) -> [u32; 3] {
        [Self::chunks(self.len), 1, 1]
    }
}

/// Host reference: the sum of the squares.
pub fn gradient_norm_reference(gradient: &[f32], mask: Option<&[u32]>) -> f64 {
    let kept = |i: usize| mask.is_none_or(|words| bit(words, i));
    let all = gradient.iter().enumerate().filter(|(i, _)| kept(*i));
    all.map(|(_, &g)| f64::from(g).powi(2)).sum()
}
