//! `adam`: Adam and AdamW on one tensor, mask applied in the same pass.
use crate::kernels::{Pruned, STEP_WORDS, Step, bit};
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// Adam with bias correction (Kingma and Ba 2015, algorithm 1); with `decay` it is AdamW (Loshchilov and
/// Hutter 2019), whose decay does not pass through the moments.
#[derive(Debug, Clone, Copy)]
pub struct Adam {
    /// Gradient of the weights.
    pub gradient: Slot,
    /// One bit per weight, and what becomes of the pruned ones.
    pub mask: Option<(Slot, Pruned)>,
    /// [`Step`]
    pub step: Slot,
    /// Weights, updated in place.
    pub weights: Slot,
    /// First moments, updated in place.
    pub first: Slot,
    /// Second moments, updated in place.
    pub second: Slot,
    /// Weights in the tensor.
    pub len: u32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root.
    pub epsilon: f32,
    /// Decoupled weight decay (AdamW); 0 is Adam.
    pub decay: f32,
    /// Coupled weight decay, which passes through the moments.
    pub l2: f32,
}

crate::uniform! {
    /// Uniform of [`Adam`].
    pub struct AdamParams {
        /// Weights in the tensor.
        len: u32,
        /// Decay of the first moment.
        beta1: f32,
        /// Decay of the second moment.
        beta2: f32,
        /// Added to the root.
        epsilon: f32,
        /// Decoupled weight decay (AdamW); 0 is Adam.
        decay: f32,
        /// Coupled weight decay.
        l2: f32,
    }
}

impl Kernel for Adam {
    const NAME: &'static str = "adam";
    const WGSL: &'static str = crate::wgsl!(
        "common/grid.wgsl",
        "common/bits.wgsl",
        "common/step.wgsl",
        "common/pruned.wgsl",
        "adam.wgsl"
    );
    const OPERANDS: &'static [Operand] = &[
        read("gradient"),
        read("mask"),
        read("step"),
        write("weights"),
        write("first"),
        write("second"),
    ];
    type Params = AdamParams;

    fn bind(&self) -> Vec<Bound> {
        let len = u64::from(self.len);
        let mut bound = vec![
            self.gradient.needs(len),
            self.mask.map_or(Bound::NONE, |(s, _)| s.needs(len.div_ceil(32))),
            self.step.needs(STEP_WORDS.into()),
        ];
        bound.extend([self.weights, self.first, self.second].map(|s| s.needs(len)));
        bound
    }

    fn params(&self) -> AdamParams {
        AdamParams {
            len: self.len,
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
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

/// Host reference: the new weights, first and second moments.
pub fn adam_reference(
    (weights, gradient): (&[f32], &[f32]),
    (first, second): (&[f32], &[f32]),
    mask: Option<(&[u32], Pruned)>,
    params: &AdamParams,
    step: &Step,
) -> Vec<[f64; 3]> {
    let [beta1, beta2, epsilon] = [params.beta1, params.beta2, params.epsilon].map(f64::from);
    let [decay, l2] = [params.decay, params.l2].map(f64::from);
    let [rate, c1, c2] = [step.learning_rate, step.correction1, step.correction2].map(f64::from);
    let one = |i: usize| {
        let [w, mut g, m, v] = [weights[i], gradient[i], first[i], second[i]].map(f64::from);
        match mask {
            Some((words, Pruned::Zero)) if !bit(words, i) => return [0.0; 3],
            Some((words, Pruned::Freeze)) if !bit(words, i) => return [w, m, v],
            Some((words, Pruned::Revive)) if !bit(words, i) => g = 0.0,
            _ => {}
        }
        g += l2 * w;
        let m = beta1 * m + (1.0 - beta1) * g;
        let v = beta2 * v + (1.0 - beta2) * g * g;
        [w - rate * (m / c1 / ((v / c2).sqrt() + epsilon) + decay * w), m, v]
    };
    (0..weights.len()).map(one).collect()
}
