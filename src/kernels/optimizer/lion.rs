//! `lion`: Lion on one tensor, mask applied in the same pass.
use crate::kernels::{Pruned, STEP_WORDS, Step, bit};
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// Chen et al. 2023, algorithm 2: `w -= rate * (sign(beta1 * m + (1 - beta1) * g) + decay * w)`, then
/// `m = beta2 * m + (1 - beta2) * g`.
#[derive(Debug, Clone, Copy)]
pub struct Lion {
    /// Gradient of the weights.
    pub gradient: Slot,
    /// One bit per weight, and what becomes of the pruned ones.
    pub mask: Option<(Slot, Pruned)>,
    /// [`Step`]
    pub step: Slot,
    /// Weights, updated in place.
    pub weights: Slot,
    /// Running means of gradients, updated in place.
    pub first: Slot,
    /// Weights in the tensor.
    pub len: u32,
    /// Share of the mean in the direction.
    pub beta1: f32,
    /// Share of the mean that stays.
    pub beta2: f32,
    /// Decoupled weight decay.
    pub decay: f32,
    /// Coupled weight decay, which goes the way of the gradient.
    pub l2: f32,
}

crate::uniform! {
    /// Uniform of [`Lion`].
    pub struct LionParams {
        /// Weights in the tensor.
        len: u32,
        /// Share of the mean in the direction.
        beta1: f32,
        /// Share of the mean that stays.
        beta2: f32,
        /// Decoupled weight decay.
        decay: f32,
        /// Coupled weight decay, which goes the way of the gradient.
        l2: f32,
    }
}

impl Kernel for Lion {
    const NAME: &'static str = "lion";
    const WGSL: &'static str = crate::wgsl!(
        "common/grid.wgsl",
        "common/bits.wgsl",
        "common/step.wgsl",
        "common/pruned.wgsl",
        "lion.wgsl"
    );
    const OPERANDS: &'static [Operand] =
        &[read("gradient"), read("mask"), read("step"), write("weights"), write("first")];
    type Params = LionParams;

    fn bind(&self) -> Vec<Bound> {
        let len = u64::from(self.len);
        let mut bound = vec![
            self.gradient.needs(len),
            self.mask.map_or(Bound::NONE, |(s, _)| s.needs(len.div_ceil(32))),
            self.step.needs(STEP_WORDS.into()),
        ];
        bound.extend([self.weights, self.first].map(|s| s.needs(len)));
        bound
    }

    fn params(&self) -> LionParams {
        LionParams {
            len: self.len,
            beta1: self.beta1,
            beta2: self.beta2,
            decay: self.decay,
            l2: self.l2,
        }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("PRUNED", Pruned::code(self.mask.map(|(_, mode)| mode)))]
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

/// Host reference: the new weights and means.
pub fn lion_reference(
    (weights, gradient, first): (&[f32], &[f32], &[f32]),
    mask: Option<(&[u32], Pruned)>,
    params: &LionParams,
    step: &Step,
) -> Vec<[f64; 2]> {
    let [beta1, beta2, decay] = [params.beta1, params.beta2, params.decay].map(f64::from);
    let [l2, rate] = [params.l2, step.learning_rate].map(f64::from);
    let one = |i: usize| {
        let [w, mut g, m] = [weights[i], gradient[i], first[i]].map(f64::from);
        match mask {
            Some((words, Pruned::Zero)) if !bit(words, i) => return [0.0; 2],
            Some((words, Pruned::Freeze)) if !bit(words, i) => return [w, m],
            Some((words, Pruned::Revive)) if !bit(words, i) => g = 0.0,
            _ => {}
        }
        g += l2 * w;
        let towards = beta1 * m + (1.0 - beta1) * g;
        let sign = if towards == 0.0 { 0.0 } else { towards.signum() };
        [w - rate * (sign + decay * w), beta2 * m + (1.0 - beta2) * g]
    };
    (0..weights.len()).map(one).collect()
}
