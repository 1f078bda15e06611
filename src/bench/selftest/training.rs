//! A training on the embedded digits that prunes as it goes: exact counts, real zeros, the same
//! bits again.
use std::sync::Arc;

use super::compared::{Compared, Found};
use crate::Result;
use crate::data::{Batches, digits};
use crate::gpu::Gpu;
use crate::nn::Model;
use crate::optim::Optimizer;
use crate::prune::{Pruning, PruningSpec, pruned_count};
use crate::session::Session;
use crate::train::{TrainOp, TrainOptions, train};

const STEPS: u64 = 60;
const SPARSITY: f64 = 0.9;
/// What guessing costs: the loss of ten equal shares.
const GUESS: f64 = std::f64::consts::LN_10;

/// Trains twice and compares.
pub(super) fn check(gpu: &Gpu) -> Result<Found> {
    let mut compared = Compared::default();
    let (first, second) = (trained(gpu)?, trained(gpu)?);
    let mut pruned = 0;
    for layer in first.layers()? {
        let (total, want) = (layer.total(), pruned_count(layer.total(), SPARSITY));
        let zeros = total - layer.nonzero;
        pruned += zeros;
        compared.holds(zeros == want, || {
            format!("{}: {zeros} of {total} weights are zero, must be {want}", layer.name)
        });
        let weights = first.weights(&layer.name)?;
        compared.same(&layer.name, &second.weights(&layer.name)?, &weights);
    }
    let evaluation = first.evaluate(&digits().test)?;
    let loss = evaluation.loss;
    compared.holds(loss < GUESS, || {
        format!("the test loss is {loss} after {STEPS} steps, must be below {GUESS}, a guess's")
    });
    let accuracy = evaluation.accuracy().unwrap_or(0.0);
    Ok(compared.found(&format!(
        "{STEPS} steps twice, {pruned} weights pruned, test loss {loss:.4}, accuracy {accuracy:.4}"
    )))
}

fn trained(gpu: &Gpu) -> Result<Session> {
    let batches = Batches::new(Arc::clone(&digits().train), 32, Some(1))?.drop_last(true)?;
    let train_op = TrainOp::new(gpu, &Model::mlp(&[32]), Optimizer::adam(0.003), batches, 1)?;
    let spec = PruningSpec::to(SPARSITY).pruning_frequency(10).sparsity_function_end_step(40);
    let options = TrainOptions::default().number_of_steps(Some(STEPS));
    let mask_update_op = Pruning::new(spec)?.conditional_mask_update_op();
    Ok(train(train_op, None, mask_update_op, options)?.session)
}
