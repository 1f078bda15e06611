//! The mean of several gradients, one after the other, and what of a gradient travels.

/// The share of a batch of `rows` rows in a mean that has `before` rows.
pub(in crate::train) fn share(rows: usize, before: usize) -> f32 {
    rows as f32 / (before + rows) as f32
}

/// `mean += share * (x - mean)`, in the roundings of `running_mean.wgsl`; a share of 1 starts a new
/// mean, whatever was there.
pub(in crate::train) fn fold(mean: &mut [f32], x: &[f32], share: f32) {
    if share == 1.0 {
        mean.copy_from_slice(x);
    } else {
        mean.iter_mut().zip(x).for_each(|(mean, x)| *mean += share * (x - *mean));
    }
}

/// The `values` whose bits of `kept` are set, in their order.
pub(super) fn pack(values: &[f32], kept: &[u32], packed: &mut Vec<f32>) {
    packed.clear();
    for (values, &bits) in values.chunks(32).zip(kept) {
        match bits {
            u32::MAX => packed.extend_from_slice(values),
            bits => packed.extend(set(bits).map(|i| values[i])),
        }
    }
}

/// The other way round; 0 where a bit is clear.
pub(super) fn unpack(packed: &[f32], kept: &[u32], values: &mut [f32]) {
    let mut rest = packed;
    for (values, &bits) in values.chunks_mut(32).zip(kept) {
        let (here, after) = rest.split_at(bits.count_ones() as usize);
        rest = after;
        match bits {
            u32::MAX => values.copy_from_slice(here),
            bits => {
                values.fill(0.0);
                set(bits).zip(here).for_each(|(i, &x)| values[i] = x);
            }
        }
    }
}

/// Places of the bits that are set.
fn set(mut bits: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = bits.trailing_zeros() as usize;
        bits &= bits.wrapping_sub(1);
        (lowest < 32).then_some(lowest)
    })
}
