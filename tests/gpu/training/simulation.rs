//! Training on the device against the same training on the host.
use secateur::data::{Batch, BatchSource, Batches};
use secateur::graph::{Graph, Mode, Tensor, gradients};
use secateur::kernels::{
    AdagradParams, AdamParams, LionParams, Pruned, RmsPropParams, Step, adagrad_reference,
    adam_reference, clip_norm_reference, clip_value_reference, gradient_norm_reference,
    lift_reference, lion_reference, momentum_reference, ones, pull_reference, rmsprop_reference,
    sgd_reference, topk_reference, unit_floor_reference, unit_peak_reference,
};
use secateur::nn::{Model, Network, initial_values};
use secateur::optim::{
    Adagrad, Adam, AdamW, Clip, Decay, EpsilonForm, Lion, Momentum, Multiplier, Optimizer, RmsProp,
    Schedule, Sgd, Training,
};
use secateur::prune::{PruningSpec, pruned_count};
use secateur::train::TrainOp;

use super::{MODEL, SEED, blobs, pruning, run_op, spec};
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
    /// What weights are drawn to.
    anchors: Vec<Vec<f32>>,
}

impl Host {
    fn new(network: Network) -> Self {
        let mut graph = network.graph.clone();
        let gradients =
            gradients(&mut graph, network.loss).unwrap().into_iter().flatten().collect();
        let parameters = network.graph.parameters();
        let weights: Vec<Vec<f32>> =
            (0..).zip(parameters).map(|(i, p)| initial_values(p, SEED, i)).collect();
        let anchors = weights.iter().map(|w| vec![0.0; w.len()]).collect();
        let slots = weights.iter().map(|w| [vec![0.0; w.len()], vec![0.0; w.len()]]).collect();
        let masks = parameters
            .iter()
            .zip(&weights)
            .map(|(p, w)| p.masked.then(|| ones(w.len() as u32)))
            .collect();
        Self { graph, gradients, weights, slots, masks, anchors, network }
    }

    /// One step; returns the loss before it.
    fn step(&mut self, batch: &Batch, training: &Training, spec: &PruningSpec, step: u64) -> f64 {
        let pruned = spec.pruned;
        let dense = vec![None; self.masks.len()];
        let masks = if pruned == Pruned::Pull { &dense } else { &self.masks };
        let parameters: Vec<Vec<f64>> =
            self.weights.iter().map(|w| w.iter().map(|&w| w.into()).collect()).collect();
        let scalars = training.step(step, batch.rows as u32);
        let given = Given {
            features: &batch.features,
            labels: &batch.labels,
            batch: 16,
            step: scalars,
            mode: Mode::Train,
            parameters: &parameters,
            masks,
        };
        let last = *self.gradients.iter().max().unwrap();
        let values = evaluate(&self.graph, &given, last, None);
        let floats = |g: &Tensor| values[g.index()].iter().map(|g| *g as f32).collect();
        let mut gradients: Vec<Vec<f32>> = self.gradients.iter().map(floats).collect();
        self.clip(&mut gradients, training, masks);
        for (i, gradient) in gradients.iter_mut().enumerate().filter(|_| pruned == Pruned::Pull) {
            let Some(mask) = &self.masks[i] else { continue };
            let of = [&self.weights[i][..], &self.anchors[i], gradient];
            let pulled = pull_reference(of, mask, spec.penalty as f32);
            *gradient = pulled.into_iter().map(|g| g as f32).collect();
        }
        for (i, gradient) in gradients.iter().enumerate() {
            self.update(i, gradient, &training.optimizer, pruned, &scalars);
        }
        values[self.network.loss.index()][0]
    }

    fn clip(&self, gradients: &mut [Vec<f32>], training: &Training, masks: &[Option<Vec<u32>>]) {
        let parameters = self.network.graph.parameters();
        let names: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
        let factors = training.factors(&names).unwrap();
        let Clip { value, norm, global_norm, .. } = training.clip;
        let floats = |g: Vec<f64>| g.into_iter().map(|g| g as f32).collect();
        let mut total = 0.0;
        for ((g, factor), mask) in gradients.iter_mut().zip(factors).zip(masks) {
            *g = floats(clip_value_reference(g, factor, value));
            let square = |g: &[f32]| gradient_norm_reference(g, mask.as_deref());
            if let Some(bound) = norm {
                *g = floats(clip_norm_reference(g, square(g), bound));
            }
            total += square(g);
        }
        for (g, bound) in gradients.iter_mut().flat_map(|g| global_norm.map(|bound| (g, bound))) {
            *g = floats(clip_norm_reference(g, total, bound));
        }
    }

    fn update(
        &mut self,
        i: usize,
        gradient: &[f32],
        optimizer: &Optimizer,
        pruned: Pruned,
        step: &Step,
    ) {
        let mask = self.masks[i].as_deref().filter(|_| pruned != Pruned::Pull);
        let mask = mask.map(|m| (m, pruned));
        let decays = self.masks[i].is_some();
        let decay = |d: f32| if decays { d } else { 0.0 };
        let l2 = self.network.graph.parameters()[i].decay;
        let (weights, [first, second]) = (&mut self.weights[i], &mut self.slots[i]);
        match *optimizer {
            Optimizer::Sgd(Sgd { weight_decay, .. }) => {
                let new = sgd_reference((weights, gradient), mask, l2 + decay(weight_decay), step);
                weights.iter_mut().zip(new).for_each(|(w, n)| *w = n as f32);
            }
            Optimizer::Momentum(Momentum { momentum, nesterov, weight_decay, .. }) => {
                let settings = (momentum, l2 + decay(weight_decay), nesterov);
                let new = momentum_reference((weights, gradient, first), mask, settings, step);
                for (j, [w, v]) in new.into_iter().enumerate() {
                    (weights[j], first[j]) = (w as f32, v as f32);
                }
            }
            Optimizer::Adam(Adam { beta1, beta2, epsilon, epsilon_form, .. })
            | Optimizer::AdamW(AdamW { beta1, beta2, epsilon, epsilon_form, .. }) => {
                let decay = match *optimizer {
                    Optimizer::AdamW(AdamW { weight_decay, .. }) => decay(weight_decay),
                    _ => 0.0,
                };
                let params = AdamParams { len: 0, beta1, beta2, epsilon, decay, l2 };
                let (slots, how) = ((&first[..], &second[..]), (&params, epsilon_form));
                let new = adam_reference((weights, gradient), slots, mask, how, step);
                for (j, [w, m, v]) in new.into_iter().enumerate() {
                    (weights[j], first[j], second[j]) = (w as f32, m as f32, v as f32);
                }
            }
            Optimizer::RmsProp(RmsProp { decay, momentum, epsilon, .. }) => {
                let params = RmsPropParams { len: 0, decay, momentum, epsilon, l2 };
                let slots = (&first[..], &second[..]);
                let new = rmsprop_reference((weights, gradient), slots, mask, &params, step);
                for (j, [w, s, v]) in new.into_iter().enumerate() {
                    (weights[j], first[j], second[j]) = (w as f32, s as f32, v as f32);
                }
            }
            Optimizer::Adagrad(Adagrad { initial, epsilon, .. }) => {
                let params = AdagradParams { len: 0, initial, epsilon, l2 };
                let new = adagrad_reference((weights, gradient, first), mask, &params, step);
                for (j, [w, s]) in new.into_iter().enumerate() {
                    (weights[j], first[j]) = (w as f32, s as f32);
                }
            }
            Optimizer::Lion(Lion { beta1, beta2, weight_decay, .. }) => {
                let decay = decay(weight_decay);
                let params = LionParams { len: 0, beta1, beta2, decay, l2 };
                let new = lion_reference((weights, gradient, first), mask, &params, step);
                for (j, [w, m]) in new.into_iter().enumerate() {
                    (weights[j], first[j]) = (w as f32, m as f32);
                }
            }
            other => panic!("no host reference for {other:?}"),
        }
    }

    fn update_masks(&mut self, sparsity: f64, (pruned, last): (Pruned, bool)) {
        for (i, mask) in self.masks.iter_mut().enumerate() {
            let Some(mask) = mask else { continue };
            let weights = &mut self.weights[i];
            let units = *self.network.graph.parameters()[i].shape.dims().last().unwrap();
            let anchor = &mut self.anchors[i];
            let pulls = pruned == Pruned::Pull;
            if pulls {
                let lifted = lift_reference(weights, mask, anchor);
                *anchor = lifted.into_iter().map(|a| a as f32).collect();
            }
            let ranked = if pulls { &*anchor } else { &*weights };
            let peaks = unit_peak_reference(ranked, units as usize);
            let protect = unit_floor_reference(&peaks, ranked.len());
            let count = pruned_count(ranked.len() as u64, sparsity) as usize;
            *mask = topk_reference(ranked, Some(&protect), count);
            if pulls && last {
                anchor.fill(0.0);
            }
            if pruned == Pruned::Zero || pulls && last {
                let [first, second] = &mut self.slots[i];
                for values in [weights, first, second] {
                    let clear = |j: usize| !secateur::kernels::bit(mask, j);
                    (0..values.len()).filter(|&j| clear(j)).for_each(|j| values[j] = 0.0);
                }
            }
        }
    }

    /// Loss before each of `STEPS` steps.
    fn losses(network: Network, training: &Training, pruned: Pruned) -> Vec<f64> {
        Self::losses_of(network, training, &spec(pruned))
    }

    fn losses_of(network: Network, training: &Training, spec: &PruningSpec) -> Vec<f64> {
        let mut host = Self::new(network);
        let mut batches = Batches::new(blobs(), 16, Some(SEED)).unwrap();
        let (mut batch, mut last_update, mut losses) = (Batch::default(), 0, Vec::new());
        for step in 1..=STEPS {
            assert!(batches.next_batch(&mut batch).unwrap());
            losses.push(host.step(&batch, training, spec, step));
            if spec.is_update_due(step, last_update) {
                let last = spec.next_update(step, step).is_none();
                host.update_masks(spec.sparsity_at(step), (spec.pruned, last));
                last_update = step;
            }
        }
        losses
    }
}

fn network() -> Network {
    Model::mlp(&MODEL).network(16, &secateur::nn::Input::flat(6, 3)).unwrap()
}

/// With decays of two parameters' own, one of them a bias.
fn decaying() -> Network {
    let mut network = network();
    let tensors: Vec<Tensor> = network.graph.parameters().iter().map(|p| p.tensor).collect();
    network.graph.weight_decay(tensors[0], 0.05).unwrap();
    network.graph.weight_decay(tensors[3], 0.1).unwrap();
    network
}

fn worst(network: Network, training: &Training, mode: Pruned) -> Option<f64> {
    let batches = Batches::new(blobs(), 16, Some(SEED)).unwrap();
    let op = TrainOp::from_network(gpu()?, network.clone(), training, batches, SEED).unwrap();
    let (_, events) = run_op(op, pruning(mode), STEPS);
    let host = Host::losses(network, training, mode);
    assert_eq!(events.len(), host.len());
    // Weights that were drawn to their projection lose what they still had beside it.
    let last = if mode == Pruned::Pull { 15 } else { STEPS as usize - 1 };
    let lowest = host[1..=last].iter().copied().fold(f64::INFINITY, f64::min);
    let end = if mode == Pruned::Pull { lowest } else { host[last] };
    assert!(end < host[0], "the simulation learns: {host:?}");
    let error = |(e, h): (&secateur::train::StepEvent, &f64)| (f64::from(e.loss) - h).abs();
    Some(events.iter().zip(&host).map(error).fold(0.0, f64::max))
}

fn follow_the_host(network: &Network, all: &[Training]) {
    for training in all {
        for mode in [Pruned::Zero, Pruned::Revive, Pruned::Freeze, Pruned::Pull] {
            let Some(worst) = worst(network.clone(), training, mode) else { return };
            println!("{training:?} {mode:?}: worst {worst:.2e}");
            assert!(worst <= BOUND, "{training:?} {mode:?}: {worst:e}");
        }
    }
}

const HEAVY: Optimizer =
    Optimizer::Momentum(Momentum::new(0.05).momentum(0.9).nesterov(false).weight_decay(0.01));

#[test]
fn every_optimizer_and_mode_follows_the_host() {
    let rmsprop = Optimizer::RmsProp(RmsProp::new(0.005).decay(0.9).momentum(0.5).epsilon(1e-4));
    let optimizers = [
        Optimizer::Sgd(Sgd::new(0.2).weight_decay(0.01)),
        HEAVY,
        Optimizer::Momentum(Momentum::new(0.05).nesterov(true)),
        Optimizer::adam(0.01),
        Adam::new(0.01).epsilon(1e-4).epsilon_form(EpsilonForm::TensorFlow).into(),
        Optimizer::named("adamw", 0.01).unwrap(),
        rmsprop,
        Optimizer::named("adagrad", 0.1).unwrap(),
    ];
    follow_the_host(&network(), &optimizers.map(Training::from));
}

/// A sign is any where a gradient is within its rounding of 0; a small rate keeps what that does
/// below the bound.
#[test]
fn lion_follows_the_host() {
    let lion = Optimizer::Lion(Lion::new(0.002).beta1(0.9).beta2(0.99).weight_decay(0.1));
    follow_the_host(&network(), &[lion.into()]);
}

#[test]
fn a_decay_of_a_parameters_own_follows_the_host() {
    let named = |name| Optimizer::named(name, 0.01).unwrap();
    let all = ["sgd", "momentum", "adam", "adamw", "adagrad"].map(named).map(Training::from);
    follow_the_host(&decaying(), &all);
}

fn clipped(clip: Clip) -> Training {
    let multipliers = vec![
        Multiplier { name: "fc2".into(), factor: 0.5 },
        Multiplier { name: "fc1.bias".into(), factor: 0.0 },
    ];
    let decay = Decay::Cosine { steps: 18, end: 0.1 };
    let schedule = Schedule::default().warmup_steps(4).decay(decay);
    Training::from(HEAVY).clip(clip).multipliers(multipliers).schedule(schedule)
}

/// Bounds that bite: gradients of a tensor have norms of a tenth here, and elements of a hundredth.
fn clips() -> [Clip; 5] {
    [
        Clip::default(),
        Clip::default().value(Some(0.01)),
        Clip::default().norm(Some(0.03)),
        Clip::default().global_norm(Some(0.05)),
        Clip::default().value(Some(0.02)).norm(Some(0.04)).global_norm(Some(0.06)),
    ]
}

#[test]
fn a_clipped_run_on_a_schedule_follows_the_host() {
    follow_the_host(&network(), &clips().map(clipped));
}

/// What is compared differs by more than the bound, so the tests above tell it apart.
#[test]
fn the_bound_tells_the_settings_apart() {
    let apart = |a: &[f64], b: &[f64]| a.iter().zip(b).any(|(a, b)| (a - b).abs() > 8.0 * BOUND);
    let all_apart = |all: &[Vec<f64>]| {
        for (i, a) in all.iter().enumerate() {
            all[..i].iter().enumerate().for_each(|(j, b)| assert!(apart(a, b), "{i} is {j}"));
        }
    };
    let mode = |m| Host::losses(network(), &HEAVY.into(), m);
    let mut modes = [Pruned::Zero, Pruned::Revive, Pruned::Freeze, Pruned::Pull].map(mode).to_vec();
    let pull = |spec: PruningSpec| Host::losses_of(network(), &HEAVY.into(), &spec);
    modes.push(pull(spec(Pruned::Pull).penalty(0.25)));
    modes.push(pull(spec(Pruned::Pull).end_pruning_step(-1)));
    all_apart(&modes);
    let clip = |clip| Host::losses(network(), &clipped(clip), Pruned::Revive);
    let mut all = clips().map(clip).to_vec();
    let mut one = clipped(clips()[4]);
    one.multipliers.pop();
    all.push(Host::losses(network(), &one, Pruned::Revive));
    one.schedule.warmup_steps = 0;
    all.push(Host::losses(network(), &one, Pruned::Revive));
    one.schedule.decay = Decay::Constant;
    all.push(Host::losses(network(), &one, Pruned::Revive));
    all_apart(&all);
    let own = |network| Host::losses(network, &HEAVY.into(), Pruned::Revive);
    all_apart(&[own(network()), own(decaying())]);
}
