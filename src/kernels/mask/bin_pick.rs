//! `bin_pick`: the threshold that bins of magnitudes give.
use crate::kernels::MASK_STATE_WORDS;
use super::histogram_threshold::MAX_BINS;
use crate::gpu::{Bound, Kernel, Operand, Slot, read, write};

/// Finds the edge of the last bin below the sparsity, smooths the threshold towards it, and clears
/// bins and peak.
#[derive(Debug, Clone, Copy)]
pub struct BinPick {
    /// Sparsity of each selection.
    pub sparsities: Slot,
    /// Counts to read and clear.
    pub bins: Slot,
    /// Bits of the highest magnitude, to read and clear.
    pub peak: Slot,
    /// [`crate::kernels::MaskState`]
    pub mask_state: Slot,
    /// Which of the sparsities.
    pub selection: u32,
    /// Bins, at most 65,536.
    pub nbins: u32,
    /// Share of the old threshold that stays.
    pub decay: f64,
}

crate::uniform! {
    /// Uniform of [`BinPick`].
    pub struct BinPickParams {
        /// Which of the sparsities.
        selection: u32,
        /// Bins.
        nbins: u32,
        /// Share of the threshold found.
        share: f32,
        /// Share of the old one.
        decay: f32,
    }
}

impl Kernel for BinPick {
    const NAME: &'static str = "bin_pick";
    const WGSL: &'static str = crate::wgsl!("common/mask_state.wgsl", "common/quotient.wgsl", "bin_pick.wgsl");
    const OPERANDS: &'static [Operand] =
        &[read("sparsities"), write("bins"), write("peak"), write("mask_state")];
    type Params = BinPickParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.sparsities.needs(u64::from(self.selection) + 1),
            self.bins.needs(self.nbins.into()),
            self.peak.needs(1),
            self.mask_state.needs(MASK_STATE_WORDS.into()),
        ]
    }

    fn params(&self) -> BinPickParams {
        let (share, decay) = ((1.0 - self.decay) as f32, self.decay as f32);
        BinPickParams { selection: self.selection, nbins: self.nbins, share, decay }
    }

    fn check(&self) -> Result<(), String> {
        match self.nbins {
            2..=MAX_BINS => Ok(()),
            nbins => Err(format!("{nbins} bins, it takes 2 to {MAX_BINS}")),
        }
    }

    fn grid(&self) -> [u32; 3] {
        [1, 1, 1]
    }
}
