//! How far f32 arithmetic may be off, found by trying: roundings at random in f64.
use super::{Noise, U};

/// Relative errors at random, of at most `size`.
#[derive(Debug, Clone)]
pub struct Roundings {
    noise: Noise,
    size: f64,
}

impl Roundings {
    /// Of the size that sums of `terms` terms show.
    pub fn new(seed: u64, terms: usize) -> Self {
        Self { noise: Noise::new(100 + seed), size: (terms as f64).sqrt() * U }
    }

    /// Rounds each of `values`.
    pub fn apply(&mut self, values: &mut [f64]) {
        let errors = self.noise.floats(values.len(), 1.0);
        let one = |(value, error): (&mut f64, f32)| *value *= 1.0 + self.size * f64::from(error);
        values.iter_mut().zip(errors).for_each(one);
    }
}

/// Bounds on the errors of each element of `exact`: eight times the largest that `rounded` shows,
/// given eight different seeds. An element that was lucky each time is off as the others of its
/// tensor are.
pub fn bounds(exact: &[Vec<f64>], rounded: impl Fn(u64) -> Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let mut bounds: Vec<Vec<f64>> = exact.iter().map(|t| vec![0.0; t.len()]).collect();
    for seed in 0..8 {
        for ((bounds, values), exact) in bounds.iter_mut().zip(rounded(seed)).zip(exact) {
            for ((bound, value), exact) in bounds.iter_mut().zip(values).zip(exact) {
                *bound = f64::max(*bound, 8.0 * (value - exact).abs());
            }
        }
    }
    for bounds in &mut bounds {
        let mean = (bounds.iter().map(|b| b * b).sum::<f64>() / bounds.len() as f64).sqrt();
        bounds.iter_mut().for_each(|b| *b += mean);
    }
    bounds
}

/// The same for one function of `operands`, with the operands and the result rounded.
pub fn bounds_of(
    operands: &[&[f32]],
    terms: usize,
    f: impl Fn(&[Vec<f64>]) -> Vec<f64>,
) -> (Vec<f64>, Vec<f64>) {
    let wide: Vec<Vec<f64>> =
        operands.iter().map(|x| x.iter().map(|&x| x.into()).collect()).collect();
    let exact = vec![f(&wide)];
    let rounded = |seed| {
        let (mut roundings, mut wide) = (Roundings::new(seed, terms), wide.clone());
        wide.iter_mut().for_each(|x| roundings.apply(x));
        let mut result = f(&wide);
        roundings.apply(&mut result);
        vec![result]
    };
    let bounds = bounds(&exact, rounded).remove(0);
    (exact.into_iter().next().unwrap_or_default(), bounds)
}
