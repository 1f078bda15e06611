//! Scores with a memory, in whole runs and in one shot.
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use secateur::checkpoint::{MODEL_FILE, OPTIMIZER_FILE, newest};
use secateur::data::{Answers, Batch, BatchSource, Batches, Dataset};
use secateur::kernels::{bit, wanda_reference};
use secateur::nn::Model;
use secateur::optim::Optimizer;
use secateur::prune::{MaskUpdateOp, Pruning, pruned_count};
use secateur::session::Session;
use secateur::storage::TensorData;
use secateur::train::train;

use super::{MODEL, SEED, blobs, run, steps, train_op};
use crate::common::gpu;

const SCORES: [&str; 5] =
    ["saliency", "movement", "first_order_gradient", "second_order_gradient", "wanda"];

fn op(text: &str) -> MaskUpdateOp {
    Pruning::new(text.parse().unwrap()).unwrap().conditional_mask_update_op()
}

fn session(op: &MaskUpdateOp) -> Option<Session> {
    let network = Model::mlp(&MODEL).network(16, &secateur::nn::Input::flat(6, 3)).unwrap();
    Some(Session::new(gpu()?, &network, Optimizer::adam(0.01), op, SEED).unwrap())
}

fn batches() -> Batches {
    Batches::new(blobs(), 16, None).unwrap().epochs(Some(1))
}

/// Tensors of the newest checkpoint, by name.
fn tensors(logdir: &Path) -> HashMap<String, Vec<f32>> {
    let found = newest(logdir).unwrap().unwrap();
    let all = found.model.into_iter().chain(found.optimizer);
    let f32s = all.filter_map(|t| match t.data {
        TensorData::F32(values) => Some((t.name, values)),
        TensorData::U32(_) => None,
    });
    f32s.collect()
}

/// What scores remember is part of a checkpoint: updates at 3, 6, ..., a stop at 7.
#[test]
fn scores_resume_to_the_bit() {
    let Some(gpu) = gpu() else { return };
    for score in SCORES {
        let text = format!(
            "target_sparsity=0.7,pruning_frequency=3,sparsity_function_end_step=14,score={score},\
             pruned=freeze"
        );
        let folder = tempfile::tempdir().unwrap();
        let go = |name: &str, limit| {
            let logdir = folder.path().join(name);
            let train_op = train_op(gpu, Optimizer::adam(0.01));
            train(train_op, Some(&logdir), op(&text), steps(limit)).unwrap();
            let path = newest(&logdir).unwrap().unwrap().path;
            [MODEL_FILE, OPTIMIZER_FILE].map(|f| fs::read(path.join(f)).unwrap())
        };
        let straight = go("straight", 15);
        assert_ne!(go("halves", 7), straight);
        assert!(go("halves", 15) == straight, "{score}");
    }
}

/// One step of descent: `-w g`, with the gradient that the weights themselves show.
#[test]
fn movement_is_what_training_did() {
    let Some(gpu) = gpu() else { return };
    let text = "score=movement,schedule=constant,pruning_frequency=1,pruned=freeze";
    let lr = 0.5;
    let folder = tempfile::tempdir().unwrap();
    let optimizer = Optimizer::sgd(lr);
    train(train_op(gpu, optimizer), Some(folder.path()), op(text), steps(1)).unwrap();
    let (after, before) = (tensors(folder.path()), session(&op(text)).unwrap());
    for name in ["fc1.weight", "fc2.weight", "fc3.weight"] {
        let (w0, w1) = (before.weights(name).unwrap(), &after[&format!("{name}/raw")]);
        let movement = &after[&format!("{name}/movement")];
        assert!(movement.iter().filter(|&&m| m != 0.0).count() > w0.len() / 4, "{name}");
        for ((&w0, &w1), &movement) in w0.iter().zip(w1).zip(movement) {
            let step = f64::from(w1) - f64::from(w0);
            let want = f64::from(w0) * step / f64::from(lr);
            // w1 is rounded once, to 2^-24 of itself; that is an error of the step.
            let bound = 1e-6 * (f64::from(w0 * w1).abs() + want.abs());
            assert!((f64::from(movement) - want).abs() <= bound, "{name}: {movement}, {want}");
        }
    }
}

/// In float64: the squares of what each layer gets of 52 rows.
fn input_norms(weights: &[Vec<f32>], biases: &[Vec<f32>]) -> Vec<Vec<f64>> {
    let (mut source, mut batch) = (batches(), Batch::default());
    let widths = [6, MODEL[0] as usize, MODEL[1] as usize];
    let mut norms: Vec<Vec<f64>> = widths.iter().map(|&w| vec![0.0; w]).collect();
    while source.next_batch(&mut batch).unwrap() {
        for row in batch.features.chunks(6).take(batch.rows) {
            let mut x: Vec<f64> = row.iter().map(|&v| v.into()).collect();
            for (layer, norm) in norms.iter_mut().enumerate() {
                norm.iter_mut().zip(&x).for_each(|(n, x)| *n += x * x);
                let units = biases[layer].len();
                let product = |unit: usize| {
                    let column = weights[layer][unit..].iter().step_by(units);
                    let sum: f64 = x.iter().zip(column).map(|(x, &w)| x * f64::from(w)).sum();
                    (sum + f64::from(biases[layer][unit])).max(0.0)
                };
                x = (0..units).map(product).collect();
            }
        }
    }
    norms
}

/// Wanda without a step of training: the weights stay, the masks are the host's.
#[test]
fn wanda_prunes_in_one_shot() {
    let op = op("score=wanda,keep_units=false,pruned=freeze");
    let Some(mut session) = session(&op) else { return };
    let error = session.update_masks(0.5).unwrap_err().to_string();
    assert!(error.contains("call calibrate()"), "{error}");
    assert_eq!(session.calibrate(&mut batches()).unwrap(), 52);

    let layers = ["fc1", "fc2", "fc3"];
    let get = |kind: &str| layers.map(|l| session.weights(&format!("{l}.{kind}")).unwrap());
    let (before, biases) = (get("weight"), get("bias"));
    let norms = input_norms(&before, &biases);
    let event = session.update_masks(0.6).unwrap();
    assert_eq!((event.asked, event.tensors.len()), (0.6, 3));
    let masks = session.get_masks().unwrap();
    for (i, (name, mask)) in masks.iter().enumerate() {
        let norm: Vec<f32> = norms[i].iter().map(|&n| n as f32).collect();
        let scores = wanda_reference(&before[i], &norm);
        let of = |keep| (0..scores.len()).filter(move |&i| bit(mask, i) == keep);
        let pruned = of(false).map(|i| scores[i]).fold(f64::MIN, f64::max);
        let kept = of(true).map(|i| scores[i]).fold(f64::MAX, f64::min);
        assert!(pruned <= kept * (1.0 + 1e-5), "{name}: {pruned}, {kept}");
        assert_eq!(of(false).count() as u64, pruned_count(scores.len() as u64, 0.6), "{name}");
        let tensor = &event.tensors[i];
        assert!((f64::from(tensor.threshold) - pruned).abs() <= 1e-5 * pruned, "{name}");
        assert!((0.3..1.0).contains(&tensor.kept_energy), "{name}: {}", tensor.kept_energy);
        // By magnitude other weights would go: units differ more than features.
        let magnitude = |i: usize| f64::from(before[1][i].abs());
        if i == 1 {
            let kept = (0..scores.len()).filter(|&i| bit(mask, i)).map(magnitude);
            let pruned = (0..scores.len()).filter(|&i| !bit(mask, i)).map(magnitude);
            assert!(kept.fold(f64::MAX, f64::min) < pruned.fold(0.0, f64::max));
        }
    }
    let raw = session.get_weights().unwrap();
    assert!(raw.iter().zip(&before).all(|((_, after), before)| after == before));
}

/// Every score prunes in one shot, if it has seen batches where it needs some.
#[test]
fn one_shot_on_a_session() {
    for score in SCORES.into_iter().chain(["magnitude"]) {
        let Some(mut session) = session(&op(&format!("score={score}"))) else { return };
        let rows = session.calibrate(&mut batches()).unwrap();
        let needs = ["saliency", "movement", "wanda"].contains(&score);
        assert_eq!(rows, if needs { 52 } else { 0 }, "{score}");
        for sparsity in [0.5, 0.8] {
            let event = session.update_masks(sparsity).unwrap();
            for tensor in &event.tensors {
                let pruned = pruned_count(tensor.len.into(), sparsity) as f64;
                let got = tensor.sparsity * f64::from(tensor.len);
                assert!((got - pruned).abs() < 1e-6, "{score} {sparsity} {}", tensor.name);
            }
        }
    }
}

#[test]
fn one_shot_refuses_what_makes_no_sense() {
    let Some(mut dense) = session(&MaskUpdateOp::none()) else { return };
    let error = dense.update_masks(0.5).unwrap_err().to_string();
    assert!(error.contains("no pruning specification"), "{error}");
    let mut session = session(&op("score=wanda")).unwrap();
    let error = session.update_masks(1.5).unwrap_err().to_string();
    assert!(error.contains("1.5"), "{error}");
    let mut small = Batches::new(blobs(), 8, None).unwrap().epochs(Some(1));
    let error = session.calibrate(&mut small).unwrap_err().to_string();
    let four = Answers::classes([3_u8; 16], 4);
    let four = Dataset::new("four", &[6], vec![0.0; 96], four).unwrap();
    let mut four = Batches::new(Arc::new(four), 16, None).unwrap().epochs(Some(1));
    let classes = session.calibrate(&mut four).unwrap_err().to_string();
    assert!(classes.contains("four has 4 classes, the network tells 3 apart"), "{classes}");
    assert!(error.contains("blobs has batches of 8 rows, the network takes 16"), "{error}");
}

/// Dropping weights costs energy: all of it at 0 stays, and less at each higher sparsity.
#[test]
fn kept_energy_falls_with_the_masks() {
    let Some(gpu) = gpu() else { return };
    let text =
        "target_sparsity=0.9,pruning_frequency=3,sparsity_function_end_step=12,pruned=freeze";
    let (_, events) = run(gpu, Optimizer::sgd(1e-6), op(text), 15);
    let energies: Vec<f64> =
        events.iter().filter_map(|e| Some(e.masks.as_ref()?.tensors[1].kept_energy)).collect();
    assert!(energies.len() == 5 && energies.is_sorted_by(|a, b| a >= b), "{energies:?}");
    // A tenth of uniform weights, the highest, has 0.27 of the squares.
    assert!((0.2..0.4).contains(&energies[4]) && energies[0] > 0.6, "{energies:?}");
}

/// A checkpoint brings back what a score has seen, and its thresholds; one of another size is
/// refused.
#[test]
fn a_session_goes_on_from_a_checkpoint() {
    let Some(gpu) = gpu() else { return };
    for score in ["movement", "wanda", "saliency"] {
        let text = format!("score={score},schedule=constant,pruning_frequency=1,pruned=freeze");
        let folder = tempfile::tempdir().unwrap();
        let op = op(&text);
        assert!(session(&op).unwrap().get_thresholds().unwrap().iter().all(|(_, t)| *t == 0.0));
        let train_op = train_op(gpu, Optimizer::adam(0.01));
        let mut trained = train(train_op, Some(folder.path()), op.clone(), steps(2)).unwrap();
        let thresholds = trained.session.get_thresholds().unwrap();
        assert!(thresholds.iter().any(|(_, t)| *t != 0.0), "{score}: {thresholds:?}");

        let mut restored = session(&op).unwrap();
        let mut found = newest(folder.path()).unwrap().unwrap();
        restored.restore(&found).unwrap();
        assert_eq!(restored.get_thresholds().unwrap(), thresholds, "{score}");
        trained.session.update_masks(0.9).unwrap();
        let again = restored.update_masks(0.9);
        if score == "saliency" {
            // The gradient of the last batch is no part of a checkpoint.
            assert!(again.unwrap_err().to_string().contains("call calibrate()"));
            continue;
        }
        again.unwrap();
        assert_eq!(restored.get_masks().unwrap(), trained.session.get_masks().unwrap(), "{score}");

        let slot = if score == "wanda" { "input_norm" } else { "movement" };
        let name = format!("fc2.weight/{slot}");
        let tensor = found.optimizer.iter_mut().find(|t| t.name == name).unwrap();
        tensor.data = TensorData::F32(vec![0.0; 3]);
        let error = restored.restore(&found).unwrap_err().to_string();
        assert!(error.contains(&name) && error.contains("other than"), "{error}");
    }
}

#[test]
fn nothing_loses_nothing() {
    let Some(mut session) = session(&op("target_sparsity=0.5")) else { return };
    session.set_weights("fc3.weight", &[0.0; 39]).unwrap();
    let energies = session.update_masks(0.5).unwrap().tensors;
    assert!(energies[2].kept_energy == 1.0 && energies[1].kept_energy < 1.0);
}
