//! Budgets, groups, floors and schedules in whole runs.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use secateur::kernels::{
    Pruned, apply_mask_reference, topk_reference, unit_floor_reference, unit_peak_reference,
};
use secateur::optim::Optimizer;
use secateur::prune::{LayerSparsity, Pruning, PruningSpec, pruned_count};
use secateur::train::{StepEvent, TrainOutcome, train};

use super::{SEED, run, spec, steps, train_op};
use crate::common::gpu;

/// One update at step 4, from the raw weights that it leaves behind.
fn once(more: &str) -> PruningSpec {
    let base = "schedule=one_shot,begin_pruning_step=4,pruned=freeze";
    format!("{base},{more}").parse().unwrap_or_else(|e| panic!("{more}: {e}"))
}

fn pruned(spec: PruningSpec, steps: u64) -> Option<(TrainOutcome, Vec<StepEvent>)> {
    let op = Pruning::new(spec).unwrap().conditional_mask_update_op();
    Some(run(gpu()?, Optimizer::adam(0.01), op, steps))
}

fn nonzero(outcome: &TrainOutcome) -> Vec<u64> {
    outcome.session.layers().unwrap().iter().map(|l| l.nonzero).collect()
}

fn columns(outcome: &TrainOutcome, layer: &LayerSparsity) -> Vec<usize> {
    let units = layer.shape[1] as usize;
    let weights = outcome.session.weights(&layer.name).unwrap();
    let left = |c: usize| weights[c..].iter().step_by(units).filter(|&&w| w != 0.0).count();
    (0..units).map(left).collect()
}

#[test]
fn one_shot_prunes_once() {
    let Some((_, events)) = pruned(once("target_sparsity=0.8"), 40) else { return };
    let updates: Vec<u64> = events.iter().filter(|e| e.masks.is_some()).map(|e| e.step).collect();
    assert_eq!(updates, [4]);
}

/// The ranking of all weights one after the other, each unit's highest weight last.
#[test]
fn global_scope_is_one_ranking() {
    for keep_units in [true, false] {
        let more = format!("target_sparsity=0.9,scope=global,keep_units={keep_units}");
        let Some((outcome, events)) = pruned(once(&more), 4) else { return };
        let Some((dense, _)) = pruned(once("target_sparsity=0,scope=global"), 4) else { return };
        let layers = outcome.session.layers().unwrap();
        let raw = |l: &LayerSparsity| dense.session.weights(&l.name).unwrap();
        let all: Vec<f32> = layers.iter().flat_map(raw).collect();
        // Bit by bit: the tensors do not end at a word.
        let mut protect = vec![0u32; all.len().div_ceil(32)];
        let mut first = 0;
        for layer in layers.iter().filter(|_| keep_units) {
            let weights = raw(layer);
            let peaks = unit_peak_reference(&weights, layer.shape[1] as usize);
            let own = unit_floor_reference(&peaks, weights.len());
            for i in (0..weights.len()).filter(|i| own[i / 32] >> (i % 32) & 1 == 1) {
                protect[(first + i) / 32] |= 1 << ((first + i) % 32);
            }
            first += weights.len();
        }
        let count = pruned_count(all.len() as u64, 0.9) as usize;
        let mask = topk_reference(&all, Some(&protect), count);
        let left: Vec<f32> =
            layers.iter().flat_map(|l| outcome.session.weights(&l.name).unwrap()).collect();
        for (i, (&left, &raw)) in left.iter().zip(&all).enumerate() {
            let kept = mask[i / 32] >> (i % 32) & 1 == 1;
            assert_eq!(left, if kept { raw } else { 0.0 }, "weight {i}, keep_units {keep_units}");
        }
        let masks = events[3].masks.as_ref().unwrap();
        let total = all.len() as f64;
        assert!((masks.sparsity() - count as f64 / total).abs() < 1e-12);
        assert!((masks.asked_total - masks.sparsity()).abs() < 1e-12);
        assert!(masks.tensors.iter().all(|t| t.asked.is_none()), "they have one share together");
        let sparsities: Vec<f64> = masks.tensors.iter().map(|t| t.sparsity).collect();
        assert!(sparsities.iter().any(|s| (s - 0.9).abs() > 0.01), "{sparsities:?}: not global");
    }
}

/// At 95 % the output layer of 39 weights keeps two, for three classes: the floor changes which,
/// never how many; at 90 % each class keeps one.
#[test]
fn units_keep_a_weight_where_the_count_allows_it() {
    let dead = |more: &str| {
        let (outcome, _) = pruned(once(more), 4)?;
        let layers = outcome.session.layers().unwrap();
        let dead = layers.iter().map(|l| columns(&outcome, l).iter().filter(|&&n| n == 0).count());
        Some((dead.collect::<Vec<_>>(), nonzero(&outcome)))
    };
    let Some((floor, kept)) = dead("target_sparsity=0.9") else { return };
    let Some((none, same)) = dead("target_sparsity=0.9,keep_units=false") else { return };
    // 12 of 120 weights for 20 units: no count leaves one for each.
    assert_eq!((floor[0], &floor[1..]), (8, &[0, 0][..]), "{kept:?}");
    assert!(none.iter().sum::<usize>() > floor.iter().sum(), "{none:?} against {floor:?}");
    assert_eq!(kept, same);
    assert_eq!(kept, [12, 26, 4]);
}

#[test]
fn budgets_and_rules_reach_their_counts() {
    type Holds = fn(&[u64]) -> bool;
    let cases: [(&str, Holds); 4] = [
        ("target_sparsity=0.8,last_layer_sparsity=0", |n| n == [24, 52, 39]),
        ("target_sparsity=0.8,weight_sparsity_map=[fc1:0.5]", |n| n == [60, 52, 8]),
        ("target_sparsity=0.8,first_layer_sparsity=0.25,groups=[rest:fc2|fc3]", |n| {
            n[0] == 90 && n[1] + n[2] == 60
        }),
        ("target_sparsity=0.8,budget=erk", |n| n.iter().sum::<u64>() == 84 && n[2] > 8),
    ];
    for (more, holds) in cases {
        let Some((outcome, _)) = pruned(once(more), 4) else { return };
        let nonzero = nonzero(&outcome);
        assert!(holds(&nonzero), "{more}: {nonzero:?}");
    }
}

/// 455 parameters, 36 of them biases: a target for all becomes one for the weights.
#[test]
fn a_number_of_parameters_is_met() {
    let Some((outcome, events)) = pruned(once("target_parameters=136"), 4) else { return };
    let left = nonzero(&outcome).iter().sum::<u64>();
    assert!(left.abs_diff(100) <= 2, "{left}");
    let asked = events[3].masks.as_ref().unwrap().asked;
    assert!((asked - (1.0 - 100.0 / 419.0)).abs() < 0.01, "{asked}");
}

/// The sparsity comes from outside: a value that somebody else sets.
#[test]
fn sparsity_may_come_from_outside() {
    let Some(gpu) = gpu() else { return };
    let bits = Arc::new(AtomicU64::new(0.25f64.to_bits()));
    let read = Arc::clone(&bits);
    let pruning = Pruning::new(spec(Pruned::Zero)).unwrap();
    let pruning = pruning.with_sparsity(move |step| {
        let value = f64::from_bits(read.load(Ordering::Relaxed));
        if step >= 6 { value * 2.0 } else { value }
    });
    // It may be made on one thread and used on another.
    let pruning = std::thread::spawn(move || pruning).join().unwrap();
    let (_, events) = run(gpu, Optimizer::adam(0.01), pruning.conditional_mask_update_op(), 9);
    let asked: Vec<(u64, f64)> =
        events.iter().filter_map(|e| Some((e.step, e.masks.as_ref()?.asked))).collect();
    assert_eq!(asked, [(3, 0.25), (6, 0.5), (9, 0.5)]);

    bits.store(0.75f64.to_bits(), Ordering::Relaxed);
    let op = pruning.conditional_mask_update_op();
    let error = train(train_op(gpu, Optimizer::adam(0.01)), None, op, steps(9)).unwrap_err();
    assert!(error.to_string().contains("gave 1.5 at step 6"), "{error}");
}

/// A ranking of several tensors is as bit-equal as that of one.
#[test]
fn two_global_runs_give_the_same_bits() {
    let spec = spec(Pruned::Zero).scope(secateur::prune::Scope::Global);
    let runs = [0, 1].map(|_| pruned(spec.clone(), 20));
    let [Some((first, _)), Some((second, _))] = runs else { return };
    for layer in first.session.layers().unwrap() {
        let bits = |outcome: &TrainOutcome| -> Vec<u32> {
            outcome.session.weights(&layer.name).unwrap().iter().map(|w| w.to_bits()).collect()
        };
        assert_eq!(bits(&first), bits(&second), "{} with seed {SEED}", layer.name);
    }
}

/// Upstream's getters: raw and masked weights differ by the mask, in each mode.
#[test]
fn getters_agree_with_each_other() {
    for mode in ["zero", "revive", "freeze"] {
        let text =
            format!("target_sparsity=0.8,schedule=one_shot,begin_pruning_step=4,pruned={mode}");
        let more = "weight_sparsity_map=[fc3:0.5],do_not_prune=[fc2]";
        let Some((outcome, _)) = pruned(format!("{text},{more}").parse().unwrap(), 6) else {
            return;
        };
        let session = &outcome.session;
        let masks = session.get_masks().unwrap();
        let names: Vec<&str> = masks.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["fc1.weight", "fc3.weight"]);
        let (raw, masked) = (session.get_weights().unwrap(), session.get_masked_weights().unwrap());
        let (thresholds, sparsity) =
            (session.get_thresholds().unwrap(), session.get_weight_sparsity().unwrap());
        for (i, (name, mask)) in masks.iter().enumerate() {
            let want = apply_mask_reference(mask, &raw[i].1);
            assert_eq!(masked[i], (name.clone(), want), "{mode}");
            let len = raw[i].1.len();
            let asked = [0.8, 0.5][i];
            let clear = pruned_count(len as u64, asked) as f64;
            assert_eq!(sparsity[i], (name.clone(), 1.0 - (len as f64 - clear) / len as f64));
            assert!(thresholds[i].1 > 0.0, "{mode} {name}");
            let moved = raw[i].1.iter().zip(&masked[i].1).any(|(r, m)| r != m);
            assert_eq!(moved, mode != "zero", "{mode} {name}: pruned weights keep a raw value");
        }
    }
}

/// RigL from dense: the counts of the schedule, an exchange that fades out, and the same bits
/// twice.
#[test]
fn rigl_exchanges_weights_in_a_run() {
    let text = "target_sparsity=0.7,schedule=constant,pruning_frequency=4,end_pruning_step=24,\
                regrow=rigl,sparsity_function_end_step=4";
    let spec: PruningSpec = text.parse().unwrap();
    let Some((outcome, events)) = pruned(spec.clone(), 30) else { return };
    let updates: Vec<_> = events.iter().filter_map(|e| Some((e.step, e.masks.as_ref()?))).collect();
    assert_eq!(updates.iter().map(|u| u.0).collect::<Vec<_>>(), [4, 8, 12, 16, 20, 24]);
    for (step, masks) in &updates {
        for mask in &masks.tensors {
            let clear = pruned_count(mask.len.into(), 0.7) as f64;
            assert!((mask.sparsity - clear / f64::from(mask.len)).abs() < 1e-12, "step {step}");
            assert_eq!(mask.asked, Some(clear / f64::from(mask.len)), "step {step}");
        }
    }
    // At the last update nothing is exchanged; before, what is dropped may be what grows.
    let churn = |i: usize| updates[i].1.tensors.iter().map(|t| t.churn).sum::<f64>();
    assert!((1..5).any(|i| churn(i) > 0.0) && churn(5) == 0.0);
    let dropped_only = Pruning::new(spec.clone().regrow_fraction(0.0)).unwrap();
    let (dropped_only, _) =
        run(gpu().unwrap(), Optimizer::adam(0.01), dropped_only.conditional_mask_update_op(), 30);
    let masks = |outcome: &TrainOutcome| outcome.session.get_masks().unwrap();
    assert_ne!(masks(&outcome), masks(&dropped_only));
    let Some((again, _)) = pruned(spec, 30) else { return };
    assert_eq!(masks(&outcome), masks(&again));
}

/// Blocks, N:M and channels in a run: their shapes, and their counts.
#[test]
fn patterns_have_their_shapes() {
    let weights = |more: &str| {
        let (outcome, _) = pruned(once(more), 4)?;
        let names = ["fc1.weight", "fc2.weight", "fc3.weight"];
        let kept = |name: &&str| -> Vec<bool> {
            outcome.session.weights(name).unwrap().iter().map(|&w| w != 0.0).collect()
        };
        Some(names.iter().map(kept).collect::<Vec<_>>())
    };
    let shapes = [[6, 20], [20, 13], [13, 3]];

    let Some(layers) = weights("target_sparsity=0.5,block_height=4,block_width=3") else { return };
    for ([rows, columns], kept) in shapes.into_iter().zip(&layers) {
        let mut blocks = std::collections::BTreeMap::<_, Vec<bool>>::new();
        for (i, &kept) in kept.iter().enumerate() {
            blocks.entry((i / columns / 4, i % columns / 3)).or_default().push(kept);
        }
        assert!(blocks.values().all(|b| b.iter().all(|&k| k == b[0])), "{rows}x{columns}");
        let pruned = blocks.values().filter(|b| !b[0]).count() as u64;
        assert_eq!(pruned, pruned_count(blocks.len() as u64, 0.5), "{rows}x{columns}");
    }

    let Some(layers) = weights("target_sparsity=0.75,pattern=1:4") else { return };
    for ([rows, columns], kept) in shapes.into_iter().zip(&layers) {
        if !rows.is_multiple_of(4) {
            assert!(kept.iter().all(|&kept| kept), "4 does not divide {rows}: it stays dense");
            continue;
        }
        for column in 0..columns {
            for first in (0..rows).step_by(4) {
                let left = (first..first + 4).filter(|row| kept[row * columns + column]).count();
                assert_eq!(left, 1, "{rows}x{columns}: column {column} from row {first}");
            }
        }
    }

    let Some(layers) = weights("target_sparsity=0.6,scope=unit") else { return };
    for ([rows, columns], kept) in shapes.into_iter().zip(&layers) {
        let left = rows as u64 - pruned_count(rows as u64, 0.6);
        for column in 0..columns {
            let unit = kept[column..].iter().step_by(columns).filter(|&&k| k).count();
            assert_eq!(unit as u64, left, "{rows}x{columns}: column {column}");
        }
    }

    let Some(layers) = weights("target_sparsity=0.6,pattern=channel") else { return };
    for ([_, columns], kept) in shapes.into_iter().zip(&layers).take(2) {
        let units: Vec<bool> = (0..columns).map(|c| kept[c]).collect();
        assert!(kept.iter().enumerate().all(|(i, &k)| k == units[i % columns]));
        let pruned = units.iter().filter(|&&k| !k).count() as u64;
        assert_eq!(pruned, pruned_count(columns as u64, 0.6));
    }
    assert!(layers[2].iter().all(|&kept| kept), "the classes stay");

    let mixed = "target_sparsity=0.5,scope=global,block_dims_map=[fc1:-1x2]";
    let Some((outcome, events)) = pruned(once(mixed), 4) else { return };
    let masks = events[3].masks.as_ref().unwrap();
    assert!(masks.sparsity() > 0.3 && nonzero(&outcome)[0].is_multiple_of(12));
}

/// On its way to 1:4 a group loses one weight after another.
#[test]
fn n_of_m_goes_down_by_the_schedule() {
    let text = "target_sparsity=0.75,pattern=1:4,pruning_frequency=2,sparsity_function_end_step=8";
    let Some((_, events)) = pruned(text.parse().unwrap(), 8) else { return };
    let sparsities: Vec<f64> =
        events.iter().filter_map(|e| Some(e.masks.as_ref()?.tensors[0].sparsity)).collect();
    // Of three layers 4 divides the inputs of one. 0.75 (1 - (3/4)^3) and so on are 0.43, 0.66,
    // 0.74, 0.75: 2, 3, 3, 3 of 4.
    assert_eq!(sparsities, [0.5, 0.75, 0.75, 0.75]);
    let masks = events.iter().filter_map(|e| e.masks.as_ref());
    let asked: Vec<f64> = masks.filter_map(|masks| masks.tensors[0].asked).collect();
    assert_eq!(asked, sparsities);
}

/// Upstream's threshold on blocks: its state is the tensor's, and outlives an update.
#[test]
fn histogram_threshold_on_blocks_smooths() {
    let text = "target_sparsity=0.5,threshold=histogram,threshold_decay=0.5,block_width=4,\
                schedule=constant,pruning_frequency=1,pruned=freeze,initial_sparsity=0.5";
    let Some((outcome, events)) = pruned(text.parse().unwrap(), 12) else { return };
    let thresholds: Vec<f32> =
        events.iter().filter_map(|e| Some(e.masks.as_ref()?.tensors[1].threshold)).collect();
    assert_eq!(thresholds.len(), 12);
    assert!(thresholds[0] > 0.0 && thresholds[1] > 1.3 * thresholds[0], "{thresholds:?}");
    let last = outcome.session.get_thresholds().unwrap()[1].1;
    assert_eq!(last, thresholds[11]);
}

/// Other scores choose other weights, as many; SET exchanges others than RigL; each the same twice.
#[test]
fn scores_and_growth_choose_in_a_run() {
    let base = "target_sparsity=0.7,schedule=constant,pruning_frequency=4,end_pruning_step=24,\
                sparsity_function_end_step=4";
    let masks = |more: &str| {
        let (outcome, _) = pruned(format!("{base}{more}").parse().unwrap(), 12)?;
        let masks = outcome.session.get_masks().unwrap();
        // Of weights that score zero, those of units that never fire, any may be kept: count bits.
        let kept = |(_, mask): &(String, Vec<u32>)| mask.iter().map(|w| w.count_ones()).sum();
        assert_eq!(masks.iter().map(kept).collect::<Vec<u32>>(), [36, 78, 12], "{more}");
        Some(masks)
    };
    let all = ["", ",score=saliency", ",regrow=rigl", ",regrow=set", ",regrow=set,score=saliency"];
    for (i, more) in all.iter().enumerate() {
        let Some(first) = masks(more) else { return };
        assert_eq!(Some(&first), masks(more).as_ref(), "{more}");
        for other in &all[..i] {
            assert_ne!(Some(&first), masks(other).as_ref(), "{more} and {other}");
        }
    }
}
