//! TensorFlow r1.9's threshold: a histogram of magnitudes, and its smoothed quantile.
//!
//! Four kernels, in this order: `magnitude_peak`, `bin_count`, `bin_pick`, `threshold_mask`. The
//! threshold is a multiple of `peak / nbins`, so the sparsity reached is near the one asked for
//! only where no value lies far out, and with a decay it lags behind.
use crate::kernels::{BinCount, BinPick, MagnitudePeak, ThresholdMask, mask_words};
use crate::Result;
use crate::gpu::{PlanBuilder, Slot};

/// Most bins: one workgroup walks them.
pub(in crate::kernels) const MAX_BINS: u32 = 65_536;
/// Workgroups of the passes over the values.
const GROUPS: u32 = 1_024;

/// Values that one invocation of `magnitude_peak` and `bin_count` takes.
pub(in crate::kernels) fn per_invocation(len: u32) -> u32 {
    len.div_ceil(256 * GROUPS).max(4)
}

/// The threshold of one tensor after another, and the slots that they share.
#[derive(Debug, Clone, Copy)]
pub struct HistogramThreshold {
    /// Sparsity of each selection, f32.
    pub sparsities: Slot,
    /// Which of them is this one's.
    pub selection: u32,
    /// Persistent, `[nbins]`, zero between selections.
    pub bins: Slot,
    /// Persistent, one word, zero between selections.
    pub peak: Slot,
    /// Bins from 0 to the highest magnitude, 2 to 65,536.
    pub nbins: u32,
    /// Share of the old threshold that stays.
    pub decay: f64,
}

impl HistogramThreshold {
    /// Appends to `plan` the update of the mask over `values [len]`, whose threshold so far is in
    /// `mask_state`, its counts zero.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] from the kernels.
    pub fn push(
        self,
        plan: &mut PlanBuilder,
        values: Slot,
        mask_state: Slot,
        mask: Slot,
        len: u32,
    ) -> Result<()> {
        let Self { sparsities, selection, bins, peak, nbins, decay } = self;
        plan.push(MagnitudePeak::new([values, peak], 0, len))?;
        plan.push(BinCount { values, peak, bins, nbins, len })?;
        plan.push(BinPick { sparsities, bins, peak, mask_state, selection, nbins, decay })?;
        ThresholdMask { values, mask_state, mask, len }.push(plan)
    }
}

/// Host reference in f32, step by step as upstream: the new threshold, and the mask. No NaN.
pub fn histogram_threshold_reference(
    values: &[f32],
    old: f32,
    sparsity: f32,
    nbins: u32,
    decay: f64,
) -> (f32, Vec<u32>) {
    let magnitudes = || values.iter().map(|x| x.abs());
    let peak = magnitudes().filter(|a| a.is_finite()).fold(0.0, f32::max);
    let mut bins = vec![0u32; nbins as usize];
    for a in magnitudes() {
        let share = if peak == 0.0 { 0.0 } else { a / peak };
        let bin = if a.is_finite() { (nbins as f32 * share).floor() as u32 } else { u32::MAX };
        bins[bin.min(nbins - 1) as usize] += 1;
    }
    let mut cumulative = 0;
    let mut below = |count: &u32| {
        cumulative += count;
        (cumulative as f32 / values.len() as f32) < sparsity
    };
    let below = bins.iter().filter(|count| below(count)).count();
    let found = below as f32 / nbins as f32 * peak;
    let threshold = found * (1.0 - decay) as f32 + old * decay as f32;
    let mut mask = vec![0; mask_words(values.len() as u32) as usize];
    for (i, a) in magnitudes().enumerate() {
        mask[i / 32] |= u32::from(a > threshold) << (i % 32);
    }
    (threshold, mask)
}
