//! Masks as the kernels see them: one bit per weight, 32 to a word, lowest bit first.
use serde::{Deserialize, Serialize};

/// What becomes of a pruned weight: `shaders/common/pruned.wgsl`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pruned {
    /// Set to zero at the mask update and held there against momentum and weight decay; its
    /// optimizer slots are cleared.
    #[default]
    Zero,
    /// Upstream's way: the raw value stays, moved by momentum and weight decay but by no data
    /// gradient, and is ranked again at the next update, so that it can come back.
    Revive,
    /// The raw value stays and nothing moves it.
    Freeze,
}

impl Pruned {
    /// The number that the WGSL knows it by; a weight without a mask is 0.
    pub(super) fn code(mode: Option<Self>) -> f64 {
        match mode {
            None => 0.0,
            Some(Self::Zero) => 1.0,
            Some(Self::Revive) => 2.0,
            Some(Self::Freeze) => 3.0,
        }
    }
}

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
