//! Stopping and going on is the same run, to the last bit.
use std::fs;
use std::path::{Path, PathBuf};

use secateur::Error;
use secateur::checkpoint::{MODEL_FILE, OPTIMIZER_FILE, Retention, newest, save};
use secateur::data::Cursor;
use secateur::kernels::Pruned;
use secateur::nn::Model;
use secateur::optim::{Clip, Decay, Momentum, Multiplier, Optimizer, Schedule, Training};
use secateur::prune::{MaskUpdateOp, pruned_count};
use secateur::session::Session;
use secateur::storage::TensorData;
use secateur::train::{Event, TrainOptions, TrainOutcome, train};

use super::{MODEL, SEED, blobs, pruning, spec, train_op};
use crate::common::gpu;

fn go(
    gpu: &secateur::Gpu,
    logdir: &Path,
    training: impl Into<Training>,
    op: MaskUpdateOp,
    steps: u64,
    losses: &mut Vec<u32>,
) -> TrainOutcome {
    let options =
        TrainOptions::default().number_of_steps(Some(steps)).on_event(Some(Box::new(|event| {
            if let Event::Step(step) = event {
                losses.push(step.loss.to_bits());
            }
        })));
    train(train_op(gpu, training), Some(logdir), op, options).unwrap()
}

/// Bytes of the two tensor files of the newest checkpoint.
fn files(logdir: &Path) -> [Vec<u8>; 2] {
    let path = newest(logdir).unwrap().unwrap().path;
    [MODEL_FILE, OPTIMIZER_FILE].map(|f| fs::read(path.join(f)).unwrap())
}

/// A schedule that changes at the step where the run is parted and after it, every clip, and an
/// average.
fn everything(optimizer: Optimizer) -> Training {
    let decay = Decay::Exponential { decay_steps: 5, rate: 0.5, staircase: false };
    Training::from(optimizer)
        .schedule(Schedule::default().warmup_steps(12).decay(decay))
        .clip(Clip::default().value(Some(0.02)).norm(Some(0.04)).global_norm(Some(0.06)))
        .multipliers(vec![Multiplier { name: "fc2".into(), factor: 0.5 }])
        .average(Some(0.99))
}

/// As [`newest`] in a logdir of its own, as if all batches before the last one of epoch 1 had been
/// given out, and those at `returned` not used.
fn given_back(logdir: &Path, returned: &[u64]) -> PathBuf {
    let found = newest(logdir).unwrap().unwrap();
    let returned = returned.iter().map(|&row| Cursor { epoch: 1, row }).collect();
    let manifest = found.manifest.clone().epoch(1).cursor(48).returned(returned);
    let other = logdir.with_extension("returned");
    fs::create_dir(&other).unwrap();
    save(&other, manifest, &found.model, &found.optimizer, Retention::newest(5)).unwrap();
    other
}

/// Step 5 ends behind the first batch of epoch 1; two more were given out.
#[test]
fn batches_that_were_given_back_are_the_first_ones() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [straight, halves] = ["straight", "halves"].map(|name| folder.path().join(name));
    let adam = || Optimizer::adam(0.01);
    let (mut all, mut parts) = (Vec::new(), Vec::new());
    go(gpu, &straight, adam(), pruning(Pruned::Zero), 10, &mut all);
    go(gpu, &halves, adam(), pruning(Pruned::Zero), 5, &mut parts);
    let halves = given_back(&halves, &[16, 32]);
    // Saves hold what is left of them.
    go(gpu, &halves, adam(), pruning(Pruned::Zero), 6, &mut parts);
    let manifest = newest(&halves).unwrap().unwrap().manifest;
    assert_eq!(manifest.returned, [Cursor { epoch: 1, row: 32 }]);
    assert_eq!((manifest.epoch, manifest.cursor), (1, 48));
    go(gpu, &halves, adam(), pruning(Pruned::Zero), 10, &mut parts);
    assert_eq!(newest(&halves).unwrap().unwrap().manifest.returned, []);
    assert_eq!(all, parts);
    assert!(files(&straight) == files(&halves));
}

#[test]
fn a_batch_given_back_that_is_none_of_the_runs_is_refused() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let logdir = folder.path().join("logdir");
    go(gpu, &logdir, Optimizer::adam(0.01), pruning(Pruned::Zero), 3, &mut Vec::new());
    let logdir = given_back(&logdir, &[32, 80]);
    let resume = |options: TrainOptions<'static>| {
        train(train_op(gpu, Optimizer::adam(0.01)), Some(&logdir), pruning(Pruned::Zero), options)
    };
    let options = || TrainOptions::default().number_of_steps(Some(4));
    let error = resume(options()).unwrap_err().to_string();
    assert!(error.contains("row 80 starts no batch of 16 in the 52 rows"), "{error}");
    // Where that is overridden the next epoch begins.
    resume(options().override_run(true)).unwrap();
    let manifest = newest(&logdir).unwrap().unwrap().manifest;
    assert_eq!((manifest.epoch, manifest.cursor, manifest.returned), (2, 16, vec![]));
}

/// 52 rows in batches of 16: step 9 ends inside the third epoch; masks change at 3, 6, ... 15, 16.
#[test]
fn k_steps_and_k_more_are_2k_steps() {
    let Some(gpu) = gpu() else { return };
    let momentum =
        Optimizer::Momentum(Momentum::new(0.05).momentum(0.9).nesterov(false).weight_decay(0.01));
    let named = |name| Optimizer::named(name, 0.01).unwrap();
    for (training, mode) in [
        (Optimizer::adam(0.01).into(), Pruned::Zero),
        (momentum.into(), Pruned::Revive),
        (named("adamw").into(), Pruned::Freeze),
        (everything(named("rmsprop")), Pruned::Zero),
        (everything(named("adagrad")), Pruned::Revive),
        (everything(named("lion")), Pruned::Freeze),
        (Optimizer::adam(0.01).into(), Pruned::Pull),
        (everything(momentum), Pruned::Pull),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let [straight, halves] = ["straight", "halves"].map(|name| folder.path().join(name));
        let (mut all, mut parts) = (Vec::new(), Vec::new());
        go(gpu, &straight, &training, pruning(mode), 18, &mut all);
        go(gpu, &halves, &training, pruning(mode), 9, &mut parts);
        assert_ne!(files(&straight), files(&halves), "step 9 is not step 18");
        let outcome = go(gpu, &halves, &training, pruning(mode), 18, &mut parts);
        assert_eq!((outcome.steps, outcome.global_step), (9, 18));
        assert_eq!(all, parts, "{mode:?}: losses");
        assert!(files(&straight) == files(&halves), "{mode:?}: weights, slots, masks");
    }
}

#[test]
fn a_run_at_its_limit_takes_no_step() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut losses = Vec::new();
    let op = pruning(Pruned::Zero);
    let trained = go(gpu, folder.path(), Optimizer::adam(0.01), op, 6, &mut losses);
    let before = files(folder.path());
    for limit in [6, 4] {
        let op = pruning(Pruned::Zero);
        let outcome = go(gpu, folder.path(), Optimizer::adam(0.01), op, limit, &mut losses);
        assert_eq!((outcome.steps, outcome.global_step, outcome.loss), (0, 6, None));
        assert_eq!(outcome.session.layers().unwrap(), trained.session.layers().unwrap());
        assert!(files(folder.path()) == before);
    }
    assert_eq!(losses.len(), 6);
}

/// Zeros are counted in the file itself, not in what the run says of itself.
#[test]
fn the_file_holds_exact_zeros() {
    let Some(gpu) = gpu() else { return };
    // At 9 and 16 the run ends with a mask update; that at 9 prunes weights that were not zero.
    for (mode, steps) in [(Pruned::Zero, 9), (Pruned::Zero, 16), (Pruned::Revive, 9)] {
        let folder = tempfile::tempdir().unwrap();
        go(gpu, folder.path(), Optimizer::adam(0.01), pruning(mode), steps, &mut Vec::new());
        let found = newest(folder.path()).unwrap().unwrap();
        let sparsity = spec(mode).sparsity_at(steps);
        for tensor in found.model.iter().filter(|t| t.name.ends_with(".weight")) {
            let TensorData::F32(values) = &tensor.data else { panic!("weights are f32") };
            let zeros = values.iter().filter(|v| v.to_bits() == 0).count() as u64;
            let want = pruned_count(values.len() as u64, sparsity);
            assert_eq!(zeros, want, "{mode:?} {steps} {}", tensor.name);
        }
    }
}

/// A dense checkpoint has no masks: the masked network starts from its weights with all kept.
#[test]
fn a_dense_checkpoint_warm_starts_a_masked_network() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut losses = Vec::new();
    let optimizer = Optimizer::adam(0.01);
    go(gpu, folder.path(), optimizer, MaskUpdateOp::none(), 5, &mut losses);
    let network = Model::mlp(&MODEL).network(16, &secateur::nn::Input::flat(6, 3)).unwrap();
    let mut session =
        Session::new(gpu, &network, optimizer, &pruning(Pruned::Revive), SEED + 1).unwrap();
    let found = newest(folder.path()).unwrap().unwrap();
    session.restore(&found).unwrap();
    let TensorData::F32(want) = &found.model.iter().find(|t| t.name == "fc1.weight").unwrap().data
    else {
        panic!("weights are f32")
    };
    assert_eq!(&session.weights("fc1.weight").unwrap(), want);
    let outcome = go(gpu, folder.path(), optimizer, pruning(Pruned::Zero), 16, &mut losses);
    let layers = outcome.session.layers().unwrap();
    assert_eq!(layers[0].total() - layers[0].nonzero, pruned_count(layers[0].total(), 0.8));
}

#[test]
fn another_run_in_the_logdir_is_refused() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (optimizer, mut losses) = (Optimizer::adam(0.01), Vec::new());
    go(gpu, folder.path(), optimizer, MaskUpdateOp::none(), 5, &mut losses);
    let before = files(folder.path());
    let start = |model: &Model, seed| {
        let batches = secateur::Batches::new(blobs(), 16, Some(seed)).unwrap();
        let op = secateur::TrainOp::new(gpu, model, optimizer, batches, seed).unwrap();
        let options = TrainOptions::default().number_of_steps(Some(9));
        train(op, Some(folder.path()), MaskUpdateOp::none(), options).map(|_| ())
    };
    let model = start(&Model::mlp(&[4]), SEED).unwrap_err().to_string();
    assert!(model.contains("mlp:20-13") && model.contains("mlp:4"), "{model}");
    let seed = start(&Model::mlp(&MODEL), SEED + 1).unwrap_err().to_string();
    assert!(seed.contains("seed 5") && seed.contains("seed 6"), "{seed}");
    let _lock = secateur::checkpoint::Lock::acquire(folder.path()).unwrap();
    let locked = start(&Model::mlp(&MODEL), SEED).unwrap_err();
    assert!(matches!(locked, Error::Locked { .. }), "{locked}");
    assert!(files(folder.path()) == before, "a refused run changes nothing");
}

/// Raw values that `revive` kept would be in the products of `zero`, which take no mask.
#[test]
fn a_run_can_go_on_in_another_mode() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (optimizer, mut losses) = (Optimizer::adam(0.01), Vec::new());
    go(gpu, folder.path(), optimizer, pruning(Pruned::Revive), 12, &mut losses);
    let network = Model::mlp(&MODEL).network(16, &secateur::nn::Input::flat(6, 3)).unwrap();
    let found = newest(folder.path()).unwrap().unwrap();
    let evaluate = |mode| {
        let mut session = Session::new(gpu, &network, optimizer, &pruning(mode), SEED).unwrap();
        session.restore(&found).unwrap();
        let zeros = session.weights("fc1.weight").unwrap().iter().filter(|w| **w == 0.0).count();
        (session.evaluate(&blobs()).unwrap().loss.to_bits(), zeros)
    };
    let revive = evaluate(Pruned::Revive);
    assert!(revive.1 > 20, "something is pruned");
    assert_eq!(evaluate(Pruned::Zero), revive);
    assert_eq!(evaluate(Pruned::Freeze), revive);
}

/// As many values in another shape are other weights.
#[test]
fn a_tensor_of_another_shape_is_refused_and_named() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let optimizer = Optimizer::adam(0.01);
    go(gpu, folder.path(), optimizer, MaskUpdateOp::none(), 2, &mut Vec::new());
    let mut found = newest(folder.path()).unwrap().unwrap();
    let turned = found.model.iter_mut().find(|t| t.name == "fc1.weight").unwrap();
    turned.shape.reverse();
    let network = Model::mlp(&MODEL).network(16, &secateur::nn::Input::flat(6, 3)).unwrap();
    let mut session = Session::new(gpu, &network, optimizer, &MaskUpdateOp::none(), SEED).unwrap();
    let before = session.weights("fc3.weight").unwrap();
    let error = session.restore(&found).unwrap_err().to_string();
    for part in ["fc1.weight", "[20, 6]", "[6, 20]"] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(session.weights("fc3.weight").unwrap(), before, "nothing has been changed");
}

/// A mask of another number of weights is no mask of this network.
#[test]
fn a_mask_that_does_not_fit_is_refused_and_named() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (optimizer, op) = (Optimizer::adam(0.01), pruning(Pruned::Zero));
    go(gpu, folder.path(), optimizer, op, 3, &mut Vec::new());
    let mut found = newest(folder.path()).unwrap().unwrap();
    let mask = found.optimizer.iter_mut().find(|t| t.name == "fc2.weight/mask").unwrap();
    let TensorData::U32(words) = &mut mask.data else { panic!("masks are u32") };
    words.pop();
    let network = Model::mlp(&MODEL).network(16, &secateur::nn::Input::flat(6, 3)).unwrap();
    let mut session = Session::new(gpu, &network, optimizer, &pruning(Pruned::Zero), SEED).unwrap();
    let error = session.restore(&found).unwrap_err().to_string();
    assert!(error.contains("fc2.weight/mask does not fit"), "{error}");
}
