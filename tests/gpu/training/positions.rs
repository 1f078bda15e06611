//! Rows with a label for each of their places, and runs whose batches are made ahead.
use std::fs;
use std::path::Path;
use std::sync::Arc;

use secateur::Gpu;
use secateur::checkpoint::{MODEL_FILE, OPTIMIZER_FILE, newest};
use secateur::data::Task;
use secateur::data::{Answers, Augment, BatchSource, Batches, Dataset, Features, Images, Prefetch};
use secateur::graph::Graph;
use secateur::kernels::Pruned;
use secateur::nn::Ends;
use secateur::nn::Metric;
use secateur::nn::{Model, Network};
use secateur::optim::Optimizer;
use secateur::prune::{MaskUpdateOp, Pruning, PruningSpec, Score};
use secateur::session::Session;
use secateur::train::{
    Event, StepContext, StepEvent, StepReturn, TrainOp, TrainOptions, TrainStepFn, train,
};

use super::{MODEL, SEED, pruning};
use crate::common::{Noise, gpu};

const LETTERS: u32 = 4;
const LENGTH: usize = 3;
const BATCH: usize = 4;

/// 10 windows of 3 letters, and one letter that fills none: streams of 3, 3, 3 and 1 windows.
fn letters() -> Arc<Dataset> {
    let tokens: Vec<u8> = (0..32u32).map(|i| ((i * i + i / 3) % LETTERS) as u8).collect();
    Arc::new(Dataset::text("letters", &tokens, ['a', 'b', 'c', 'd'], LENGTH).unwrap())
}

/// The logits of the next letter are a row of `table`.
fn bigrams() -> Network {
    let mut graph = Graph::default();
    let (batch, length) = (BATCH as u32, LENGTH as u32);
    let (features, labels) = (graph.features(batch, length), graph.position_labels(batch, length));
    let table = graph.parameter("table", [LETTERS, LETTERS]).unwrap();
    graph.apply_mask(table).unwrap();
    let logits = graph.embedding(features, table).unwrap();
    let loss = graph.softmax_cross_entropy(logits, labels).unwrap();
    let correct = graph.correct(logits, labels).unwrap();
    let task = Task::Classification { classes: LETTERS, positions: LENGTH };
    let ends = Ends { features, answers: labels, output: logits, loss };
    Network::new("bigrams", graph, task, ends).with_metric(Metric::Accuracy, correct)
}

fn table() -> Vec<f32> {
    Noise::new(3).floats((LETTERS * LETTERS) as usize, 2.0)
}

/// Loss and accuracy of [`table`] on these windows, in f64.
fn reference(data: &Dataset, windows: &[usize]) -> (f64, f64) {
    let table = table();
    let (mut row, mut loss, mut right) = ([0.0; LENGTH], 0.0, 0);
    for &window in windows {
        data.write_row(window, &mut row);
        for (&token, label) in row.iter().zip(data.labels(window)) {
            let logits = table[token as usize * LETTERS as usize..][..LETTERS as usize].to_vec();
            let best = logits.iter().copied().reduce(f32::max).unwrap();
            right += u32::from(logits[label as usize] == best);
            let sum: f64 = logits.iter().map(|&z| f64::from(z).exp()).sum();
            loss += sum.ln() - f64::from(logits[label as usize]);
        }
    }
    let places = (windows.len() * LENGTH) as f64;
    (loss / places, f64::from(right) / places)
}

/// WGSL's `exp` and `log` are less than 2^-20 off at these values, sums of 12 round 12 times.
fn assert_is(found: (f64, f64), wanted: (f64, f64), what: &str) {
    assert!((found.0 - wanted.0).abs() < 0.5f64.powi(18), "{what}: loss {found:?}, not {wanted:?}");
    // A count by the number of places: exact.
    assert_eq!(found.1, wanted.1, "{what}: accuracy");
}

/// What each step of an epoch, or the first by a function, reports; at a rate that moves no weight.
fn events(gpu: &Gpu, train_step_fn: Option<TrainStepFn<'_>>) -> Vec<StepEvent> {
    let batches = Batches::new(letters(), BATCH, None).unwrap().streams(true).epochs(Some(1));
    let optimizer = Optimizer::sgd(1e-30);
    let op = TrainOp::from_network(gpu, bigrams(), optimizer, batches, SEED).unwrap();
    let mut events = Vec::new();
    let options = TrainOptions::default()
        .number_of_steps(train_step_fn.is_some().then_some(1))
        .train_step_fn(train_step_fn)
        .init_feed_dict(vec![("table".into(), table())])
        .on_event(Some(Box::new(|event| {
            if let Event::Step(step) = event {
                events.push(step.clone());
            }
        })));
    train(op.accumulate_gradients(), None, MaskUpdateOp::none(), options).unwrap();
    events
}

#[test]
fn losses_and_accuracies_are_means_over_the_places() {
    let Some(gpu) = gpu() else { return };
    let data = letters();
    let batches: [&[usize]; 3] = [&[0, 3, 6, 9], &[1, 4, 7], &[2, 5, 8]];
    let found = events(gpu, None);
    assert_eq!(found.len(), 3);
    for (event, windows) in found.iter().zip(batches) {
        let wanted = reference(&data, windows);
        assert_is((event.loss.into(), event.accuracy().unwrap()), wanted, &format!("{windows:?}"));
    }
    let two = |context: &mut StepContext<'_>| {
        context.accumulate()?;
        context.accumulate()?;
        context.apply()?;
        Ok(StepReturn::default())
    };
    let found = events(gpu, Some(Box::new(two)));
    let wanted = reference(&data, &batches[..2].concat());
    assert_is(
        (found[0].loss.into(), found[0].accuracy().unwrap()),
        wanted,
        "two batches in a step",
    );

    let optimizer = Optimizer::adam(0.01);
    let mut session =
        Session::new(gpu, &bigrams(), optimizer, &MaskUpdateOp::none(), SEED).unwrap();
    session.set_weights("table", &table()).unwrap();
    let found = session.evaluate(&data).unwrap();
    let wanted = reference(&data, &(0..10).collect::<Vec<_>>());
    assert_is((found.loss, found.accuracy().unwrap()), wanted, "evaluate");
}

#[test]
fn another_number_of_places_is_refused_and_named() {
    let Some(gpu) = gpu() else { return };
    let refused = |error: secateur::Error, parts: &[&str]| {
        for part in parts {
            assert!(error.to_string().contains(part), "no `{part}` in {error}");
        }
    };
    let streams = || Batches::new(letters(), BATCH, None).unwrap().epochs(Some(1));
    let optimizer = Optimizer::adam(0.01);
    let op = TrainOp::new(gpu, &Model::mlp(&[5]), optimizer, streams(), SEED);
    refused(op.err().unwrap(), &["mlp:5: ", "1 answers a row", "3 labels a row"]);

    let spec = PruningSpec::to(0.5).score(Score::Wanda);
    let op = Pruning::new(spec).unwrap().mask_update_op();
    let network =
        Model::mlp(&[5]).network(BATCH, &secateur::nn::Input::flat(LENGTH, LETTERS)).unwrap();
    let mut session = Session::new(gpu, &network, optimizer, &op, SEED).unwrap();
    let both = ["rows of letters have 3 labels", "gives 1 answers"];
    refused(session.evaluate(&letters()).unwrap_err(), &both);
    refused(session.calibrate(&mut streams()).unwrap_err(), &both);
}

/// 52 images of three classes, which are drawn anew in each epoch.
fn pictures() -> Arc<Dataset> {
    let bytes = Noise::new(4).floats(52 * 50, 127.0).iter().map(|x| (128.0 + x) as u8).collect();
    let answers = Answers::classes((0..52_u8).map(|i| i % 3), 3);
    let features = Features::U8 { bytes, scale: 1.0 };
    let data = Dataset::new("pictures", &[5, 5, 2], features, answers).unwrap();
    let augment = Augment { flip: true, brightness: 63.0, contrast: [0.2, 1.8] };
    let images = Images { crop: [3, 3], standardise: true, augment: Some(augment) };
    Arc::new(data.with_images(images).unwrap())
}

/// Trains up to `steps`; the losses of this call's steps go to `losses`.
fn go(
    gpu: &Gpu,
    logdir: &Path,
    batches: impl BatchSource,
    network: Option<Network>,
    steps: u64,
    losses: &mut Vec<u32>,
) {
    let optimizer = Optimizer::adam(0.01);
    let op = match network {
        Some(network) => TrainOp::from_network(gpu, network, optimizer, batches, SEED),
        None => TrainOp::new(gpu, &Model::mlp(&MODEL), optimizer, batches, SEED),
    };
    let options =
        TrainOptions::default().number_of_steps(Some(steps)).on_event(Some(Box::new(|event| {
            if let Event::Step(step) = event {
                losses.push(step.loss.to_bits());
            }
        })));
    train(op.unwrap(), Some(logdir), pruning(Pruned::Zero), options).unwrap();
}

fn files(logdir: &Path) -> [Vec<u8>; 2] {
    let path = newest(logdir).unwrap().unwrap().path;
    [MODEL_FILE, OPTIMIZER_FILE].map(|f| fs::read(path.join(f)).unwrap())
}

/// Step 10 ends within an epoch, in which the thread is ahead of the run.
#[test]
fn k_steps_and_k_more_are_2k_steps_of_batches_made_ahead() {
    let Some(gpu) = gpu() else { return };
    let images = || Batches::new(pictures(), 16, Some(SEED)).unwrap().augment(true);
    let streams = || Batches::new(letters(), BATCH, Some(SEED)).unwrap().streams(true);
    let (images, streams): (&dyn Fn() -> Batches, &dyn Fn() -> Batches) = (&images, &streams);
    for (new, network) in [(images, None), (streams, Some(bigrams()))] {
        let folder = tempfile::tempdir().unwrap();
        let [straight, halves] = ["straight", "halves"].map(|name| folder.path().join(name));
        let (mut all, mut parts) = (Vec::new(), Vec::new());
        go(gpu, &straight, new(), network.clone(), 20, &mut all);
        go(gpu, &halves, Prefetch::new(new()), network.clone(), 10, &mut parts);
        go(gpu, &halves, Prefetch::new(new()), network, 20, &mut parts);
        assert_eq!(all, parts, "losses");
        assert!(files(&straight) == files(&halves), "weights, slots, masks");
    }
}
