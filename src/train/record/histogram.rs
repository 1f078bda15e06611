//! How values are distributed, as TensorBoard's histograms take it.
use crate::graph::RAW;
use crate::session::Snapshot;
use crate::storage::TensorData;

/// Bins of a histogram.
const BINS: usize = 64;

/// Counts of values in bins.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Histogram {
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Sum of the values.
    pub sum: f64,
    /// Sum of their squares.
    pub sum_squares: f64,
    /// Right edge of each bin, strictly ascending; the last is `max`.
    pub limits: Vec<f64>,
    /// Values in each bin; one on an edge counts to the bin on its left.
    pub counts: Vec<u64>,
}

impl Histogram {
    /// The histogram of `values`, which must be finite, in 64 bins of equal width, or in one where
    /// all are equal; `None` for none.
    pub fn of(values: impl Iterator<Item = f32> + Clone) -> Option<Self> {
        Self::counted(values.map(f64::from), |min, max| edges(min, max, BINS))
    }

    /// The histogram of the magnitudes of `values`, which must be finite, with an edge at
    /// `threshold`: what is pruned and what is kept never share a bin. A magnitude of just the
    /// threshold counts to the pruned. `None` for no values.
    ///
    /// The 64 bins are divided between the sides in proportion, at least one for each; those of
    /// one side have equal widths. A threshold that no magnitude is at or below, or that all are,
    /// divides nothing: then it is the histogram [`of`](Self::of) the magnitudes.
    pub fn magnitudes(values: impl Iterator<Item = f32> + Clone, threshold: f32) -> Option<Self> {
        let threshold = f64::from(threshold);
        Self::counted(values.map(|w| f64::from(w.abs())), |min, max| {
            if !(min..max).contains(&threshold) {
                return edges(min, max, BINS);
            }
            let share = (threshold - min) / (max - min);
            let pruned = ((share * BINS as f64).round() as usize).clamp(1, BINS - 1);
            [edges(min, threshold, pruned), edges(threshold, max, BINS - pruned)].concat()
        })
    }

    /// Counts `values` into the bins whose limits `limits` makes of their minimum and maximum.
    fn counted(
        values: impl Iterator<Item = f64> + Clone,
        limits: impl FnOnce(f64, f64) -> Vec<f64>,
    ) -> Option<Self> {
        let min = values.clone().reduce(f64::min)?;
        let max = values.clone().reduce(f64::max)?;
        let limits = limits(min, max);
        let (mut sum, mut sum_squares, mut counts) = (0.0, 0.0, vec![0; limits.len()]);
        for value in values {
            sum += value;
            sum_squares += value * value;
            counts[limits.partition_point(|&limit| limit < value)] += 1;
        }
        Some(Self { min, max, sum, sum_squares, limits, counts })
    }
}

/// Right edges of `bins` bins of equal width, the last at just `to`; of one bin without width
/// where `from` is `to`.
fn edges(from: f64, to: f64, bins: usize) -> Vec<f64> {
    let bins = if from < to { bins } else { 1 };
    let width = (to - from) / bins as f64;
    (1..bins).map(|bin| from + width * bin as f64).chain([to]).collect()
}

/// Distribution of each tensor of the model, and for a pruned one that of its magnitudes, those
/// of pruned weights that have values among them, with an edge at the threshold of the last
/// update if that is one of |w|.
pub(in crate::train) fn histograms(snapshot: &Snapshot) -> Vec<(String, Histogram)> {
    let find = |name: String| match snapshot.optimizer.iter().find(|t| t.name == name)?.data {
        TensorData::F32(ref values) => Some(values),
        TensorData::U32(_) => None,
    };
    let mut all = Vec::new();
    for tensor in &snapshot.model {
        let TensorData::F32(values) = &tensor.data else { continue };
        let name = &tensor.name;
        all.extend(Histogram::of(values.iter().copied()).map(|h| (name.clone(), h)));
        let Some((_, threshold)) = snapshot.pruned.iter().find(|(n, _)| n == name) else {
            continue;
        };
        let raw = find(format!("{name}/{RAW}")).unwrap_or(values).iter().copied();
        let magnitudes = match threshold {
            Some(threshold) => Histogram::magnitudes(raw, *threshold),
            None => Histogram::of(raw.map(f32::abs)),
        };
        all.extend(magnitudes.map(|h| (format!("{name}/magnitude"), h)));
    }
    all
}
