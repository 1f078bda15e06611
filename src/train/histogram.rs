//! How values are distributed, as TensorBoard's histograms take it.

/// Bins of a histogram.
const BINS: usize = 64;

/// Counts of values in bins of equal width.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Sum of the values.
    pub sum: f64,
    /// Sum of their squares.
    pub sum_squares: f64,
    /// Right edge of each bin, ascending; the last is `max`.
    pub limits: Vec<f64>,
    /// Values in each bin; one on an edge counts to the bin on its left.
    pub counts: Vec<u64>,
}

impl Histogram {
    /// The histogram of `values`, which must be finite; `None` for none.
    pub fn of(values: impl Iterator<Item = f32> + Clone) -> Option<Self> {
        let values = values.map(f64::from);
        let min = values.clone().reduce(f64::min)?;
        let max = values.clone().reduce(f64::max)?;
        let width = (max - min) / BINS as f64;
        let bins = if width > 0.0 { BINS } else { 1 };
        let edge = |bin: usize| if bin + 1 == bins { max } else { min + width * (bin + 1) as f64 };
        let limits: Vec<f64> = (0..bins).map(edge).collect();
        let (mut sum, mut sum_squares, mut counts) = (0.0, 0.0, vec![0; bins]);
        for value in values {
            sum += value;
            sum_squares += value * value;
            // The edges decide, not the quotient, so that counts and limits agree.
            let near = if width > 0.0 { ((value - min) / width) as usize } else { 0 };
            let mut bin = near.min(bins - 1);
            while bin > 0 && value <= limits[bin - 1] {
                bin -= 1;
            }
            while value > limits[bin] {
                bin += 1;
            }
            counts[bin] += 1;
        }
        Some(Self { min, max, sum, sum_squares, limits, counts })
    }
}
