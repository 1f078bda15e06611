//! `kept_energy`: how much of a tensor's squared length a mask keeps.
use crate::kernels::elementwise::column_sum::CHUNK;
use crate::kernels::{bit, mask_words};
use crate::gpu::{Bound, Kernel, Operand, Slot, read, write};

/// For each chunk of the values the sum of the squares that the mask keeps, and of all. A
/// [`ColumnSum`](crate::kernels::ColumnSum) of two columns over the chunks makes one pair of them;
/// their quotient is the share that stays, 0/0 where every value is zero.
#[derive(Debug, Clone, Copy)]
pub struct KeptEnergy {
    /// `[len]`
    pub values: Slot,
    /// One bit per value.
    pub mask: Slot,
    /// `[chunks, 2]`, see [`chunks`](Self::chunks).
    pub partials: Slot,
    /// Values.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`KeptEnergy`].
    pub struct KeptEnergyParams {
        /// Values.
        len: u32,
    }
}

impl KeptEnergy {
    /// Pairs of partial sums over `len` values.
    pub fn chunks(len: u32) -> u32 {
        len.div_ceil(CHUNK)
    }
}

impl Kernel for KeptEnergy {
    const NAME: &'static str = "kept_energy";
    const WGSL: &'static str = crate::wgsl!("common/bits.wgsl", "kept_energy.wgsl");
    const OPERANDS: &'static [Operand] = &[read("values"), read("mask"), write("partials")];
    type Params = KeptEnergyParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.values.needs(self.len.into()),
            self.mask.needs(mask_words(self.len).into()),
            self.partials.needs(2 * u64::from(Self::chunks(self.len))),
        ]
    }

    fn params(&self) -> KeptEnergyParams {
        KeptEnergyParams { len: self.len }
    }

    fn grid(&self) -> [u32; 3] {
        [Self::chunks(self.len), 1, 1]
    }
}

/// Host reference: the sum of the squares that the mask keeps, and of all.
pub fn kept_energy_reference(values: &[f32], mask: &[u32]) -> [f64; 2] {
    let mut sums = [0.0; 2];
    for (i, &value) in values.iter().enumerate() {
        let square = f64::from(value).powi(2);
        sums[0] += if bit(mask, i) { square } else { 0.0 };
        sums[1] += square;
    }
    sums
}
