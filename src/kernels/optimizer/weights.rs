//! What the kernels of all optimizers share: `shaders/common/optimizer.wgsl`.
use crate::gpu::{Bound, Slot, grid_1d};
use crate::kernels::{Pruned, STEP_WORDS, bit};

/// The weights that an optimizer's kernel moves, with what it moves them by.
#[derive(Debug, Clone, Copy)]
pub struct Weights {
    /// Gradient of the weights.
    pub gradient: Slot,
    /// One bit per weight, and what becomes of the pruned ones.
    pub mask: Option<(Slot, Pruned)>,
    /// [`Step`](crate::kernels::Step)
    pub step: Slot,
    /// Weights, updated in place.
    pub weights: Slot,
    /// Weights in the tensor.
    pub len: u32,
}

impl Weights {
    /// What is bound: these, then the optimizer's slots, as long as the weights.
    pub(super) fn bind<const S: usize>(&self, slots: [Slot; S]) -> Vec<Bound> {
        let len = u64::from(self.len);
        let mask = self.mask.map_or(Bound::NONE, |(s, _)| s.needs(len.div_ceil(32)));
        let mut bound = vec![self.gradient.needs(len), mask, self.step.needs(STEP_WORDS.into())];
        bound.push(self.weights.needs(len));
        bound.extend(slots.map(|s| s.needs(len)));
        bound
    }

    pub(super) fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("PRUNED", Pruned::code(self.mask.map(|(_, mode)| mode)))]
    }

    pub(super) fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

/// The WGSL of an optimizer's kernel: the shared files and its own.
macro_rules! optimizer_wgsl {
    ($file:literal) => {
        crate::wgsl!(
            "common/grid.wgsl",
            "common/bits.wgsl",
            "common/step.wgsl",
            "common/pruned.wgsl",
            "common/optimizer.wgsl",
            $file
        )
    };
}
pub(super) use optimizer_wgsl;

/// The same for several tensors at once.
macro_rules! optimizer_variants {
    ($file:literal) => {
        &[crate::gpu::Variant {
            name: "together",
            wgsl: crate::wgsl!(
                "common/bits.wgsl",
                "common/step.wgsl",
                "common/pruned.wgsl",
                "common/optimizer_together.wgsl",
                $file
            ),
        }]
    };
}
pub(super) use optimizer_variants;

/// The operands of an optimizer's kernel: the shared ones and its slots.
macro_rules! optimizer_operands {
    ($($slot:ident),*) => {
        &[
            crate::gpu::read("gradient"),
            crate::gpu::read("mask"),
            crate::gpu::read("step"),
            crate::gpu::write("weights"),
            $(crate::gpu::write(stringify!($slot))),*
        ]
    };
}
pub(super) use optimizer_operands;

/// Host reference of what is shared: for each weight its state, the weight itself first, after
/// `moved`, which gets the state before and the gradient; held at zero or frozen where the mask
/// says so.
pub(super) fn masked_reference<const S: usize>(
    state: [&[f32]; S],
    gradient: &[f32],
    mask: Option<(&[u32], Pruned)>,
    moved: impl Fn([f64; S], f64) -> [f64; S],
) -> Vec<[f64; S]> {
    let one = |(i, &g): (usize, &f32)| {
        let before = state.map(|tensor| f64::from(tensor[i]));
        match mask {
            Some((words, mode)) if !bit(words, i) => match mode {
                Pruned::Zero => [0.0; S],
                Pruned::Freeze => before,
                Pruned::Revive => moved(before, 0.0),
                Pruned::Pull => moved(before, f64::from(g)),
            },
            _ => moved(before, f64::from(g)),
        }
    };
    gradient.iter().enumerate().map(one).collect()
}
