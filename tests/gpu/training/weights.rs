//! What a run does to its weights: averages of them, multipliers, rates by step.

use secateur::checkpoint::newest;
use secateur::data::Batches;
use secateur::data::Task;
use secateur::graph::{Graph, Init};
use secateur::kernels::{Activation, Pruned};
use secateur::nn::Ends;
use secateur::nn::Metric;
use secateur::nn::{Model, Network};
use secateur::optim::{AVERAGE, Clip, Decay, Multiplier, Optimizer, Schedule, Training};
use secateur::prune::MaskUpdateOp;
use secateur::session::Session;
use secateur::storage::TensorData;
use secateur::train::{StepReturn, TrainOp, TrainStepFn, train};
use secateur::{Error, Gpu};

use super::{MODEL, SEED, blobs, pruning, run, run_op, steps, train_op};
use crate::common::{Tol, U, gpu};
use crate::shared::Shared;

const NAMES: [&str; 4] = ["fc1.weight", "fc1.bias", "fc2.weight", "fc3.bias"];
const DECAY: f32 = 0.6;

fn averaged(optimizer: Optimizer) -> Training {
    Training::from(optimizer).average(Some(DECAY))
}

/// After 3 steps how it begins is still in it.
#[test]
fn an_average_is_the_fold_of_the_weights() {
    let Some(gpu) = gpu() else { return };
    for number in [3, 14] {
        averages_after(gpu, number);
    }
}

fn averages_after(gpu: &Gpu, number: u64) {
    let folder = tempfile::tempdir().unwrap();
    let seen: Shared<Vec<Vec<Vec<f32>>>> = Shared::default();
    let options = steps(number).train_step_fn(Some(Box::new(|context| {
        context.train()?;
        let session = context.session()?;
        let all = NAMES.map(|name| session.weights(name));
        seen.borrow_mut().push(all.into_iter().collect::<Result<_, _>>()?);
        Ok(StepReturn::default())
    })));
    let op = train_op(gpu, averaged(Optimizer::adam(0.01)));
    let outcome = train(op, Some(folder.path()), MaskUpdateOp::none(), options).unwrap();
    let found = newest(folder.path()).unwrap().unwrap();
    for (i, name) in NAMES.into_iter().enumerate() {
        let mut want = vec![0.0; seen.borrow()[0][i].len()];
        for (t, weights) in (1..).zip(seen.borrow().iter()) {
            let t = f64::from(t);
            let decay = if t == 1.0 { 0.0 } else { f64::from(DECAY).min((1.0 + t) / (10.0 + t)) };
            for (want, &w) in want.iter_mut().zip(&weights[i]) {
                *want = decay * *want + (1.0 - decay) * f64::from(w);
            }
        }
        let slot = format!("{name}/{AVERAGE}");
        let tensor = found.optimizer.iter().find(|t| t.name == slot).unwrap();
        let TensorData::F32(got) = &tensor.data else { panic!("averages are f32") };
        // A few roundings of values below 2 at each step, of which earlier ones fade.
        Tol::Within(&vec![16.0 * U; want.len()]).check(got, &want).unwrap();
        assert_eq!(&outcome.session.average(name).unwrap(), got);
        assert_ne!(got, seen.borrow().last().unwrap().get(i).unwrap(), "{name} has moved since");
    }
}

/// A session that has the averages as its weights says what the run's own evaluation says, to the
/// bit.
#[test]
fn evaluation_is_by_the_averages() {
    let Some(gpu) = gpu() else { return };
    let momentum = Optimizer::named("momentum", 0.2).unwrap();
    for mode in [Pruned::Zero, Pruned::Revive, Pruned::Freeze] {
        // 16 is after a mask update: there averages are zero as weights are.
        let (outcome, _) = run(gpu, averaged(momentum), pruning(mode), 16);
        let session = outcome.session;
        let network = Model::mlp(&MODEL).network(16, &secateur::nn::Input::flat(6, 3)).unwrap();
        let mut other = Session::new(gpu, &network, momentum, &MaskUpdateOp::none(), SEED).unwrap();
        let mut take = |values: &dyn Fn(&str) -> Vec<f32>| {
            for p in network.graph.parameters() {
                other.set_weights(&p.name, &values(&p.name)).unwrap();
            }
            other.evaluate(&blobs()).unwrap()
        };
        let by_averages = take(&|name| session.average(name).unwrap());
        let by_weights = take(&|name| session.weights(name).unwrap());
        assert_ne!(by_averages.loss, by_weights.loss, "{mode:?}");
        assert_eq!(session.evaluate(&blobs()).unwrap(), by_averages, "{mode:?}");
        assert_eq!(session.evaluate_raw(&blobs()).unwrap(), by_weights, "{mode:?}");
        let average = session.average("fc1.weight").unwrap();
        let pruned: Vec<bool> =
            session.weights("fc1.weight").unwrap().iter().map(|w| w.to_bits() == 0).collect();
        assert!(pruned.iter().filter(|p| **p).count() > 90, "{mode:?}: something is pruned");
        let held = average.iter().zip(pruned).all(|(a, pruned)| !pruned || a.to_bits() == 0);
        assert!(held, "{mode:?}: what is pruned is zero in the average");
    }
}

/// Before the first step, and after weights are given, the average is the weights.
#[test]
fn an_average_begins_as_the_weights() {
    let Some(gpu) = gpu() else { return };
    let network = Model::mlp(&MODEL).network(16, &secateur::nn::Input::flat(6, 3)).unwrap();
    let training = averaged(Optimizer::adam(0.01));
    let none = MaskUpdateOp::none();
    let mut session = Session::new(gpu, &network, training, &none, SEED).unwrap();
    assert_eq!(session.evaluate(&blobs()).unwrap(), session.evaluate_raw(&blobs()).unwrap());
    session.set_weights("fc3.bias", &[1.0, 2.0, 3.0]).unwrap();
    assert_eq!(session.average("fc3.bias").unwrap(), [1.0, 2.0, 3.0]);
    assert_eq!(session.evaluate(&blobs()).unwrap(), session.evaluate_raw(&blobs()).unwrap());
    let plain = Session::new(gpu, &network, Optimizer::adam(0.01), &none, SEED).unwrap();
    assert_eq!(plain.average("fc1.weight").unwrap(), plain.weights("fc1.weight").unwrap());
}

/// A run that kept none goes on with some.
#[test]
fn averages_begin_as_the_weights_of_a_checkpoint_without_them() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    for mode in [Pruned::Zero, Pruned::Revive] {
        let logdir = folder.path().join(format!("{mode:?}"));
        let op = train_op(gpu, Optimizer::adam(0.01));
        train(op, Some(&logdir), pruning(mode), steps(8)).unwrap();
        let network = Model::mlp(&MODEL).network(16, &secateur::nn::Input::flat(6, 3)).unwrap();
        let training = averaged(Optimizer::adam(0.01));
        let mut session = Session::new(gpu, &network, &training, &pruning(mode), SEED).unwrap();
        session.restore(&newest(&logdir).unwrap().unwrap()).unwrap();
        let [average, weights] = [session.average("fc1.weight"), session.weights("fc1.weight")];
        assert_eq!(average.unwrap(), weights.unwrap());
        let outcome =
            train(train_op(gpu, training), Some(&logdir), pruning(mode), steps(12)).unwrap();
        let session = outcome.session;
        assert_ne!(session.average("fc1.bias").unwrap(), session.weights("fc1.bias").unwrap());
    }
}

/// How far all weights move together in a step of rate 1 is the norm that was asked for, of one
/// batch and of several.
#[test]
fn a_step_is_as_long_as_its_clip() {
    let Some(gpu) = gpu() else { return };
    let network = Model::mlp(&MODEL).network(16, &secateur::nn::Input::flat(6, 3)).unwrap();
    for (batches, bound) in [(1, 0.01f32), (2, 0.01), (2, 0.02)] {
        let clip = Clip::default().global_norm(Some(bound));
        let sgd = Optimizer::sgd(1.0);
        let training = Training::from(sgd).clip(clip);
        let options = steps(1).train_step_fn((batches > 1).then(|| -> TrainStepFn<'_> {
            Box::new(|context| {
                for _ in 0..batches {
                    context.accumulate()?;
                }
                context.apply().map(|()| StepReturn::default())
            })
        }));
        let none = MaskUpdateOp::none;
        let before = Session::new(gpu, &network, &training, &none(), SEED).unwrap();
        let op = train_op(gpu, training).accumulate_gradients();
        let after = train(op, None, none(), options).unwrap().session;
        let mut square = 0.0;
        for p in network.graph.parameters() {
            let [a, b] = [&before, &after].map(|s| s.weights(&p.name).unwrap());
            square += a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
        }
        let bound = f64::from(bound);
        assert!((square.sqrt() - bound).abs() < 1e-4 * bound, "{batches}: {}", square.sqrt());
    }
}

/// Two weights that are added have one gradient, which a clip in place must not reach twice.
#[test]
fn a_gradient_of_two_weights_is_clipped_for_each() {
    let Some(gpu) = gpu() else { return };
    let moves = |training: Training| {
        let mut graph = Graph::default();
        let (features, labels) = (graph.features(16, 6), graph.labels(16));
        let zero = Init::Constant(0.0);
        let [a, b] = ["a", "b"].map(|name| graph.parameter_with(name, [6, 3], zero).unwrap());
        let sum = graph.add(a, b).unwrap();
        let logits = graph.linear(features, sum, None, Activation::Identity).unwrap();
        let loss = graph.softmax_cross_entropy(logits, labels).unwrap();
        let correct = graph.correct(logits, labels).unwrap();
        let ends = Ends { features, answers: labels, output: logits, loss };
        let network = Network::new("two", graph, Task::classification(3), ends);
        let network = network.with_metric(Metric::Accuracy, correct);
        let batches = Batches::new(blobs(), 16, Some(SEED)).unwrap();
        let op = TrainOp::from_network(gpu, network, training, batches, SEED).unwrap();
        let (outcome, _) = run_op(op, MaskUpdateOp::none(), 1);
        ["a", "b"].map(|name| outcome.session.weights(name).unwrap())
    };
    let sgd = || Training::from(Optimizer::sgd(1.0));
    let [plain, same] = moves(sgd());
    assert!(plain.iter().all(|w| *w != 0.0) && plain == same);
    let multipliers = ["a", "b"].map(|name| Multiplier { name: name.into(), factor: 0.5 }).to_vec();
    let half: Vec<f32> = plain.iter().map(|w| w * 0.5).collect();
    assert_eq!(moves(sgd().multipliers(multipliers)), [half.clone(), half.clone()]);
    let multipliers = vec![Multiplier { name: "b".into(), factor: 0.5 }];
    assert_eq!(moves(sgd().multipliers(multipliers)), [plain, half]);
}

/// What a factor of 0 is for does not move, and everything else does.
#[test]
fn a_multiplier_of_0_holds_weights() {
    let Some(gpu) = gpu() else { return };
    let multipliers = vec![Multiplier { name: "^fc[12]\\.".into(), factor: 0.0 }];
    let training = Training::from(Optimizer::adam(0.01)).multipliers(multipliers);
    let none = MaskUpdateOp::none;
    let network = Model::mlp(&MODEL).network(16, &secateur::nn::Input::flat(6, 3)).unwrap();
    let before = Session::new(gpu, &network, &training, &none(), SEED).unwrap();
    let (outcome, _) = run(gpu, &training, none(), 5);
    for (name, held) in ["fc1.weight", "fc2.bias", "fc3.weight"].iter().zip([true, true, false]) {
        let [a, b] = [&before, &outcome.session].map(|s| s.weights(name).unwrap());
        assert_eq!(a == b, held, "{name}");
    }
}

/// A misspelt or an ambiguous multiplier is found when the network is there.
#[test]
fn multipliers_must_fit_the_network() {
    let Some(gpu) = gpu() else { return };
    let refused = |names: &[&str]| {
        let one = |name: &&str| Multiplier { name: (*name).into(), factor: 0.5 };
        let multipliers = names.iter().map(one).collect();
        let training = Training::from(Optimizer::adam(0.01)).multipliers(multipliers);
        let op = train_op(gpu, training);
        let error = train(op, None, MaskUpdateOp::none(), steps(1)).unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{error}");
        error.to_string()
    };
    let message = refused(&["fc1", "weight"]);
    assert!(message.contains("`fc1` and `weight` both match fc1.weight"), "{message}");
    let message = refused(&["fc9"]);
    assert!(message.contains("`fc9` matches none of fc1.weight, fc1.bias"), "{message}");
}

/// The rate that is reported is that of the step, and it is the rate that moves the weights.
#[test]
fn events_report_the_rate_of_their_step() {
    let Some(gpu) = gpu() else { return };
    let decay = Decay::Steps { boundaries: vec![4, 6], factor: 0.5 };
    let schedule = Schedule::default().warmup_steps(2).decay(decay);
    let training = Training::from(Optimizer::adam(0.25)).schedule(schedule);
    let (_, events) = run(gpu, training, MaskUpdateOp::none(), 8);
    let rates: Vec<f32> = events.iter().map(|e| e.learning_rate).collect();
    assert_eq!(rates, [0.125, 0.25, 0.25, 0.25, 0.125, 0.125, 0.0625, 0.0625]);
}
