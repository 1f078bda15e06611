//! Pretrained networks that learn on: with masks, and on from what transformers gives for them.
use secateur::data::{Batch, Task};
use secateur::optim::Optimizer;
use secateur::prune::MaskUpdateOp;
use secateur::{Pruning, PruningSpec, Session};

use super::{APART, Golden, check};
use crate::common::gpu;

/// Steps of each training.
const STEPS: usize = 12;

fn batch(features: Vec<f32>, labels: Vec<u32>, rows: usize) -> Batch {
    let mut batch = Batch::default();
    (batch.features, batch.labels, batch.rows) = (features, labels, rows);
    batch
}

/// The windows of the golden file as what goes in and what follows each.
fn next_tokens(golden: &Golden) -> (Batch, usize) {
    let rows = golden.rows("input_ids");
    let length = rows[0].len() - 1;
    let features = rows.iter().flat_map(|row| row[..length].iter().map(|&id| id as f32)).collect();
    let labels = rows.iter().flat_map(|row| row[1..].iter().copied()).collect();
    (batch(features, labels, rows.len()), length)
}

/// The losses of some steps on `batch`.
fn losses(session: &mut Session, batch: &Batch) -> Vec<f32> {
    (0..STEPS).map(|_| session.step(batch).unwrap().loss).collect()
}

fn falls(name: &str, losses: &[f32]) {
    let (first, last) = (losses[0], losses[losses.len() - 1]);
    assert!(last < 0.8 * first, "{name}: {losses:?}");
}

#[test]
fn llama_begins_with_the_loss_of_transformers_and_learns_under_masks() {
    let Some(gpu) = gpu() else { return };
    let golden = Golden::open("llama");
    let (batch, length) = next_tokens(&golden);
    let network = golden.model.network(2, length as u32).unwrap();
    assert_eq!(network.task, Task::Classification { classes: 101, positions: length });
    let op = Pruning::new(PruningSpec::to(0.5)).unwrap().conditional_mask_update_op();
    let mut session = Session::new(gpu, &network, Optimizer::adam(1e-2), &op, 1).unwrap();
    golden.model.load(&mut session).unwrap();
    let first = f64::from(session.step(&batch).unwrap().loss);
    let want = golden.golden["mean_next_token_loss"].as_f64().unwrap();
    assert!((first - want).abs() <= APART, "loss {first}, {want} by transformers");

    session.update_masks(0.5).unwrap();
    let masks = session.get_masks().unwrap();
    falls("llama", &losses(&mut session, &batch));
    assert_eq!(session.get_masks().unwrap(), masks);
    // Seven products in each of two blocks, and nothing of tables, heads, norms.
    assert_eq!(masks.len(), 14);
    for (name, weights) in session.get_masked_weights().unwrap() {
        assert!(name.starts_with("model.layers.") && name.ends_with("_proj.weight"), "{name}");
        let zeros = weights.iter().filter(|&&w| w == 0.0).count();
        assert_eq!(zeros, weights.len() / 2, "{name}");
    }
}

/// The same losses to the bit where blocks are computed again for the gradients.
#[test]
fn blocks_can_be_computed_again() {
    let Some(gpu) = gpu() else { return };
    let golden = Golden::open("gpt2");
    let (batch, length) = next_tokens(&golden);
    let of = |layers: usize| {
        let mut network = golden.model.network(2, length as u32).unwrap();
        // What tokens become, two blocks, the head.
        assert_eq!(network.graph.layers(), 4);
        network.graph.recompute(layers).unwrap();
        let none = MaskUpdateOp::none();
        let mut session = Session::new(gpu, &network, Optimizer::adam(1e-2), &none, 1).unwrap();
        golden.model.load(&mut session).unwrap();
        losses(&mut session, &batch)
    };
    let kept = of(0);
    falls("gpt2", &kept);
    assert_eq!(kept, of(1));
}

#[test]
fn classifiers_begin_with_the_logits_of_transformers_and_learn() {
    let Some(gpu) = gpu() else { return };
    for name in ["bert_classes", "vit", "resnet"] {
        let golden = Golden::open(name);
        let (features, length) = match name {
            "bert_classes" => (golden.texts().1, golden.rows("input_ids")[0].len()),
            _ => (golden.pixels(), 1),
        };
        let network = golden.model.network(2, length as u32).unwrap();
        let none = MaskUpdateOp::none();
        let mut session = Session::new(gpu, &network, Optimizer::adam(1e-2), &none, 1).unwrap();
        golden.model.load(&mut session).unwrap();
        let logits = session.predict(&features).unwrap().values;
        let logits: Vec<f64> = logits.into_iter().map(f64::from).collect();
        check(name, &logits, &golden.floats("logits"));
        let batch = batch(features, vec![2, 0], 2);
        falls(name, &losses(&mut session, &batch));
    }
}

#[test]
fn what_learns_nothing_is_named() {
    let error = Golden::open("bert").model.network(1, 4).unwrap_err().to_string();
    assert!(error.contains("has no head") && error.contains("Pretrained::whole"), "{error}");
    let error = Golden::open("llama").model.network(1, 65).unwrap_err().to_string();
    assert!(error.contains("65 positions, the model knows 1 to 64"), "{error}");
}
