//! Optimizers that move several tensors in one launch.
use secateur::gpu::{Gpu, PlanBuilder, Slot, Target};
use secateur::graph::{Shape, Stored, Weight};
use secateur::kernels::*;
use secateur::optim::{AdamW, Lion, Momentum, Optimizer, Update};

use crate::common::{Noise, Rig, gpu};

/// Within a workgroup and not, with and without a mask; the guards of none lie where the next one
/// begins.
const LENGTHS: [(usize, bool); 6] =
    [(1, false), (248, true), (300, true), (1000, false), (513, true), (33, true)];
const MODES: [Pruned; 3] = [Pruned::Zero, Pruned::Revive, Pruned::Freeze];

/// The tensors of each parameter, weights first, after three steps: moved by `push`, and how often
/// that launched.
fn moved(
    gpu: &Gpu,
    optimizer: Optimizer,
    mode: Pruned,
    push: impl Fn(&mut PlanBuilder, &[Update]),
) -> (Vec<Vec<u32>>, usize) {
    let mut rig = Rig::for_target(gpu, Target::default());
    let mut noise = Noise::new(7);
    let global = optimizer.step(3, 1);
    let step = rig.slot("step", &[global]);
    let mut kept: Vec<Slot> = Vec::new();
    let mut updates = Vec::new();
    for (n, (len, masked)) in LENGTHS.into_iter().enumerate() {
        let weights = rig.slot("weights", &noise.floats(len, 1.0));
        let gradient = rig.slot("gradient", &noise.floats(len, 1.0));
        let mask = rig.slot("mask", &noise.words(len.div_ceil(32)));
        let positive: Vec<f32> = noise.floats(len, 1.0).iter().map(|x| x.abs() + 0.1).collect();
        let slot = |name: &&'static str| (*name, rig.slot(name, &positive));
        let slots: Vec<_> = optimizer.slots().iter().map(slot).collect();
        kept.extend([weights].into_iter().chain(slots.iter().map(|(_, slot)| *slot)));
        let stored = match masked {
            true => Stored::pruned(weights, mask, mode),
            false => weights.into(),
        };
        // Every other one is a matrix, to which weight decay applies.
        let shape = if n % 2 == 0 { Shape::new([len as u32, 1]) } else { Shape::new([len as u32]) };
        let weight = Weight::new(format!("w{n}"), shape, stored).with_slots(slots);
        updates.push(Update::new(weight, gradient, step));
    }
    push(&mut rig.plan, &updates);
    let text = rig.plan.to_string();
    let launches = text.lines().filter(|line| line.contains("gradient=")).count();
    let bench = rig.build();
    (0..3).for_each(|_| bench.run());
    (kept.into_iter().map(|slot| bench.read(slot)).collect(), launches)
}

/// To the bits of a launch for each; with a weight decay of matrices in two launches.
#[test]
fn one_launch_moves_all_as_one_each_would() {
    let Some(gpu) = gpu() else { return };
    let named = |name| Optimizer::named(name, 0.1).unwrap();
    let plain = ["sgd", "momentum", "adam", "rmsprop", "adagrad", "lion"].map(|n| (named(n), 1));
    let decaying: [Optimizer; 3] = [
        AdamW::new(0.1).into(),
        Momentum::new(0.1).weight_decay(0.1).into(),
        Lion::new(0.1).weight_decay(0.1).into(),
    ];
    for (optimizer, want) in plain.into_iter().chain(decaying.map(|optimizer| (optimizer, 2))) {
        for mode in MODES {
            let context = format!("{optimizer:?}, {mode:?}");
            let each = |plan: &mut PlanBuilder, updates: &[Update]| {
                updates.iter().for_each(|update| optimizer.push(plan, update).unwrap());
            };
            let all = |plan: &mut PlanBuilder, updates: &[Update]| {
                optimizer.push_all(plan, updates).unwrap();
            };
            let (apart, launches) = moved(gpu, optimizer, mode, each);
            assert_eq!(launches, LENGTHS.len(), "{context}");
            let (together, launches) = moved(gpu, optimizer, mode, all);
            assert_eq!(launches, want, "{context}");
            assert!(together == apart, "{context}");
            assert!(together == moved(gpu, optimizer, mode, all).0, "{context}: two runs differ");
        }
    }
}
