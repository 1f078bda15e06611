//! Whole runs: against a host simulation, twice the same bits, and what pruning leaves behind.
mod layers;
mod mixed;
mod options;
mod own_score;
mod positions;
mod pruning;
mod pull;
mod recompute;
mod replicas;
mod rescue;
mod resume;
mod saves;
mod scores;
mod simulation;
mod skips;
mod start;
mod step_fn;
mod summaries;
mod trace;
mod weights;

use std::sync::Arc;

use secateur::data::{Answers, Batches, Dataset, Features};
use secateur::kernels::Pruned;
use secateur::nn::Model;
use secateur::optim::{Momentum, Optimizer, Training};
use secateur::prune::{MaskUpdateOp, Pruning, PruningSpec, pruned_count};
use secateur::train::{Event, StepEvent, TrainOp, TrainOptions, TrainOutcome, train};
use secateur::{Error, Gpu};

use crate::common::{Noise, gpu};

/// Three noisy classes of 52 rows; 52 is no multiple of the batch.
pub fn blobs() -> Arc<Dataset> {
    let mut noise = Noise::new(11);
    let (mut bytes, mut labels) = (Vec::new(), Vec::new());
    for i in 0..52u8 {
        let class = i % 3;
        labels.push(class);
        let values = noise.floats(6, 60.0);
        bytes.extend(values.iter().enumerate().map(|(j, v)| {
            let centre = if j % 3 == usize::from(class) { 160.0 } else { 80.0 };
            (centre + v) as u8
        }));
    }
    let features = Features::U8 { bytes, scale: 1.0 / 255.0 };
    Arc::new(Dataset::new("blobs", &[6], features, Answers::classes(labels, 3)).unwrap())
}

pub const MODEL: [u32; 2] = [20, 13];
pub const SEED: u64 = 5;

pub fn spec(pruned: Pruned) -> PruningSpec {
    let spec = PruningSpec::to(0.8)
        .pruning_frequency(3)
        .sparsity_function_begin_step(2)
        .sparsity_function_end_step(16)
        .pruned(pruned);
    match pruned {
        // Behind that step weights are their projection.
        Pruned::Pull => spec.penalty(0.5).end_pruning_step(16),
        _ => spec,
    }
}

pub fn pruning(pruned: Pruned) -> MaskUpdateOp {
    Pruning::new(spec(pruned)).unwrap().conditional_mask_update_op()
}

pub fn train_op(gpu: &Gpu, training: impl Into<Training>) -> TrainOp<'static> {
    let batches = Batches::new(blobs(), 16, Some(SEED)).unwrap();
    TrainOp::new(gpu, &Model::mlp(&MODEL), training, batches, SEED).unwrap()
}

pub fn steps(number: u64) -> TrainOptions<'static> {
    TrainOptions::default().number_of_steps(Some(number))
}

/// Trains `steps` steps without files.
pub fn run(
    gpu: &'static Gpu,
    training: impl Into<Training>,
    mask_update_op: MaskUpdateOp,
    steps: u64,
) -> (TrainOutcome, Vec<StepEvent>) {
    run_op(train_op(gpu, training), mask_update_op, steps)
}

/// As [`run`], of any network.
pub fn run_op(
    train_op: TrainOp<'_>,
    mask_update_op: MaskUpdateOp,
    steps: u64,
) -> (TrainOutcome, Vec<StepEvent>) {
    let mut events = Vec::new();
    let options =
        TrainOptions::default().number_of_steps(Some(steps)).on_event(Some(Box::new(|event| {
            if let Event::Step(step) = event {
                events.push(step.clone());
            }
        })));
    let outcome = train(train_op, None, mask_update_op, options).unwrap();
    (outcome, events)
}

fn weights(outcome: &TrainOutcome) -> Vec<u32> {
    let names = ["fc1", "fc2", "fc3"].map(|l| [format!("{l}.weight"), format!("{l}.bias")]);
    let bits = |name: &String| outcome.session.weights(name).unwrap();
    names.iter().flatten().flat_map(bits).map(f32::to_bits).collect()
}

#[test]
fn two_runs_give_the_same_bits() {
    let Some(gpu) = gpu() else { return };
    let [first, second] =
        [0, 1].map(|_| run(gpu, Optimizer::adam(0.01), pruning(Pruned::Zero), 30));
    assert_eq!(weights(&first.0), weights(&second.0));
    let losses = |events: &[StepEvent]| events.iter().map(|e| e.loss.to_bits()).collect::<Vec<_>>();
    assert_eq!(losses(&first.1), losses(&second.1));
    let other = run(gpu, Optimizer::adam(0.011), pruning(Pruned::Zero), 30);
    assert_ne!(weights(&first.0), weights(&other.0));
}

/// Momentum and weight decay push pruned weights for 40 steps after the last update.
#[test]
fn zero_holds_pruned_weights_at_zero() {
    let Some(gpu) = gpu() else { return };
    let optimizer =
        Optimizer::Momentum(Momentum::new(0.1).momentum(0.9).nesterov(true).weight_decay(0.01));
    let mut spec = spec(Pruned::Zero);
    spec.end_pruning_step = 16;
    let op = Pruning::new(spec).unwrap().conditional_mask_update_op();
    let (outcome, events) = run(gpu, optimizer, op, 56);
    let last = events.iter().rfind(|e| e.masks.is_some()).unwrap();
    assert_eq!(last.step, 16, "the last update is forced at the end of the schedule");
    for layer in outcome.session.layers().unwrap() {
        let pruned = layer.total() - layer.nonzero;
        assert_eq!(pruned, pruned_count(layer.total(), 0.8), "{}", layer.name);
        assert!(layer.threshold > 0.0, "{}", layer.name);
    }
}

/// In `revive` and `freeze` the effective weights are zero where pruned, whatever the raw ones are.
#[test]
fn every_mode_prunes_the_exact_count() {
    let Some(gpu) = gpu() else { return };
    for mode in [Pruned::Zero, Pruned::Revive, Pruned::Freeze] {
        let (outcome, events) = run(gpu, Optimizer::adam(0.01), pruning(mode), 17);
        for layer in outcome.session.layers().unwrap() {
            let pruned = layer.total() - layer.nonzero;
            assert_eq!(pruned, pruned_count(layer.total(), 0.8), "{mode:?} {}", layer.name);
        }
        for event in &events {
            let Some(masks) = &event.masks else { continue };
            for mask in &masks.tensors {
                let want = pruned_count(mask.len.into(), masks.asked);
                let got = (mask.sparsity * f64::from(mask.len)).round() as u64;
                assert_eq!(got, want, "{mode:?} step {} {}", event.step, mask.name);
            }
        }
    }
}

#[test]
fn do_not_prune_leaves_the_output_layer_dense() {
    let Some(gpu) = gpu() else { return };
    let spec = spec(Pruned::Zero).do_not_prune(vec!["fc3".into()]);
    let op = Pruning::new(spec).unwrap().conditional_mask_update_op();
    let (outcome, _) = run(gpu, Optimizer::adam(0.01), op, 16);
    let layers = outcome.session.layers().unwrap();
    assert_eq!(layers.iter().map(|l| l.sparsity > 0.7).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(layers[2].nonzero, layers[2].total());
}

#[test]
fn nothing_to_prune_is_an_error() {
    let Some(gpu) = gpu() else { return };
    let spec = spec(Pruned::Zero).do_not_prune(vec!["fc".into()]);
    let op = Pruning::new(spec).unwrap().conditional_mask_update_op();
    let options = TrainOptions::default().number_of_steps(Some(20));
    let error = train(train_op(gpu, Optimizer::adam(0.01)), None, op, options).unwrap_err();
    assert!(error.to_string().contains("do_not_prune"), "{error}");
}

#[test]
fn a_schedule_that_cannot_fire_is_an_error() {
    let Some(gpu) = gpu() else { return };
    let options = TrainOptions::default().number_of_steps(Some(2));
    let op = pruning(Pruned::Zero);
    let error = train(train_op(gpu, Optimizer::adam(0.01)), None, op, options).unwrap_err();
    assert!(matches!(&error, Error::Argument { .. }), "{error}");
}

/// A learning rate that makes the weights overflow; the error names the step and a tensor.
#[test]
fn a_loss_that_is_not_finite_ends_the_run() {
    let Some(gpu) = gpu() else { return };
    let options = TrainOptions::default().number_of_steps(Some(40));
    let optimizer = Optimizer::sgd(1e30);
    let error = train(train_op(gpu, optimizer), None, MaskUpdateOp::none(), options).unwrap_err();
    let Error::NonFinite { step, tensor } = &error else { panic!("{error}") };
    assert!((2..10).contains(step) && tensor.starts_with("fc"), "{error}");
}

#[test]
fn evaluation_counts_every_row_once() {
    let Some(gpu) = gpu() else { return };
    let (outcome, _) = run(gpu, Optimizer::adam(0.02), MaskUpdateOp::none(), 120);
    let whole = outcome.session.evaluate(&blobs()).unwrap();
    assert!(whole.accuracy().unwrap() > 0.95, "{whole:?}");
    // 52 rows in batches of 16; row by row it is the same up to the order of a sum.
    let right = whole.accuracy().unwrap() * 52.0;
    assert!((right - right.round()).abs() < f64::EPSILON * 64.0, "{right}");
    let one = outcome.session.evaluate(&Arc::new(blobs().head(1).unwrap())).unwrap();
    assert!(one.accuracy().unwrap() == 0.0 || one.accuracy().unwrap() == 1.0, "{one:?}");
}
