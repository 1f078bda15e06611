//! `sgd`: gradient descent on one tensor, mask applied in the same pass.
use crate::kernels::{Pruned, STEP_WORDS, Step, bit};
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// `w -= rate * (g + decay * w)`
#[derive(Debug, Clone, Copy)]
pub struct Sgd {
    /// Gradient of the weights.
    pub gradient: Slot,
    /// One bit per weight, and what becomes of the pruned ones.
    pub mask: Option<(Slot, Pruned)>,
    /// [`Step`]
    pub step: Slot,
    /// Weights, updated in place.
    pub weights: Slot,
    /// Weights in the tensor.
    pub len: u32,
    /// Weight decay.
    pub decay: f32,
}

crate::uniform! {
    /// Uniform of [`Sgd`].
    pub struct SgdParams {
        /// Weights in the tensor.
        len: u32,
        /// Weight decay.
        decay: f32,
    }
}

impl Kernel for Sgd {
    const NAME: &'static str = "sgd";
    const WGSL: &'static str = crate::wgsl!(
        "common/grid.wgsl",
        "common/bits.wgsl",
        "common/step.wgsl",
        "common/pruned.wgsl",
        "sgd.wgsl"
    );
    const OPERANDS: &'static [Operand] =
        &[read("gradient"), read("mask"), read("step"), write("weights")];
    type Params = SgdParams;

    fn bind(&self) -> Vec<Bound> {
        let len = u64::from(self.len);
        let mut bound = vec![
            self.gradient.needs(len),
            self.mask.map_or(Bound::NONE, |(s, _)| s.needs(len.div_ceil(32))),
            self.step.needs(STEP_WORDS.into()),
        ];
        bound.extend([self.weights].map(|s| s.needs(len)));
        bound
    }

    fn params(&self) -> SgdParams {
        SgdParams { len: self.len, decay: self.decay }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("PRUNED", Pruned::code(self.mask.map(|(_, mode)| mode)))]
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

/// Host reference: the new weights.
pub fn sgd_reference(
    (weights, gradient): (&[f32], &[f32]),
    mask: Option<(&[u32], Pruned)>,
    decay: f32,
    step: &Step,
) -> Vec<f64> {
    let one = |(i, (&w, &g)): (usize, (&f32, &f32))| {
        let (w, mut g) = (f64::from(w), f64::from(g));
        match mask {
            Some((words, Pruned::Zero)) if !bit(words, i) => return 0.0,
            Some((words, Pruned::Freeze)) if !bit(words, i) => return w,
            Some((words, Pruned::Revive)) if !bit(words, i) => g = 0.0,
            _ => {}
        }
        w - f64::from(step.learning_rate) * (g + f64::from(decay) * w)
    };
    weights.iter().zip(gradient).enumerate().map(one).collect()
}
