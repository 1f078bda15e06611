//! `rmsprop`: RMSProp with momentum on one tensor, mask applied in the same pass.
use crate::kernels::{Pruned, STEP_WORDS, Step, bit};
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// TensorFlow's `RMSPropOptimizer`: `s = decay * s + (1 - decay) * g^2`, `v = momentum * v + rate * g / sqrt(s + epsilon)`,
/// then `w -= v`. TensorFlow's `s` begins at 1, this one at 0 as all slots do: the first steps are longer.
#[derive(Debug, Clone, Copy)]
pub struct RmsProp {
    /// Gradient of the weights.
    pub gradient: Slot,
    /// One bit per weight, and what becomes of the pruned ones.
    pub mask: Option<(Slot, Pruned)>,
    /// [`Step`]
    pub step: Slot,
    /// Weights, updated in place.
    pub weights: Slot,
    /// Running means of squared gradients, updated in place.
    pub mean_square: Slot,
    /// Running sums of moves, updated in place.
    pub velocity: Slot,
    /// Weights in the tensor.
    pub len: u32,
    /// Share of the mean square that stays.
    pub decay: f32,
    /// Share of the velocity that stays.
    pub momentum: f32,
    /// Added inside the root.
    pub epsilon: f32,
    /// Coupled weight decay, which goes the way of the gradient.
    pub l2: f32,
}

crate::uniform! {
    /// Uniform of [`RmsProp`].
    pub struct RmsPropParams {
        /// Weights in the tensor.
        len: u32,
        /// Share of the mean square that stays.
        decay: f32,
        /// Share of the velocity that stays.
        momentum: f32,
        /// Added inside the root.
        epsilon: f32,
        /// Coupled weight decay, which goes the way of the gradient.
        l2: f32,
    }
}

impl Kernel for RmsProp {
    const NAME: &'static str = "rmsprop";
    const WGSL: &'static str = crate::wgsl!(
        "common/grid.wgsl",
        "common/bits.wgsl",
        "common/step.wgsl",
        "common/pruned.wgsl",
        "rmsprop.wgsl"
    );
    const OPERANDS: &'static [Operand] = &[
        read("gradient"),
        read("mask"),
        read("step"),
        write("weights"),
        write("mean_square"),
        write("velocity"),
    ];
    type Params = RmsPropParams;

    fn bind(&self) -> Vec<Bound> {
        let len = u64::from(self.len);
        let mut bound = vec![
            self.gradient.needs(len),
            self.mask.map_or(Bound::NONE, |(s, _)| s.needs(len.div_ceil(32))),
            self.step.needs(STEP_WORDS.into()),
        ];
        bound.extend([self.weights, self.mean_square, self.velocity].map(|s| s.needs(len)));
        bound
    }

    fn params(&self) -> RmsPropParams {
        RmsPropParams {
            len: self.len,
            decay: self.decay,
            momentum: self.momentum,
            epsilon: self.epsilon,
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

/// Host reference: the new weights, mean squares and velocities.
pub fn rmsprop_reference(
    (weights, gradient): (&[f32], &[f32]),
    (mean_square, velocity): (&[f32], &[f32]),
    mask: Option<(&[u32], Pruned)>,
    params: &RmsPropParams,
    step: &Step,
) -> Vec<[f64; 3]> {
    let [decay, momentum, epsilon] = [params.decay, params.momentum, params.epsilon].map(f64::from);
    let [l2, rate] = [params.l2, step.learning_rate].map(f64::from);
    let one = |i: usize| {
        let [w, mut g, s, v] =
            [weights[i], gradient[i], mean_square[i], velocity[i]].map(f64::from);
        match mask {
            Some((words, Pruned::Zero)) if !bit(words, i) => return [0.0; 3],
            Some((words, Pruned::Freeze)) if !bit(words, i) => return [w, s, v],
            Some((words, Pruned::Revive)) if !bit(words, i) => g = 0.0,
            _ => {}
        }
        g += l2 * w;
        let s = decay * s + (1.0 - decay) * g * g;
        let v = momentum * v + rate * g / (s + epsilon).sqrt();
        [w - v, s, v]
    };
    (0..weights.len()).map(one).collect()
}
