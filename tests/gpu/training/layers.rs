//! Runs of every kind of layer: taken up to the bit, states that go on, evaluation that leaves
//! training alone.
use std::fs;
use std::path::Path;
use std::sync::Arc;

use secateur::Gpu;
use secateur::checkpoint::{MODEL_FILE, OPTIMIZER_FILE, newest};
use secateur::data::{Answers, Augment, BatchSource, Batches, Dataset, Features, Images, Prefetch};
use secateur::kernels::Pruned;
use secateur::nn::layers::{
    Attention, BatchNorm, Conv, Dropout, Embedding, Flatten, Gru, Layer, LayerNorm, Linear,
    LocalResponseNorm, Lstm, Normalizer, Pool, Residual,
};
use secateur::nn::{Input, Model};
use secateur::optim::{Optimizer, Training};
use secateur::prune::MaskUpdateOp;
use secateur::session::Session;
use secateur::train::{Event, StepReturn, TrainOp, TrainOptions, TrainStepFn, train};

use super::{SEED, pruning};
use crate::common::{Noise, gpu};

pub(super) const BATCH: usize = 4;

/// A text whose next letter depends on more than one before it; `length` letters a window.
pub(super) fn letters(windows: usize, length: usize) -> Arc<Dataset> {
    let mut noise = Noise::new(5).below(windows * length + 1, 2);
    for i in 2..noise.len() {
        noise[i] = (noise[i - 1] + 2 * noise[i - 2] + noise[i]) % 5;
    }
    let tokens: Vec<u8> = noise.iter().map(|&t| t as u8).collect();
    let alphabet = ['a', 'b', 'c', 'd', 'e'];
    Arc::new(Dataset::text("letters", &tokens, alphabet, length).unwrap())
}

/// Layers whose state goes on, and layers that know places.
pub(super) fn sequence_model() -> Model {
    let lstm = Lstm::new(7)
        .peepholes(true)
        .projection(Some(6))
        .cell_clip(Some(2.0))
        .projection_clip(Some(1.5));
    let attention: Layer = Attention::new(2).into();
    Model::Layers(vec![
        Embedding::new(6, true).masked(true).into(),
        Dropout::new(0.2).into(),
        lstm.into(),
        Gru::new(8).into(),
        Residual::new(vec![LayerNorm::default().into(), attention]).into(),
        Dropout::new(0.1).into(),
        Linear::logits().into(),
    ])
}

pub(super) fn image_model() -> Model {
    Model::Layers(vec![
        Conv::new(6, 3).normalizer(Some(Normalizer::BatchNorm)).into(),
        Pool::max(2, 2, secateur::graph::Padding::Same).into(),
        LocalResponseNorm { radius: 2, bias: 1.0, alpha: 0.1, beta: 0.75 }.into(),
        Conv::new(6, 3).groups(6).into(),
        BatchNorm::default().into(),
        Flatten {}.into(),
        Dropout::new(0.3).into(),
        Linear::new(9).weight_decay(0.01).into(),
        Linear::logits().into(),
    ])
}

/// 52 images of three classes, which are drawn anew in each epoch.
pub(super) fn pictures() -> Arc<Dataset> {
    let bytes = Noise::new(4).floats(52 * 98, 127.0).iter().map(|x| (128.0 + x) as u8).collect();
    let answers = Answers::classes((0..52_u8).map(|i| i % 3), 3);
    let features = Features::U8 { bytes, scale: 1.0 };
    let data = Dataset::new("pictures", &[7, 7, 2], features, answers).unwrap();
    let augment = Augment { flip: true, brightness: 63.0, contrast: [0.2, 1.8] };
    let images = Images { crop: [5, 5], standardise: true, augment: Some(augment) };
    Arc::new(data.with_images(images).unwrap())
}

/// What to train on what.
pub(super) struct Run<'a> {
    pub(super) gpu: &'a Gpu,
    pub(super) model: Model,
    pub(super) training: Training,
    pub(super) mode: Pruned,
}

impl Run<'_> {
    pub(super) fn go(
        &self,
        logdir: &Path,
        batches: impl BatchSource,
        steps: u64,
        train_step_fn: Option<TrainStepFn<'_>>,
        losses: &mut Vec<u32>,
    ) {
        let op = TrainOp::new(self.gpu, &self.model, &self.training, batches, SEED).unwrap();
        let options = TrainOptions::default()
            .number_of_steps(Some(steps))
            .train_step_fn(train_step_fn)
            .on_event(Some(Box::new(|event| {
                if let Event::Step(step) = event {
                    losses.push(step.loss.to_bits());
                }
            })));
        train(op, Some(logdir), pruning(self.mode), options).unwrap();
    }
}

pub(super) fn files(logdir: &Path) -> [Vec<u8>; 2] {
    let path = newest(logdir).unwrap().unwrap().path;
    [MODEL_FILE, OPTIMIZER_FILE].map(|f| fs::read(path.join(f)).unwrap())
}

pub(super) fn averaged() -> Training {
    Training::from(Optimizer::adam(0.01)).average(Some(0.9))
}

/// Step 10 ends within an epoch: random numbers, statistics and states go on where they were.
#[test]
fn k_steps_and_k_more_are_2k_steps_of_every_layer() {
    let Some(gpu) = gpu() else { return };
    let images = || Batches::new(pictures(), 16, Some(SEED)).unwrap().augment(true);
    let streams = || Batches::new(letters(27, 4), BATCH, None).unwrap().streams(true);
    let (images, streams): (&dyn Fn() -> Batches, &dyn Fn() -> Batches) = (&images, &streams);
    for (new, model) in [(images, image_model()), (streams, sequence_model())] {
        for mode in [Pruned::Zero, Pruned::Revive] {
            let run = Run { gpu, model: model.clone(), training: averaged(), mode };
            let folder = tempfile::tempdir().unwrap();
            let [straight, halves] = ["straight", "halves"].map(|name| folder.path().join(name));
            let (mut all, mut parts) = (Vec::new(), Vec::new());
            run.go(&straight, new(), 20, None, &mut all);
            run.go(&halves, Prefetch::new(new()), 10, None, &mut parts);
            run.go(&halves, Prefetch::new(new()), 20, None, &mut parts);
            assert_eq!(all, parts, "{mode:?}: losses");
            assert!(files(&straight) == files(&halves), "{mode:?}: weights, slots, masks, states");
        }
    }
}

/// An evaluation amid the steps begins with states of its own, and leaves those of training where
/// they are.
#[test]
fn evaluation_leaves_the_states_of_training() {
    let Some(gpu) = gpu() else { return };
    let run = Run { gpu, model: sequence_model(), training: averaged(), mode: Pruned::Zero };
    let streams = || Batches::new(letters(27, 4), BATCH, None).unwrap().streams(true);
    let folder = tempfile::tempdir().unwrap();
    let [alone, watched] = ["alone", "watched"].map(|name| folder.path().join(name));
    let (mut all, mut seen) = (Vec::new(), Vec::new());
    run.go(&alone, streams(), 16, None, &mut all);
    let mut evaluations = Vec::new();
    let step: TrainStepFn<'_> = Box::new(|context| {
        context.train()?;
        for _ in 0..2 {
            evaluations.push(context.session()?.evaluate(&letters(10, 4))?.loss);
        }
        Ok(StepReturn::default())
    });
    run.go(&watched, streams(), 16, Some(step), &mut seen);
    assert_eq!(all, seen);
    assert!(files(&alone) == files(&watched));
    // Each begins anew: twice the same.
    assert!(evaluations.chunks(2).all(|twice| twice[0] == twice[1]), "{evaluations:?}");
}

/// Windows of 4 and of 8 letters are the same streams, cut elsewhere: a state that goes on makes
/// them one.
#[test]
fn states_go_on_from_window_to_window() {
    let Some(gpu) = gpu() else { return };
    // Without layers that see only their own window.
    let model = |carries: bool| {
        let first: Layer = match carries {
            true => Lstm::new(7).into(),
            false => Linear::new(7).into(),
        };
        Model::Layers(vec![
            Embedding::new(6, false).init(secateur::graph::Init::Normal(1.0)).into(),
            first,
            Gru::new(8).into(),
            Linear::logits().into(),
        ])
    };
    for carries in [true, false] {
        let loss = |windows: usize, length: usize| {
            let data = letters(windows, length);
            let network = model(carries).network(BATCH, &Input::from(&*data)).unwrap();
            let optimizer = Optimizer::adam(0.01);
            let op = MaskUpdateOp::none();
            Session::new(gpu, &network, optimizer, &op, SEED).unwrap().evaluate(&data).unwrap().loss
        };
        let [short, long, single] = [loss(32, 4), loss(16, 8), loss(128, 1)];
        // The same sums, but for the order in which the losses of a batch are added.
        for other in [long, single] {
            assert!((short - other).abs() < 1e-6 * short, "{short} and {other}");
        }
    }
    // The state matters: shuffled windows begin with zeros, and that is another loss.
    let data = letters(32, 4);
    let network = model(true).network(BATCH, &Input::from(&*data)).unwrap();
    let last_loss = |streams: bool| {
        let batches = Batches::new(Arc::clone(&data), BATCH, None).unwrap().streams(streams);
        let still = Optimizer::sgd(1e-30);
        let op = TrainOp::from_network(gpu, network.clone(), still, batches.epochs(Some(1)), SEED);
        let mut losses = Vec::new();
        let options = TrainOptions::default().on_event(Some(Box::new(|event| {
            if let Event::Step(step) = event {
                losses.push(step.loss);
            }
        })));
        train(op.unwrap(), None, MaskUpdateOp::none(), options).unwrap();
        losses.iter().map(|&l| f64::from(l)).sum::<f64>() / losses.len() as f64
    };
    let (streams, windows) = (last_loss(true), last_loss(false));
    assert!((streams - windows).abs() > 1e-5, "{streams} and {windows}");
}

/// States are in the optimizer's file of a checkpoint, and no part of the model.
#[test]
fn states_are_no_part_of_the_model() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let run = Run { gpu, model: sequence_model(), training: averaged(), mode: Pruned::Freeze };
    let streams = Batches::new(letters(27, 4), BATCH, None).unwrap().streams(true);
    run.go(folder.path(), streams, 6, None, &mut Vec::new());
    let found = newest(folder.path()).unwrap().unwrap();
    let states = ["lstm1.h", "lstm1.c", "gru1.h"];
    let named = |tensors: &[secateur::storage::Tensor]| {
        states.map(|name| tensors.iter().any(|t| t.name == name))
    };
    assert_eq!((named(&found.model), named(&found.optimizer)), ([false; 3], [true; 3]));
}
