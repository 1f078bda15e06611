//! Initial values: a function of seed, parameter and index.
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::graph::{Init, Layout, Parameter};

/// Streams from here up belong to parameters; lower ones to the shuffles of epochs.
const FIRST_STREAM: u64 = 1 << 63;

/// The first values of `parameter`, the `index`-th of its model. Uniform ones are the same bits on
/// every machine; normal ones too where its logarithm and cosine round alike.
pub fn initial_values(parameter: &Parameter, seed: u64, index: u64) -> Vec<f32> {
    let len = parameter.shape.elements().unwrap_or(0) as usize;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(FIRST_STREAM + index);
    let [inputs, outputs] = match parameter.layout {
        Layout::InOut => fans(parameter.shape.dims()),
        Layout::OutIn => {
            let [outputs, inputs] = fans(parameter.shape.dims());
            [inputs, outputs]
        }
    };
    let mut uniform = |bound: f64| (0..len).map(|_| (unit(&mut rng) * bound) as f32).collect();
    match parameter.init {
        Init::Constant(value) => vec![value; len],
        Init::Moments => (0..len).map(|i| if i < len / 2 { 0.0 } else { 1.0 }).collect(),
        Init::Glorot => uniform((6.0 / (inputs + outputs)).sqrt()),
        Init::He => uniform((6.0 / inputs).sqrt()),
        Init::Normal(deviation) => {
            (0..len).map(|_| (normal(&mut rng) * f64::from(deviation)) as f32).collect()
        }
        Init::TruncatedNormal(deviation) => {
            let mut inside = || loop {
                let value = normal(&mut rng);
                if value.abs() <= 2.0 {
                    return (value * f64::from(deviation)) as f32;
                }
            };
            (0..len).map(|_| inside()).collect()
        }
    }
}

/// Inputs and outputs of a unit: the last two extents, times what is before them.
fn fans(dims: &[u32]) -> [f64; 2] {
    match *dims {
        [ref field @ .., inputs, outputs] => {
            let field: f64 = field.iter().map(|&d| f64::from(d)).product();
            [inputs, outputs].map(|n| field * f64::from(n))
        }
        _ => [1.0, 1.0],
    }
}

/// Uniform in -1 to below 1. 24 random bits: every value is exact in f32 before scaling.
fn unit(rng: &mut ChaCha8Rng) -> f64 {
    f64::from(rng.next_u32() >> 8) / f64::from(1 << 23) - 1.0
}

/// Standard normal (Box and Muller 1958).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    // Never 0.
    let radius = (f64::from(rng.next_u32()) + 0.5) / f64::from(1 << 16).powi(2);
    let angle = f64::from(rng.next_u32()) / f64::from(1 << 16).powi(2);
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}
