//! `adagrad`: Adagrad on one tensor, mask applied in the same pass.
use crate::kernels::{Pruned, STEP_WORDS, Step, bit};
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// Duchi et al. 2011: `s += g^2`, `w -= rate * g / (sqrt(initial + s) + epsilon)`. TensorFlow's accumulator is
/// `initial + s`; here `s` is kept, so that it begins at 0 as all slots do.
#[derive(Debug, Clone, Copy)]
pub struct Adagrad {
    /// Gradient of the weights.
    pub gradient: Slot,
    /// One bit per weight, and what becomes of the pruned ones.
    pub mask: Option<(Slot, Pruned)>,
    /// [`Step`]
    pub step: Slot,
    /// Weights, updated in place.
    pub weights: Slot,
    /// Sums of squared gradients, updated in place.
    pub squares: Slot,
    /// Weights in the tensor.
    pub len: u32,
    /// Added to the sum of squares.
    pub initial: f32,
    /// Added to the root.
    pub epsilon: f32,
    /// Coupled weight decay, which goes the way of the gradient.
    pub l2: f32,
}

crate::uniform! {
    /// Uniform of [`Adagrad`].
    pub struct AdagradParams {
        /// Weights in the tensor.
        len: u32,
        /// Added to the sum of squares.
        initial: f32,
        /// Added to the root.
        epsilon: f32,
        /// Coupled weight decay, which goes the way of the gradient.
        l2: f32,
    }
}

impl Kernel for Adagrad {
    const NAME: &'static str = "adagrad";
    const WGSL: &'static str = crate::wgsl!(
        "common/grid.wgsl",
        "common/bits.wgsl",
        "common/step.wgsl",
        "common/pruned.wgsl",
        "adagrad.wgsl"
    );
    const OPERANDS: &'static [Operand] =
        &[read("gradient"), read("mask"), read("step"), write("weights"), write("squares")];
    type Params = AdagradParams;

    fn bind(&self) -> Vec<Bound> {
        let len = u64::from(self.len);
        let mut bound = vec![
            self.gradient.needs(len),
            self.mask.map_or(Bound::NONE, |(s, _)| s.needs(len.div_ceil(32))),
            self.step.needs(STEP_WORDS.into()),
        ];
        bound.extend([self.weights, self.squares].map(|s| s.needs(len)));
        bound
    }

    fn params(&self) -> AdagradParams {
        AdagradParams { len: self.len, initial: self.initial, epsilon: self.epsilon, l2: self.l2 }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("PRUNED", Pruned::code(self.mask.map(|(_, mode)| mode)))]
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

/// Host reference: the new weights and sums of squares.
pub fn adagrad_reference(
    (weights, gradient, squares): (&[f32], &[f32], &[f32]),
    mask: Option<(&[u32], Pruned)>,
    params: &AdagradParams,
    step: &Step,
) -> Vec<[f64; 2]> {
    let [initial, epsilon, l2, rate] =
        [params.initial, params.epsilon, params.l2, step.learning_rate].map(f64::from);
    let one = |i: usize| {
        let [w, mut g, s] = [weights[i], gradient[i], squares[i]].map(f64::from);
        match mask {
            Some((words, Pruned::Zero)) if !bit(words, i) => return [0.0; 2],
            Some((words, Pruned::Freeze)) if !bit(words, i) => return [w, s],
            Some((words, Pruned::Revive)) if !bit(words, i) => g = 0.0,
            _ => {}
        }
        g += l2 * w;
        let s = s + g * g;
        [w - rate * g / ((initial + s).sqrt() + epsilon), s]
    };
    (0..weights.len()).map(one).collect()
}
