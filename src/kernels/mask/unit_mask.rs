//! `unit_mask`: n weights of each output unit stay.
use crate::kernels::{MASK_STATE_WORDS, Units};
use crate::gpu::{Bound, Kernel, MAX_LOOP_ITERATIONS, Operand, Slot, read, write};

/// Of each unit the `n` values of highest |x| stay, the first of equal ones:
/// [`NmMask`](crate::kernels::NmMask) where the group is the whole unit.
#[derive(Debug, Clone, Copy)]
pub struct UnitMask {
    /// One a weight.
    pub values: Slot,
    /// `n`, for each selection of the model.
    pub counts: Slot,
    /// Which of them is this one's.
    pub selection: u32,
    /// [`crate::kernels::MaskState`], its counts zero. The threshold is that of all updates so far.
    pub mask_state: Slot,
    /// One bit per value, updated in place.
    pub mask: Slot,
    /// How they lie.
    pub of: Units,
}

crate::uniform! {
    /// Uniform of [`UnitMask`].
    pub struct UnitMaskParams {
        /// Inputs of a unit.
        inputs: u32,
        /// Units.
        units: u32,
        /// Which of the counts.
        selection: u32,
    }
}

impl UnitMask {
    /// Most inputs of a unit: 32 invocations share them.
    pub const MAX_ROWS: u32 = 32 * MAX_LOOP_ITERATIONS;
}

impl Kernel for UnitMask {
    const NAME: &'static str = "unit_mask";
    const WGSL: &'static str =
        crate::wgsl!(
            "common/score.wgsl",
            "common/mask_state.wgsl",
            "common/units.wgsl",
            "unit_mask.wgsl"
        );
    const OPERANDS: &'static [Operand] =
        &[read("values"), read("counts"), write("mask_state"), write("mask")];
    type Params = UnitMaskParams;

    fn bind(&self) -> Vec<Bound> {
        let len = self.of.len();
        vec![
            self.values.needs(len),
            self.counts.needs(u64::from(self.selection) + 1),
            self.mask_state.needs(MASK_STATE_WORDS.into()),
            self.mask.needs(len.div_ceil(32)),
        ]
    }

    fn params(&self) -> UnitMaskParams {
        let Self { of: Units { inputs, units, .. }, selection, .. } = *self;
        UnitMaskParams { inputs, units, selection }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.of.constants()
    }

    fn check(&self) -> Result<(), String> {
        let (inputs, most) = (self.of.inputs, Self::MAX_ROWS);
        if inputs > most {
            return Err(format!("{inputs} inputs of a unit, at most {most}"));
        }
        self.of.check()
    }

    fn grid(&self) -> [u32; 3] {
        [self.of.units.div_ceil(8), 1, 1]
    }
}
