//! Mixed precision: runs whose products read halves.
use std::sync::Arc;

use secateur::Gpu;
use secateur::data::{Answers, Batches, Dataset, Features};
use secateur::kernels::Pruned;
use secateur::nn::Model;
use secateur::nn::layers::{Attention, Conv, Embedding, Flatten, Gru, Linear, Lstm, Pool};
use secateur::optim::Optimizer;
use secateur::prune::MaskUpdateOp;
use secateur::train::{StepEvent, TrainOp, TrainOutcome};

use super::layers::{BATCH, Run as Logged, averaged, files, letters};
use super::{SEED, pruning, run_op};
use crate::common::{Noise, gpu, mixed_gpu};

/// Wide enough for halves, but for the last layer of three classes.
fn wide_blobs() -> Arc<Dataset> {
    let mut noise = Noise::new(12);
    let labels: Vec<u8> = (0..96).map(|i| i % 3).collect();
    let row = |&class: &u8| {
        let values = noise.floats(40, 70.0);
        let centre = |at: usize| if at % 3 == usize::from(class) { 140.0 } else { 100.0 };
        values.into_iter().enumerate().map(|(at, v)| (centre(at) + v) as u8).collect::<Vec<_>>()
    };
    let bytes = labels.iter().flat_map(row).collect();
    let features = Features::U8 { bytes, scale: 1.0 / 255.0 };
    Arc::new(Dataset::new("wide blobs", &[40], features, Answers::classes(labels, 3)).unwrap())
}

type Run = (TrainOutcome, Vec<StepEvent>);

fn go(gpu: &Gpu, optimizer: Optimizer, op: MaskUpdateOp) -> Run {
    let batches = Batches::new(wide_blobs(), 32, Some(SEED)).unwrap();
    let train_op = TrainOp::new(gpu, &Model::mlp(&[48, 33]), optimizer, batches, SEED).unwrap();
    run_op(train_op, op, 40)
}

/// Images of 6 x 6 pixels and 3 channels, of which each class has one that is brighter.
fn pictures() -> Arc<Dataset> {
    let mut noise = Noise::new(13);
    let labels: Vec<u8> = (0..96).map(|i| i % 3).collect();
    let image = |&class: &u8| {
        let values = noise.floats(108, 70.0);
        let centre = |at: usize| if at % 3 == usize::from(class) { 140.0 } else { 100.0 };
        values.into_iter().enumerate().map(|(at, v)| (centre(at) + v) as u8).collect::<Vec<_>>()
    };
    let bytes = labels.iter().flat_map(image).collect();
    let features = Features::U8 { bytes, scale: 1.0 / 255.0 };
    Arc::new(Dataset::new("pictures", &[6, 6, 3], features, Answers::classes(labels, 3)).unwrap())
}

/// As LeNet is: the first convolution has the image's channels, which are too few for halves. The
/// second one reads halves, and so does the layer of 33 units; the third one has groups, and does not.
fn go_over_images(gpu: &Gpu, op: MaskUpdateOp) -> Run {
    let batches = Batches::new(pictures(), 32, Some(SEED)).unwrap();
    let model = Model::Layers(vec![
        Conv::new(18, 3).into(),
        Pool::max(2, 2, secateur::graph::Padding::Same).into(),
        Conv::new(20, 3).into(),
        Conv::new(20, 3).groups(20).into(),
        Flatten {}.into(),
        Linear::new(33).into(),
        Linear::logits().into(),
    ]);
    let train_op = TrainOp::new(gpu, &model, Optimizer::adam(0.003), batches, SEED).unwrap();
    run_op(train_op, op, 40)
}

fn losses((_, events): &Run) -> Vec<f32> {
    events.iter().map(|event| event.loss).collect()
}

/// A gradient is off by 12 * 2^-10 of its norm at most (`gradients::dense`), so what a step takes
/// off the loss is too; and the loss itself by its own forward pass, 6 * 2^-10.
#[test]
fn mixed_losses_are_near_those_in_32_bits() {
    let (Some(gpu), Some(mixed)) = (gpu(), mixed_gpu()) else { return };
    let sgd = Optimizer::sgd(0.1);
    let [full, half] = [gpu, mixed].map(|gpu| go(gpu, sgd, MaskUpdateOp::none()));
    let products = |run: &Run| run.0.session.plan().matches("f16_matmul").count();
    assert_eq!(products(&full), 0);
    // Of the layers of 48 and 33: two forward, two gradients of weights, one of inputs; two in
    // evaluation, and two in prediction.
    assert_eq!(products(&half), 5 + 2 + 2, "{}", half.0.session.plan());
    let [full, half] = [&full, &half].map(losses);
    assert_ne!(full, half);
    for (step, (a, b)) in full.iter().zip(&half).enumerate() {
        let bound = (12.0 * full[0] + 6.0 * a) / 1024.0;
        assert!((a - b).abs() < bound, "{step}: {a}, {b}, bound {bound}");
    }
    assert!(half[39] < 0.7 * half[0]);
}

/// Weights stay in 32 bits, masks are exact, and the loss falls.
#[test]
fn mixed_runs_prune_as_others_do() {
    let (Some(gpu), Some(mixed)) = (gpu(), mixed_gpu()) else { return };
    for mode in [Pruned::Zero, Pruned::Revive, Pruned::Freeze] {
        let [full, half] = [gpu, mixed].map(|gpu| go(gpu, Optimizer::adam(0.01), pruning(mode)));
        let kept = |run: &Run| {
            let layers = run.0.session.layers().unwrap();
            layers.iter().map(|layer| layer.nonzero).collect::<Vec<_>>()
        };
        assert_eq!(kept(&full), kept(&half), "{mode:?}");
        for losses in [&full, &half].map(losses) {
            assert!(losses[39] < 0.5 * losses[0], "{mode:?}: {losses:?}");
        }
    }
}

#[test]
fn two_mixed_runs_give_the_same_bits() {
    let Some(gpu) = mixed_gpu() else { return };
    let bits = |rate| {
        let run = go(gpu, Optimizer::adam(rate), pruning(Pruned::Revive));
        let weights = |name| run.0.session.weights(name).unwrap();
        let weights = ["fc1.weight", "fc2.weight", "fc3.weight"].into_iter().flat_map(weights);
        let all: Vec<u32> = weights.chain(losses(&run)).map(f32::to_bits).collect();
        all
    };
    assert_eq!(bits(0.01), bits(0.01));
    assert_ne!(bits(0.01), bits(0.011));
}

/// Attention has two products one after the other besides those of its projections, and weights
/// that are rounded like operands: twice as many as those networks, so losses are off by twice as
/// much. All that is learnt, of a few windows, goes through attention: no connection passes it by.
/// Where the adapter has cooperative matrices it is on them.
#[test]
fn mixed_attention_is_near_that_in_32_bits() {
    let (Some(gpu), Some(mixed)) = (gpu(), mixed_gpu()) else { return };
    let run = |gpu| {
        let batches = Batches::new(letters(8, 40), 8, Some(SEED)).unwrap();
        let model = Model::Layers(vec![
            Embedding::new(32, true).into(),
            Attention::new(2).into(),
            Linear::logits().into(),
        ]);
        let train_op = TrainOp::new(gpu, &model, Optimizer::adam(0.01), batches, SEED).unwrap();
        run_op(train_op, MaskUpdateOp::none(), 30)
    };
    let [full, half] = [gpu, mixed].map(run);
    let plan = half.0.session.plan();
    let on_matrices = |kernel: &str| {
        let launches = plan.lines().filter(|line| line.trim_start().starts_with(kernel));
        launches.clone().count() > 0 && launches.clone().all(|line| line.contains("(coop_"))
    };
    for kernel in ["attention ", "attention_query_gradient", "attention_key_gradient"] {
        assert_eq!(on_matrices(kernel), mixed.target().cooperative.is_some(), "{kernel}: {plan}");
    }
    let [full, half] = [&full, &half].map(losses);
    assert_ne!(full, half);
    for (step, (a, b)) in full.iter().zip(&half).enumerate() {
        let bound = (24.0 * full[0] + 12.0 * a) / 1024.0;
        assert!((a - b).abs() < bound, "{step}: {a}, {b}, bound {bound}");
    }
    assert!(half[29] < 0.9 * half[0], "{half:?}");
}

/// One product forward and two back in a step, and one in evaluation and in prediction.
#[test]
fn convolutions_train_over_halves() {
    let (Some(gpu), Some(mixed)) = (gpu(), mixed_gpu()) else { return };
    let [full, half] = [gpu, mixed].map(|gpu| go_over_images(gpu, MaskUpdateOp::none()));
    let products = |run: &Run| run.0.session.plan().matches("f16_conv2d").count();
    assert_eq!((products(&full), products(&half)), (0, 3 + 2), "{}", half.0.session.plan());
    let [full, half] = [&full, &half].map(losses);
    assert_ne!(full, half);
    for losses in [&full, &half] {
        assert!(losses[39] < 0.7 * losses[0], "{losses:?}");
    }
}

/// With masks that products read, and weights that are copied anew in every phase.
#[test]
fn two_mixed_runs_of_convolutions_give_the_same_bits() {
    let Some(gpu) = mixed_gpu() else { return };
    let bits = || {
        let run = go_over_images(gpu, pruning(Pruned::Revive));
        let weights = |name| run.0.session.weights(name).unwrap();
        let weights = ["conv1.weight", "conv2.weight"].into_iter().flat_map(weights);
        let all: Vec<u32> = weights.chain(losses(&run)).map(f32::to_bits).collect();
        all
    };
    assert_eq!(bits(), bits());
}

/// Recurrent layers that are wide enough for halves, and a last one that is not.
fn recurrent_model() -> Model {
    let [lstm, gru] = [Lstm::new(18).into(), Gru::new(17).into()];
    Model::Layers(vec![Embedding::new(20, false).into(), lstm, gru, Linear::logits().into()])
}

fn streams() -> Batches {
    Batches::new(letters(27, 4), BATCH, None).unwrap().streams(true)
}

/// As `mixed_losses_are_near_those_in_32_bits`: four products over halves are on the longest way of
/// a gradient, two of them forward.
#[test]
fn recurrent_losses_are_near_those_in_32_bits() {
    let (Some(gpu), Some(mixed)) = (gpu(), mixed_gpu()) else { return };
    let go = |gpu, optimizer, steps| {
        let train_op = TrainOp::new(gpu, &recurrent_model(), optimizer, streams(), SEED).unwrap();
        run_op(train_op, MaskUpdateOp::none(), steps)
    };
    let [full, half] = [gpu, mixed].map(|gpu| go(gpu, Optimizer::sgd(0.5), 60));
    let products = |run: &Run| run.0.session.plan().matches("f16_matmul").count();
    assert_eq!(products(&full), 0);
    // Three kernels with three products each; and one with the inputs in evaluation, and in
    // prediction.
    assert_eq!(products(&half), 3 * 3 + 3 + 3, "{}", half.0.session.plan());
    let [full, half] = [&full, &half].map(losses);
    assert_ne!(full, half);
    for (step, (a, b)) in full.iter().zip(&half).enumerate() {
        let bound = (8.0 * full[0] + 4.0 * a) / 1024.0;
        assert!((a - b).abs() < bound, "{step}: {a}, {b}, bound {bound}");
    }
    // One rate of Adam is enough for more than what single letters say.
    for losses in [gpu, mixed].map(|gpu| losses(&go(gpu, Optimizer::adam(0.02), 160))) {
        let last = losses[152..].iter().sum::<f32>() / 8.0;
        assert!(last < 0.75 * losses[0], "{losses:?}");
    }
}

/// Masks that products read, runs that are taken up, and two runs of the same seed.
#[test]
fn recurrent_runs_prune_and_go_on_to_the_bit() {
    let (Some(gpu), Some(mixed)) = (gpu(), mixed_gpu()) else { return };
    for mode in [Pruned::Zero, Pruned::Revive] {
        let run = |gpu| Logged { gpu, model: recurrent_model(), training: averaged(), mode };
        let folder = tempfile::tempdir().unwrap();
        let names = ["full", "straight", "again", "halves"];
        let [full, straight, again, halves] = names.map(|name| folder.path().join(name));
        let mut losses = [(); 4].map(|()| Vec::new());
        run(gpu).go(&full, streams(), 20, None, &mut losses[0]);
        run(mixed).go(&straight, streams(), 20, None, &mut losses[1]);
        run(mixed).go(&again, streams(), 20, None, &mut losses[2]);
        run(mixed).go(&halves, streams(), 10, None, &mut losses[3]);
        run(mixed).go(&halves, streams(), 20, None, &mut losses[3]);
        let [full_losses, mixed_losses @ ..] = losses;
        assert_ne!(full_losses, mixed_losses[0], "{mode:?}");
        assert!(mixed_losses.iter().all(|of| *of == mixed_losses[0]), "{mode:?}");
        for other in [&again, &halves] {
            assert!(files(&straight) == files(other), "{mode:?}: weights, slots, masks, states");
        }
    }
}
