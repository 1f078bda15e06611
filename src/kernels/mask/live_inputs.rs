//! `live_inputs`: for each 32 neighbouring output units of a weight, which inputs any of them keeps.
use super::units::{Layout, Units};
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};
use crate::kernels::bit;

/// Bit `b` of word `w` of a group of 32 units is 1 where any of these units keeps its weight of the
/// input `32 w + b`: what [`LiveMatmul`](crate::kernels::LiveMatmul) reads.
#[derive(Debug, Clone, Copy)]
pub struct LiveInputs {
    /// The mask, a bit a weight.
    pub mask: Slot,
    /// The words of each group, one after the other.
    pub live: Slot,
    /// The weight.
    pub of: Units,
}

/// Units of a group, and inputs of a word.
const GROUP: u32 = 32;

crate::uniform! {
    /// Uniform of [`LiveInputs`].
    pub struct LiveInputsParams {
        /// Inputs.
        inputs: u32,
        /// Output units.
        units: u32,
        /// Words of a group of units.
        words: u32,
        /// Words of all groups.
        len: u32,
    }
}

impl LiveInputs {
    /// Words of the table of such a weight.
    pub fn words(of: Units) -> u64 {
        u64::from(of.units.div_ceil(GROUP)) * u64::from(of.inputs.div_ceil(GROUP))
    }
}

impl Kernel for LiveInputs {
    const NAME: &'static str = "live_inputs";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "live_inputs.wgsl");
    const OPERANDS: &'static [Operand] = &[read("mask"), write("live")];
    type Params = LiveInputsParams;

    fn bind(&self) -> Vec<Bound> {
        vec![self.mask.needs(self.of.len().div_ceil(32)), self.live.needs(Self::words(self.of))]
    }

    fn params(&self) -> LiveInputsParams {
        let Units { inputs, units, .. } = self.of;
        let (words, len) = (inputs.div_ceil(GROUP), Self::words(self.of) as u32);
        LiveInputsParams { inputs, units, words, len }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.of.constants()
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(Self::words(self.of) as u32)
    }

    fn check(&self) -> Result<(), String> {
        let Units { inputs, units, .. } = self.of;
        match inputs > 0 && units > 0 {
            true => self.of.check(),
            false => Err(format!("{inputs} inputs, {units} units: none may be 0")),
        }
    }
}

/// Host reference.
pub fn live_inputs_reference(mask: &[u32], of: Units) -> Vec<u32> {
    let Units { inputs, units, layout } = of;
    let words = inputs.div_ceil(GROUP);
    let mut live = vec![0; LiveInputs::words(of) as usize];
    for (input, unit) in (0..inputs).flat_map(|i| (0..units).map(move |u| (i, u))) {
        let at = match layout {
            Layout::InOut => input as usize * units as usize + unit as usize,
            Layout::OutIn => unit as usize * inputs as usize + input as usize,
        };
        let word = (unit / GROUP * words + input / GROUP) as usize;
        live[word] |= u32::from(bit(mask, at)) << (input % GROUP);
    }
    live
}
