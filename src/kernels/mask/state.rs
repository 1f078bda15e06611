//! Masks as the kernels see them: one bit per weight, 32 to a word, lowest bit first.
use serde::{Deserialize, Serialize};

/// What becomes of a weight while its mask bit is 0: `shaders/common/pruned.wgsl`.
///
/// In each mode but [`Pull`](Self::Pull) the forward pass sees 0 in its place and it gets no data
/// gradient.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Pruned {
    /// Weight and optimizer slots are set to 0 at the mask update and held there, whatever
    /// momentum or weight decay would do. It returns only if the sparsity falls, and then from 0.
    #[default]
    Zero,
    /// As upstream does: the raw value stays and the optimizer goes on with it under a data
    /// gradient of 0, so momentum and weight decay move it and its slots decay. Each mask update
    /// ranks the raw value again, and the weight returns with it.
    Revive,
    /// The raw value and the optimizer slots stay as they were at the mask update. Each later
    /// update ranks the raw value again, and the weight returns with both.
    Freeze,
    /// It is trained like the others, and so are the products that read it; a penalty draws it and
    /// the kept weights to what the last mask update made of them, which is an ADMM on the loss
    /// (ELSA: Lee et al. 2025). After the last mask update of all it is held at 0. Evaluation and
    /// files have 0 in its place all the while.
    Pull,
}

impl Pruned {
    /// The number that the WGSL knows it by; a weight without a mask is 0.
    pub(in crate::kernels) fn code(mode: Option<Self>) -> f64 {
        match mode {
            // No optimizer sees such a mask.
            None | Some(Self::Pull) => 0.0,
            Some(Self::Zero) => 1.0,
            Some(Self::Revive) => 2.0,
            Some(Self::Freeze) => 3.0,
        }
    }
}

crate::uniform! {
    /// What the last update did to one mask: `shaders/common/mask_state.wgsl`.
    pub struct MaskState {
        /// Weights kept.
        kept: u32,
        /// Scores that are NaN; any is an error.
        nan: u32,
        /// Weights that were kept and are not, or were not and are.
        changed: u32,
        /// Bits of the highest score pruned by this or the last update that pruned more than zeros.
        threshold: u32,
    }
}

/// Length of [`MaskState`] in words.
pub const MASK_STATE_WORDS: u32 = (size_of::<MaskState>() / 4) as u32;

/// Words of a mask over `len` weights.
pub fn mask_words(len: u32) -> u32 {
    len.div_ceil(32)
}

/// Whether weight `i` stays.
pub fn bit(mask: &[u32], i: usize) -> bool {
    mask[i / 32] >> (i % 32) & 1 == 1
}

/// A mask that keeps all of `len` weights; bits past the end are clear.
pub fn ones(len: u32) -> Vec<u32> {
    let word = |w: u32| match len - w * 32 {
        32.. => u32::MAX,
        bits => (1 << bits) - 1,
    };
    (0..mask_words(len)).map(word).collect()
}
