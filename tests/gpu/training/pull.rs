//! `pruned=pull`: weights that are drawn to their projection, and what comes out in the end.
use std::collections::HashMap;
use std::path::Path;

use secateur::checkpoint::newest;
use secateur::gpu::Target;
use secateur::kernels::{
    Pruned, apply_mask_reference, bit, fisher_reference, lift_reference, topk_reference,
};
use secateur::nn::{Input, Model};
use secateur::optim::Optimizer;
use secateur::prune::{MaskUpdateOp, Pruning, PruningSpec, pruned_count};
use secateur::session::{Session, plan};
use secateur::storage::TensorData;
use secateur::train::train;

use super::{MODEL, SEED, blobs, run, spec, steps, train_op};
use crate::common::gpu;

const WEIGHTS: [&str; 3] = ["fc1.weight", "fc2.weight", "fc3.weight"];

fn op(spec: PruningSpec) -> MaskUpdateOp {
    Pruning::new(spec).unwrap().conditional_mask_update_op()
}

/// Of the newest checkpoint: raw weights, anchors, second moments and masks, by name.
struct Files(HashMap<String, TensorData>);

impl Files {
    fn of(logdir: &Path) -> Self {
        let found = newest(logdir).unwrap().unwrap();
        let all = found.model.into_iter().chain(found.optimizer);
        Self(all.map(|t| (t.name, t.data)).collect())
    }

    fn floats(&self, name: &str) -> &[f32] {
        let TensorData::F32(values) = &self.0[name] else { panic!("{name}") };
        values
    }

    fn mask(&self, name: &str) -> &[u32] {
        let TensorData::U32(words) = &self.0[&format!("{name}/mask")] else { panic!("{name}") };
        words
    }
}

/// Trains `number` steps in a logdir of its own, without floors for units.
fn after(optimizer: Optimizer, spec: PruningSpec, number: u64) -> Files {
    let folder = tempfile::tempdir().unwrap();
    let train_op = train_op(gpu().unwrap(), optimizer);
    train(train_op, Some(folder.path()), op(spec.keep_units(false)), steps(number)).unwrap();
    Files::of(folder.path())
}

/// Updates at 3, 6 and 9: a checkpoint at 9 has what the update made of what step 9 left, whose dual
/// variables are those of 8.
#[test]
fn a_mask_is_the_projection_of_weights_and_their_duals() {
    if gpu().is_none() {
        return;
    }
    for score in ["magnitude", "fisher"] {
        let of = spec(Pruned::Pull).score(score.parse().unwrap());
        let [before, at] = [8, 9].map(|number| after(Optimizer::adam(0.01), of.clone(), number));
        for name in WEIGHTS {
            let (raw, anchor) = (format!("{name}/raw"), format!("{name}/anchor"));
            let w = at.floats(&raw);
            let want = lift_reference(w, before.mask(name), before.floats(&anchor));
            let want: Vec<f32> = want.into_iter().map(|a| a as f32).collect();
            assert_eq!(at.floats(&anchor), want, "{name} by {score}");
            let scores: Vec<f32> = match score {
                "fisher" => {
                    let second = at.floats(&format!("{name}/second"));
                    fisher_reference(&want, second).into_iter().map(|s| s as f32).collect()
                }
                _ => want,
            };
            let count = pruned_count(w.len() as u64, of.sparsity_at(9)) as usize;
            let mask = topk_reference(&scores, None, count);
            let differ: u32 =
                at.mask(name).iter().zip(&mask).map(|(a, b)| (a ^ b).count_ones()).sum();
            // The root may round the other way, where two scores are all but equal.
            assert!(differ <= if score == "fisher" { 2 } else { 0 }, "{name} by {score}: {differ}");
            assert_eq!(at.floats(name), apply_mask_reference(at.mask(name), w), "{name}");
            let dense = w.iter().filter(|&&w| w == 0.0).count();
            assert!(dense < w.len() / 10, "{name}: pruned weights train on");
        }
    }
}

/// The last update is at 16. The raw values are looked at, which no mask hides.
#[test]
fn behind_the_last_update_pruned_weights_are_zero_and_stay_so() {
    if gpu().is_none() {
        return;
    }
    for optimizer in ["adam", "adamw", "momentum", "rmsprop", "adagrad", "lion"] {
        let by = Optimizer::named(optimizer, 0.01).unwrap();
        let seen = [16, 17, 24].map(|number| {
            let files = after(by, spec(Pruned::Pull), number);
            WEIGHTS.map(|name| {
                let raw = files.floats(&format!("{name}/raw")).to_vec();
                let zeros = raw.iter().filter(|w| w.to_bits() == 0).count() as u64;
                assert_eq!(zeros, pruned_count(raw.len() as u64, 0.8), "{name} at {number}");
                assert_eq!(files.floats(name), raw, "{name} at {number}");
                assert!(files.floats(&format!("{name}/anchor")).iter().all(|&a| a == 0.0));
                raw
            })
        });
        assert_ne!(seen[0], seen[1], "{optimizer}: what is kept trains on");
        for (first, last) in seen[0].iter().zip(&seen[2]) {
            let same = first.iter().zip(last).all(|(a, b)| (*a == 0.0) == (*b == 0.0));
            assert!(same, "{optimizer}: another mask");
        }
    }
}

/// Evaluation is of the network with its zeros, while training reads all weights.
#[test]
fn evaluation_is_of_the_pruned_network() {
    let Some(gpu) = gpu() else { return };
    let (outcome, events) = run(gpu, Optimizer::adam(0.01), op(spec(Pruned::Pull)), 14);
    let network = Model::mlp(&MODEL).network(16, &Input::flat(6, 3)).unwrap();
    let none = MaskUpdateOp::none();
    let mut other = Session::new(gpu, &network, Optimizer::adam(0.01), &none, SEED).unwrap();
    for p in network.graph.parameters() {
        other.set_weights(&p.name, &outcome.session.weights(&p.name).unwrap()).unwrap();
    }
    let got = outcome.session.evaluate(&blobs()).unwrap();
    assert_eq!(got, other.evaluate(&blobs()).unwrap());
    let masks = events.iter().rev().find_map(|e| e.masks.as_ref()).unwrap();
    // What a penalty draws is never all there.
    assert!(masks.tensors.iter().all(|t| (0.2..1.0).contains(&t.kept_energy)), "{masks:?}");
}

/// One f32 for each weight with a mask, and not a byte more that stays.
#[test]
fn it_keeps_one_value_a_weight() {
    let network = Model::mlp(&MODEL).network(16, &Input::flat(6, 3)).unwrap();
    let bytes = |mode| {
        let op = op(spec(mode));
        // On GPUs tensors that are moved together have padding between them.
        let target = Target { software: true, ..Target::default() };
        let plan = plan(&network, Optimizer::adam(0.01), &op, target).unwrap();
        plan.memory().persistent
    };
    let weights: u64 = network
        .graph
        .parameters()
        .iter()
        .filter(|p| p.masked)
        .map(|p| 4 * u64::from(p.shape.elements().unwrap()))
        .sum();
    let [zero, pull] = [Pruned::Zero, Pruned::Pull].map(bytes);
    // Buffers begin at multiples of 256 bytes.
    let rounding = 256 * 3;
    assert!(pull.abs_diff(zero + weights) <= rounding, "{pull}, {zero} and {weights}");
}

/// A run that goes on without a schedule holds what is zero.
#[test]
fn masks_are_held_where_no_update_follows() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let adam = || Optimizer::adam(0.01);
    let of = spec(Pruned::Pull);
    train(train_op(gpu, adam()), Some(folder.path()), op(of.clone()), steps(10)).unwrap();
    let before = Files::of(folder.path());
    let held = MaskUpdateOp::held(of).unwrap();
    train(train_op(gpu, adam()), Some(folder.path()), held, steps(20)).unwrap();
    let after = Files::of(folder.path());
    for name in WEIGHTS {
        assert_eq!(before.mask(name), after.mask(name));
        let has_raw = |files: &Files| files.0.contains_key(&format!("{name}/raw"));
        assert!(has_raw(&before) && !has_raw(&after), "{name}: what is pruned is gone for good");
        let (was, is) = (before.floats(name), after.floats(name));
        let zeros = (0..is.len()).filter(|&i| !bit(after.mask(name), i));
        zeros.for_each(|i| assert_eq!((was[i], is[i]), (0.0, 0.0), "{name}"));
        assert_ne!(was, is, "{name}: what is kept trains on");
    }
}

#[test]
fn second_moments_are_adams() {
    let Some(gpu) = gpu() else { return };
    let network = Model::mlp(&MODEL).network(16, &Input::flat(6, 3)).unwrap();
    let op = op(spec(Pruned::Pull).score("fisher".parse().unwrap()));
    let error = Session::new(gpu, &network, Optimizer::sgd(0.1), &op, SEED).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("adam and adamw") && said.contains("another score"), "{said}");
}
