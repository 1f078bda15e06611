//! Initial values: a function of seed, parameter and index, the same on every machine.
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::graph::Parameter;

/// Streams from here up belong to parameters; lower ones to the shuffles of epochs.
const FIRST_STREAM: u64 = 1 << 63;

/// Values for `parameter`, the `index`-th of its model: uniform in `+-sqrt(6 / (inputs + outputs))`
/// for rank 2 (Glorot and Bengio 2010), zeros for biases.
pub fn glorot_uniform(parameter: &Parameter, seed: u64, index: u64) -> Vec<f32> {
    let &[inputs, outputs] = parameter.shape.dims() else {
        return vec![0.0; parameter.shape.elements().unwrap_or(0) as usize];
    };
    let bound = (6.0 / (f64::from(inputs) + f64::from(outputs))).sqrt();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(FIRST_STREAM + index);
    // 24 random bits: every value is exact in f32 before scaling.
    let unit = |bits: u32| f64::from(bits >> 8) / f64::from(1 << 23) - 1.0;
    let mut draw = || (unit(rng.next_u32()) * bound) as f32;
    (0..u64::from(inputs) * u64::from(outputs)).map(|_| draw()).collect()
}
