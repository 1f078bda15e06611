//! `nm_mask`: n of every m weights of an output unit stay.
use crate::kernels::{MASK_STATE_WORDS, Units};
use super::tallied;
use crate::gpu::{Bound, Kernel, Operand, PlanBuilder, Slot, grid_1d, read, write};

/// N:M sparsity along the inputs, the axis that a product sums over: of the inputs `m * g .. m * (g
/// + 1)` of each unit the `n` of highest |x| stay, the first of equal ones; of a shorter last group
/// also `n`.
#[derive(Debug, Clone, Copy)]
pub struct NmMask {
    /// One a weight.
    pub values: Slot,
    /// `n`, for each selection of the model.
    pub counts: Slot,
    /// Which of them is this one's.
    pub selection: u32,
    /// [`crate::kernels::MaskState`], its counts zero. The threshold is that of all updates so far.
    pub mask_state: Slot,
    /// One bit per value.
    pub mask: Slot,
    /// How they lie.
    pub of: Units,
    /// Size of a group, 1 to 32.
    pub m: u32,
}

impl NmMask {
    /// Largest group.
    pub const MAX_M: u32 = 32;

    /// How many of a group of `size` inputs stay, where of `m` it is `n`.
    pub fn kept(n: u32, m: u32, size: u32) -> u32 {
        (n * size).div_ceil(m.max(1))
    }
}

crate::uniform! {
    /// Uniform of [`NmMask`].
    pub struct NmMaskParams {
        /// Inputs of a unit.
        inputs: u32,
        /// Units.
        units: u32,
        /// Size of a group.
        m: u32,
        /// Which of the counts.
        selection: u32,
    }
}

impl NmMask {
    /// Appends it to `plan`; on a GPU its workgroups count for themselves first.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] for extents that do not fit the slots.
    pub fn push(self, plan: &mut PlanBuilder) -> crate::Result<()> {
        tallied::push(self, plan)
    }
}

impl Kernel for NmMask {
    const NAME: &'static str = "nm_mask";
    const WGSL: &'static str = crate::wgsl!(
        "common/grid.wgsl",
        "common/score.wgsl",
        "common/mask_state.wgsl",
        "common/tally.wgsl",
        "common/units.wgsl",
        "nm_mask.wgsl"
    );
    const OPERANDS: &'static [Operand] =
        &[read("values"), read("counts"), write("mask_state"), write("mask")];
    type Params = NmMaskParams;

    fn bind(&self) -> Vec<Bound> {
        let len = self.of.len();
        vec![
            self.values.needs(len),
            self.counts.needs(u64::from(self.selection) + 1),
            self.mask_state.needs(MASK_STATE_WORDS.into()),
            self.mask.needs(len.div_ceil(32)),
        ]
    }

    fn params(&self) -> NmMaskParams {
        let Self { of: Units { inputs, units, .. }, m, selection, .. } = *self;
        NmMaskParams { inputs, units, m, selection }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.of.constants()
    }

    fn check(&self) -> Result<(), String> {
        match self.m {
            1..=Self::MAX_M => self.of.check(),
            m => Err(format!("groups of {m}, it takes 1 to {}", Self::MAX_M)),
        }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(u32::try_from(self.of.len().div_ceil(32)).unwrap_or(u32::MAX))
    }
}

/// Host reference by sorting.
pub fn nm_mask_reference(values: &[f32], columns: usize, n: usize, m: usize) -> Vec<u32> {
    let rows = values.len() / columns;
    let mut mask = vec![0; values.len().div_ceil(32)];
    for column in 0..columns {
        for first in (0..rows).step_by(m) {
            let mut group: Vec<usize> =
                (first..rows.min(first + m)).map(|row| row * columns + column).collect();
            // Stable: the first of equal ones stays first.
            group.sort_by_key(|&i| std::cmp::Reverse(values[i].to_bits() & 0x7fff_ffff));
            let kept = (n * group.len()).div_ceil(m);
            for i in group.into_iter().take(kept) {
                mask[i / 32] |= 1 << (i % 32);
            }
        }
    }
    mask
}
