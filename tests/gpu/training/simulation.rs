//! Training on the device against the same training on the host.
use secateur::data::{Batch, BatchSource, Batches};
use secateur::graph::{Graph, Mode, Tensor, gradients};
use secateur::kernels::{
    AdamParams, Pruned, Step, adam_reference, momentum_reference, ones, sgd_reference,
    topk_reference, unit_floor_reference, unit_peak_reference,
};
use secateur::nn::{Model, Network, initial_values};
use secateur::optim::Optimizer;
use secateur::prune::pruned_count;

use super::{MODEL, SEED, blobs, pruning, run, spec};
use crate::common::gpu;
use crate::interpreter::{Given, evaluate};

const STEPS: u64 = 20;
/// Both sides keep weights in f32 and differ by a few roundings a step; Adam divides by the root of
/// the second moment, which makes a rounding in a small gradient one in a whole step. Losses are of
/// order 1. Seen here: at most 2^-19; a wrong rule is off by 2^-10 within a few steps.
const BOUND: f64 = 1.0 / (1 << 15) as f64;

/// Parameters, masks and optimizer slots on the host.
struct Host {
    graph: Graph,
    network: Network,
    gradients: Vec<Tensor>,
    weights: Vec<Vec<f32>>,
    slots: Vec<[Vec<f32>; 2]>,
    masks: Vec<Option<Vec<u32>>>,
}

impl Host {
    fn new() -> Self {
        let network = Model::mlp(&MODEL).network(16, 6, 3).unwrap();
        let mut graph = network.graph.clone();
        let gradients =
            gradients(&mut graph, network.loss).unwrap().into_iter().flatten().collect();
        let parameters = network.graph.parameters();
        let weights: Vec<Vec<f32>> =
            (0..).zip(parameters).map(|(i, p)| initial_values(p, SEED, i)).collect();
        let slots = weights.iter().map(|w| [vec![0.0; w.len()], vec![0.0; w.len()]]).collect();
        let masks = parameters
            .iter()
            .zip(&weights)
            .map(|(p, w)| p.masked.then(|| ones(w.len() as u32)))
            .collect();
        Self { graph, gradients, weights, slots, masks, network }
    }

    /// One step; returns the loss before it.
    fn step(&mut self, batch: &Batch, optimizer: &Optimizer, pruned: Pruned, step: u64) -> f64 {
        let parameters: Vec<Vec<f64>> =
            self.weights.iter().map(|w| w.iter().map(|&w| w.into()).collect()).collect();
        let scalars = optimizer.step(step, batch.rows as u32);
        let given = Given {
            features: &batch.features,
            labels: &batch.labels,
            batch: 16,
            step: scalars,
            mode: Mode::Train,
            parameters: &parameters,
            masks: &self.masks,
        };
        let last = *self.gradients.iter().max().unwrap();
        let values = evaluate(&self.graph, &given, last, None);
        for i in 0..self.weights.len() {
            let gradient: Vec<f32> =
                values[self.gradients[i].index()].iter().map(|g| *g as f32).collect();
            self.update(i, &gradient, optimizer, pruned, &scalars);
        }
        values[self.network.loss.index()][0]
    }

    fn update(
        &mut self,
        i: usize,
        gradient: &[f32],
        optimizer: &Optimizer,
        pruned: Pruned,
        step: &Step,
    ) {
        let mask = self.masks[i].as_deref().map(|m| (m, pruned));
        let decays = self.masks[i].is_some();
        let decay = |d: f32| if decays { d } else { 0.0 };
        let (weights, [first, second]) = (&mut self.weights[i], &mut self.slots[i]);
        match *optimizer {
            Optimizer::Sgd { weight_decay, .. } => {
                let new = sgd_reference((weights, gradient), mask, decay(weight_decay), step);
                weights.iter_mut().zip(new).for_each(|(w, n)| *w = n as f32);
            }
            Optimizer::Momentum { momentum, nesterov, weight_decay, .. } => {
                let settings = (momentum, decay(weight_decay), nesterov);
                let new = momentum_reference((weights, gradient, first), mask, settings, step);
                for (j, [w, v]) in new.into_iter().enumerate() {
                    (weights[j], first[j]) = (w as f32, v as f32);
                }
            }
            Optimizer::Adam { beta1, beta2, epsilon, .. }
            | Optimizer::AdamW { beta1, beta2, epsilon, .. } => {
                let decay = match *optimizer {
                    Optimizer::AdamW { weight_decay, .. } => decay(weight_decay),
                    _ => 0.0,
                };
                let params = AdamParams { len: 0, beta1, beta2, epsilon, decay };
                let new = adam_reference((weights, gradient), (first, second), mask, &params, step);
                for (j, [w, m, v]) in new.into_iter().enumerate() {
                    (weights[j], first[j], second[j]) = (w as f32, m as f32, v as f32);
                }
            }
        }
    }

    fn update_masks(&mut self, sparsity: f64, pruned: Pruned) {
        for (i, mask) in self.masks.iter_mut().enumerate() {
            let Some(mask) = mask else { continue };
            let weights = &mut self.weights[i];
            let units = *self.network.graph.parameters()[i].shape.dims().last().unwrap();
            let peaks = unit_peak_reference(weights, units as usize);
            let protect = unit_floor_reference(&peaks, weights.len());
            let count = pruned_count(weights.len() as u64, sparsity) as usize;
            *mask = topk_reference(weights, Some(&protect), count);
            if pruned == Pruned::Zero {
                let [first, second] = &mut self.slots[i];
                for values in [weights, first, second] {
                    let clear = |j: usize| !secateur::kernels::bit(mask, j);
                    (0..values.len()).filter(|&j| clear(j)).for_each(|j| values[j] = 0.0);
                }
            }
        }
    }

    /// Loss before each of `STEPS` steps.
    fn losses(optimizer: &Optimizer, pruned: Pruned) -> Vec<f64> {
        let (mut host, spec) = (Self::new(), spec(pruned));
        let mut batches = Batches::new(blobs(), 16, Some(SEED)).unwrap();
        let (mut batch, mut last_update, mut losses) = (Batch::default(), 0, Vec::new());
        for step in 1..=STEPS {
            assert!(batches.next_batch(&mut batch).unwrap());
            losses.push(host.step(&batch, optimizer, pruned, step));
            if spec.is_update_due(step, last_update) {
                host.update_masks(spec.sparsity_at(step), pruned);
                last_update = step;
            }
        }
        losses
    }
}

fn worst(optimizer: &Optimizer, mode: Pruned) -> Option<f64> {
    let (_, events) = run(gpu()?, *optimizer, pruning(mode), STEPS);
    let host = Host::losses(optimizer, mode);
    assert_eq!(events.len(), host.len());
    assert!(host[STEPS as usize - 1] < host[0], "the simulation learns: {host:?}");
    let error = |(e, h): (&secateur::train::StepEvent, &f64)| (f64::from(e.loss) - h).abs();
    Some(events.iter().zip(&host).map(error).fold(0.0, f64::max))
}

#[test]
fn every_optimizer_and_mode_follows_the_host() {
    let optimizers = [
        Optimizer::Sgd { lr: 0.2, weight_decay: 0.01 },
        Optimizer::Momentum { lr: 0.05, momentum: 0.9, nesterov: false, weight_decay: 0.01 },
        Optimizer::Momentum { lr: 0.05, momentum: 0.9, nesterov: true, weight_decay: 0.0 },
        Optimizer::adam(0.01),
        Optimizer::named("adamw", 0.01).unwrap(),
    ];
    for optimizer in &optimizers {
        for mode in [Pruned::Zero, Pruned::Revive, Pruned::Freeze] {
            let Some(worst) = worst(optimizer, mode) else { return };
            println!("{optimizer:?} {mode:?}: worst {worst:.2e}");
            assert!(worst <= BOUND, "{optimizer:?} {mode:?}: {worst:e}");
        }
    }
}

/// The modes differ from each other by more than the bound, so the test above tells them apart.
#[test]
fn the_bound_tells_the_modes_apart() {
    let optimizer =
        Optimizer::Momentum { lr: 0.05, momentum: 0.9, nesterov: false, weight_decay: 0.01 };
    let [zero, revive, freeze] =
        [Pruned::Zero, Pruned::Revive, Pruned::Freeze].map(|m| Host::losses(&optimizer, m));
    let apart = |a: &[f64], b: &[f64]| a.iter().zip(b).any(|(a, b)| (a - b).abs() > 8.0 * BOUND);
    assert!(apart(&zero, &revive) && apart(&revive, &freeze) && apart(&zero, &freeze));
}
