//! Steps of one's own.

use secateur::checkpoint::{MODEL_FILE, OPTIMIZER_FILE};
use secateur::data::Batches;
use secateur::data::Task;
use secateur::graph::Graph;
use secateur::kernels::{Activation, Pruned};
use secateur::nn::Ends;
use secateur::nn::Metric;
use secateur::nn::Network;
use secateur::optim::Optimizer;
use secateur::prune::MaskUpdateOp;
use secateur::train::{
    End, Event, StepContext, StepReturn, TrainOp, TrainOptions, TrainOutcome, train,
};
use secateur::{Error, Gpu, Model, Result};

use super::rescue::Breaks;
use super::{MODEL, SEED, blobs, pruning, train_op, weights};
use crate::common::{Tol, U, gpu};
use crate::shared::Shared;

const SGD: Optimizer = Optimizer::sgd(0.1);

fn default_step(step: &mut StepContext<'_>) -> Result<StepReturn> {
    step.train().map(|()| StepReturn::default())
}

fn of_batch(gpu: &Gpu, optimizer: Optimizer, batch: usize) -> TrainOp<'static> {
    let batches = Batches::new(blobs(), batch, Some(SEED)).unwrap();
    TrainOp::new(gpu, &Model::mlp(&MODEL), optimizer, batches, SEED).unwrap()
}

/// Trains `steps` steps of `step` without files.
fn run<'a>(
    op: TrainOp<'a>,
    mask_update_op: MaskUpdateOp,
    steps: u64,
    step: impl FnMut(&mut StepContext<'_>) -> Result<StepReturn> + Send + 'a,
) -> Result<TrainOutcome> {
    let options =
        TrainOptions::default().number_of_steps(Some(steps)).train_step_fn(Some(Box::new(step)));
    train(op, None, mask_update_op, options)
}

#[test]
fn the_default_step_written_out_gives_the_same_bits() {
    let Some(gpu) = gpu() else { return };
    let adam = Optimizer::adam(0.01);
    let (by_default, events) = super::run(gpu, adam, pruning(Pruned::Zero), 20);
    let own = run(train_op(gpu, adam), pruning(Pruned::Zero), 20, default_step).unwrap();
    assert_eq!(weights(&by_default), weights(&own));
    assert_eq!(own.loss.map(f32::to_bits), by_default.loss.map(f32::to_bits));
    assert!(events.iter().any(|e| e.masks.is_some()));
    let zeros = own.session.weights("fc1.weight").unwrap().iter().filter(|w| **w == 0.0).count();
    assert_eq!(zeros, 96, "80 % of 120: masks are updated after steps of one's own too");
}

#[test]
fn one_batch_accumulated_is_the_default_step() {
    let Some(gpu) = gpu() else { return };
    let adam = Optimizer::adam(0.01);
    let (by_default, _) = super::run(gpu, adam, pruning(Pruned::Freeze), 20);
    let op = train_op(gpu, adam).accumulate_gradients();
    let own = run(op, pruning(Pruned::Freeze), 20, |step| {
        step.accumulate()?;
        step.apply().map(|()| StepReturn::default())
    });
    assert_eq!(weights(&by_default), weights(&own.unwrap()));
}

/// Four batches, the last of them ragged, are one of their rows together: an epoch of 52 rows.
#[test]
fn accumulated_batches_are_one_large_batch() {
    let Some(gpu) = gpu() else { return };
    let large = run(of_batch(gpu, SGD, 52), MaskUpdateOp::none(), 3, default_step).unwrap();
    let op = of_batch(gpu, SGD, 16).accumulate_gradients();
    let mut losses = Vec::new();
    let small = run(op, MaskUpdateOp::none(), 3, |step| {
        for _ in 0..4 {
            step.accumulate()?;
        }
        losses.push(step.loss()?);
        step.apply().map(|()| StepReturn::default())
    });
    let small = small.unwrap();
    assert_eq!(losses.last().copied(), small.loss, "read within the step, and reported after it");
    let [want, got] = [&large, &small].map(|o| {
        weights(o).into_iter().map(|bits| f64::from(f32::from_bits(bits))).collect::<Vec<_>>()
    });
    // Sums of 52 terms in another order, each at most 1, three times 0.1 of them; and what the
    // weights' own differences change in the next gradients, of the same size.
    let bounds = vec![2.0 * 3.0 * 0.1 * 4.0 * 52f64.sqrt() * U; want.len()];
    Tol::Within(&bounds).check(&got, &want).unwrap_or_else(|e| panic!("{e}"));
    let loss = |o: &TrainOutcome| f64::from(o.loss.unwrap());
    assert!((loss(&large) - loss(&small)).abs() < 52f64.sqrt() * 4.0 * U);
    assert!((large.metric.unwrap().1 - small.metric.unwrap().1).abs() < 1e-12);
}

/// A trunk with a head on it, and another head on the layer below.
fn two_heads() -> Network {
    let mut graph = Graph::default();
    let (features, labels) = (graph.features(16, 6), graph.labels(16));
    let weight = |graph: &mut Graph, name: &str, shape: [u32; 2]| {
        let weight = graph.parameter(name, shape).unwrap();
        graph.apply_mask(weight).unwrap()
    };
    let below = weight(&mut graph, "below", [6, 12]);
    let above = weight(&mut graph, "above", [12, 12]);
    let head = weight(&mut graph, "head", [12, 3]);
    let side = weight(&mut graph, "side", [12, 3]);
    let x = graph.linear(features, below, None, Activation::Relu).unwrap();
    let y = graph.linear(x, above, None, Activation::Relu).unwrap();
    let logits = graph.linear(y, head, None, Activation::Identity).unwrap();
    let auxiliary = graph.linear(x, side, None, Activation::Identity).unwrap();
    let loss = graph.softmax_cross_entropy(logits, labels).unwrap();
    let side_loss = graph.softmax_cross_entropy(auxiliary, labels).unwrap();
    let correct = graph.correct(logits, labels).unwrap();
    let ends = Ends { features, answers: labels, output: logits, loss };
    let network = Network::new("two heads", graph, Task::classification(3), ends);
    network.with_loss("side", side_loss).with_metric(Metric::Accuracy, correct)
}

pub fn two_heads_op(gpu: &Gpu) -> TrainOp<'static> {
    let batches = Batches::new(blobs(), 16, Some(SEED)).unwrap();
    TrainOp::from_network(gpu, two_heads(), SGD, batches, SEED).unwrap()
}

#[test]
fn two_losses_in_turn_move_only_what_reaches_them() {
    let Some(gpu) = gpu() else { return };
    let seen = Shared::new(Vec::new());
    let outcome = run(two_heads_op(gpu), MaskUpdateOp::none(), 120, |step| {
        let mut before = Vec::new();
        for name in ["below", "above", "head", "side"] {
            before.push(step.session()?.weights(name)?);
        }
        let side = step.global_step().is_multiple_of(2);
        step.train_on(if side { "side" } else { "" })?;
        let mut moved = Vec::new();
        for (name, before) in ["below", "above", "head", "side"].iter().zip(before) {
            moved.push(step.session()?.weights(name)? != before);
        }
        assert_eq!(moved, [true, !side, !side, side], "step {}", step.global_step());
        seen.borrow_mut().push(step.loss()?);
        Ok(StepReturn::default())
    });
    let seen = seen.into_inner();
    for which in [0, 1] {
        let losses: Vec<f32> = seen.iter().skip(which).step_by(2).copied().collect();
        let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
        let (first, last) = (mean(&losses[..10]), mean(&losses[50..]));
        assert!(last < 0.9 * first, "loss {which} falls: {first} to {last}");
    }
    assert_eq!(outcome.unwrap().loss, seen.last().copied());
}

/// What an earlier step left in the mean of a parameter that this loss does not reach is no
/// gradient.
#[test]
fn an_accumulated_loss_moves_only_what_reaches_it() {
    let Some(gpu) = gpu() else { return };
    let op = two_heads_op(gpu).accumulate_gradients();
    let outcome = run(op, MaskUpdateOp::none(), 4, |step| {
        let side = step.global_step().is_multiple_of(2);
        step.accumulate_on(if side { "side" } else { "" })?;
        let all = ["below", "above", "head", "side"];
        let before = all.map(|name| step.session().unwrap().weights(name).unwrap());
        step.apply()?;
        let after = all.map(|name| step.session().unwrap().weights(name).unwrap());
        let moved: Vec<bool> = before.iter().zip(&after).map(|(b, a)| b != a).collect();
        assert_eq!(moved, [true, !side, !side, side], "step {}", step.global_step());
        Ok(StepReturn::default())
    });
    outcome.unwrap();
}

#[test]
fn the_loss_trained_on_is_the_loss_reported() {
    let Some(gpu) = gpu() else { return };
    let [own, side] = ["", "side"].map(|name| {
        let step = |step: &mut StepContext<'_>| step.train_on(name).map(|()| StepReturn::default());
        run(two_heads_op(gpu), MaskUpdateOp::none(), 1, step).unwrap()
    });
    assert!(own.loss > Some(0.0) && side.loss > Some(0.0) && own.loss != side.loss);
    assert_eq!(own.metric, side.metric, "the answer is the network's either way");
}

#[test]
fn two_updates_in_one_step_are_one_global_step() {
    let Some(gpu) = gpu() else { return };
    let outcome = run(two_heads_op(gpu), MaskUpdateOp::none(), 3, |step| {
        step.train()?;
        step.train_on("side")?;
        Ok(StepReturn::default().loss(Some(7.0)).should_stop(step.global_step() == 2))
    });
    let outcome = outcome.unwrap();
    assert_eq!((outcome.end, outcome.global_step), (End::Stopped, 2));
    assert_eq!(outcome.loss, Some(7.0), "the step's own loss is reported");
}

#[test]
fn the_data_may_end_within_a_step() {
    let Some(gpu) = gpu() else { return };
    let batches = Batches::new(blobs(), 16, Some(SEED)).unwrap().epochs(Some(1));
    let op = TrainOp::new(gpu, &Model::mlp(&MODEL), SGD, batches, SEED).unwrap();
    let outcome = run(op.accumulate_gradients(), MaskUpdateOp::none(), 9, |step| {
        for _ in 0..3 {
            step.accumulate()?;
        }
        step.apply().map(|()| StepReturn::default())
    });
    let outcome = outcome.unwrap();
    assert_eq!((outcome.end, outcome.global_step), (End::EndOfData, 2), "3 batches, then 1");
}

/// Whatever the source would give after its end, neither the step nor the loop asks for more.
#[test]
fn no_batch_is_asked_for_after_the_end() {
    let Some(gpu) = gpu() else { return };
    let batches = Breaks(Batches::new(blobs(), 16, Some(SEED)).unwrap(), 0, || Ok(false));
    let op = TrainOp::new(gpu, &Model::mlp(&MODEL), SGD, batches, SEED).unwrap();
    let outcome = run(op.accumulate_gradients(), MaskUpdateOp::none(), 9, |step| {
        for _ in 0..6 {
            step.accumulate()?;
        }
        if step.global_step() == 2 {
            // Of these six the second was the end.
            let before = step.loss()?;
            step.accumulate()?;
            assert_eq!(step.loss()?, before);
        }
        step.apply().map(|()| StepReturn::default())
    });
    let outcome = outcome.unwrap();
    assert_eq!((outcome.end, outcome.global_step), (End::EndOfData, 2));
}

/// Nothing can be applied to it any more.
#[test]
fn a_gradient_may_be_left_over_where_the_data_ends() {
    let Some(gpu) = gpu() else { return };
    let batches = Batches::new(blobs(), 16, Some(SEED)).unwrap().epochs(Some(1));
    let op = TrainOp::new(gpu, &Model::mlp(&MODEL), SGD, batches, SEED).unwrap();
    let outcome = run(op.accumulate_gradients(), MaskUpdateOp::none(), 9, |step| {
        step.train()?;
        step.accumulate()?;
        match step.global_step() {
            2 => step.accumulate()?,
            _ => step.apply()?,
        }
        Ok(StepReturn::default())
    });
    let outcome = outcome.unwrap();
    assert_eq!((outcome.end, outcome.global_step), (End::EndOfData, 2), "two of four batches each");
}

#[test]
fn misuse_is_named() {
    let Some(gpu) = gpu() else { return };
    let refused = |op: TrainOp<'static>, step: fn(&mut StepContext<'_>) -> Result<StepReturn>| {
        let error = run(op, MaskUpdateOp::none(), 2, step).unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{error}");
        error.to_string()
    };
    let op = || train_op(gpu, SGD);
    let nothing = refused(op(), |_| Ok(StepReturn::default()));
    assert!(nothing.contains("train_step_fn") && nothing.contains("train()"), "{nothing}");
    let left = refused(op().accumulate_gradients(), |step| {
        step.train()?;
        step.accumulate().map(|()| StepReturn::default())
    });
    assert!(left.contains("left over"), "{left}");
    let early =
        refused(op().accumulate_gradients(), |step| step.apply().map(|()| StepReturn::default()));
    assert!(early.contains("accumulate()"), "{early}");
    let no_room = refused(op(), |step| step.accumulate().map(|()| StepReturn::default()));
    assert!(no_room.contains("accumulate_gradients()"), "{no_room}");
    let unknown =
        refused(two_heads_op(gpu), |step| step.train_on("sidd").map(|()| StepReturn::default()));
    assert!(unknown.contains("sidd") && unknown.contains("side"), "{unknown}");
    let mixed = refused(two_heads_op(gpu).accumulate_gradients(), |step| {
        step.accumulate()?;
        step.accumulate_on("side").map(|()| StepReturn::default())
    });
    assert!(mixed.contains("side") && mixed.contains("apply()"), "{mixed}");
    let mut twins = two_heads();
    twins.losses.push(twins.losses[0].clone());
    let batches = Batches::new(blobs(), 16, Some(SEED)).unwrap();
    let twins = TrainOp::from_network(gpu, twins, SGD, batches, SEED).unwrap();
    assert!(refused(twins, default_step).contains("`side`"));
}

#[test]
fn the_context_says_what_the_loop_will_do() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let seen = Shared::new(Vec::new());
    let options = TrainOptions::default()
        .number_of_steps(Some(4))
        .log_every_n_steps(Some(2))
        .trace_every_n_steps(Some(3))
        .train_step_fn(Some(Box::new(|step| {
            let facts = (step.should_log(), step.should_trace(), step.should_stop());
            seen.borrow_mut().push((step.global_step(), facts));
            assert_eq!(step.logdir(), Some(folder.path()));
            default_step(step)
        })));
    train(train_op(gpu, SGD), Some(folder.path()), MaskUpdateOp::none(), options).unwrap();
    let want = [
        (1, (false, true, false)),
        (2, (true, false, false)),
        (3, (false, false, false)),
        (4, (true, true, true)),
    ];
    assert_eq!(*seen.borrow(), want);
}

/// Saves, resumes and a panic between: the same bits as straight through.
#[test]
fn a_panic_is_an_error_that_costs_no_step() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let go = |name: &str, steps, panics: fn(&mut StepContext<'_>) -> Result<()>| {
        let logdir = folder.path().join(name);
        let saved = Shared::new(Vec::new());
        let options = TrainOptions::default()
            .number_of_steps(Some(steps))
            .train_step_fn(Some(Box::new(move |step| {
                for _ in 0..2 {
                    step.accumulate()?;
                }
                panics(step)?;
                step.apply().map(|()| StepReturn::default())
            })))
            .on_event(Some(Box::new(|event| {
                if let Event::Checkpoint { step, .. } = event {
                    saved.borrow_mut().push(*step);
                }
            })));
        let op = train_op(gpu, Optimizer::adam(0.01)).accumulate_gradients();
        train(op, Some(&logdir), pruning(Pruned::Revive), options)
    };
    go("straight", 12, |_| Ok(())).unwrap();
    let error = go("panicked", 12, |step| match step.global_step() {
        8 => panic!("at {}", step.global_step()),
        _ => Ok(()),
    });
    let error = error.unwrap_err();
    assert!(matches!(error, Error::Panicked { what: "train_step_fn", .. }), "{error}");
    assert!(error.to_string().contains("at 8"), "{error}");
    assert!(folder.path().join("panicked/ckpt-000000000007").exists(), "the steps before it");
    go("panicked", 12, |_| Ok(())).unwrap();
    for file in [MODEL_FILE, OPTIMIZER_FILE] {
        let of = |name: &str| {
            let path = folder.path().join(name).join("ckpt-000000000012").join(file);
            std::fs::read(path).unwrap()
        };
        assert!(of("straight") == of("panicked"), "{file}");
    }
}
