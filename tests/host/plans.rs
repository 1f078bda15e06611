//! Plans as text: a change that should not change what is launched changes nothing here.
use secateur::data::Task;
use secateur::gpu::{PlanBuilder, Precision, Target};
use secateur::graph::{Bindings, Graph, Mode, Tensor, gradients, lower};
use secateur::kernels::{Activation, Pruned, STEP_WORDS};
use secateur::nn::layers::{Embedding, Gru, Layer, Linear, Lstm};
use secateur::nn::{Input, Model};
use secateur::optim::{Clip, Multiplier, Optimizer, Training};
use secateur::prune::{MaskUpdateOp, Pruning, PruningSpec, Score};

/// The plan of a run with masks.
fn plan(training: impl Into<Training>, pruned: Pruned) -> String {
    let network = Model::mlp(&[40]).network(32, &Input::flat(16, 4)).unwrap();
    let spec = PruningSpec::default().pruned(pruned);
    let mask_update_op = Pruning::new(spec).unwrap().conditional_mask_update_op();
    secateur::session::plan(&network, training, &mask_update_op, Target::default())
        .unwrap()
        .to_string()
}

#[test]
fn mlp_with_adam_and_zeroed_weights() {
    insta::assert_snapshot!(plan(Optimizer::adam(0.01), Pruned::Zero));
}

#[test]
fn mlp_with_sgd_and_revived_weights() {
    let sgd = Optimizer::sgd(0.1);
    insta::assert_snapshot!(plan(sgd, Pruned::Revive));
}

/// Norms and clips between gradients and optimizers, averages behind them, and evaluation by those.
#[test]
fn mlp_with_clipped_gradients_and_averages() {
    let clip = Clip::default().norm(Some(1.0)).global_norm(Some(2.0));
    let multipliers = vec![Multiplier { name: "fc2.weight".into(), factor: 0.5 }];
    let rmsprop = Optimizer::named("rmsprop", 0.01).unwrap();
    let training = Training::from(rmsprop).clip(clip).multipliers(multipliers).average(Some(0.99));
    insta::assert_snapshot!(plan(training, Pruned::Revive));
}

/// Only what is asked for is launched.
#[test]
fn each_setting_launches_its_own() {
    let launches = |training: Training| {
        let plan = plan(training, Pruned::Zero);
        let count = |kernel| plan.lines().filter(|l| l.trim_start().starts_with(kernel)).count();
        ["gradient_norm", "clip_value", "clip_norm", "weight_average"].map(count)
    };
    let adam = || Training::from(Optimizer::adam(0.1));
    let clip = |clip| launches(adam().clip(clip));
    let none = Clip::default();
    // Four parameters.
    assert_eq!(launches(adam()), [0, 0, 0, 0]);
    assert_eq!(clip(none.value(Some(1.0))), [0, 4, 0, 0]);
    assert_eq!(clip(none.norm(Some(1.0))), [4, 0, 4, 0]);
    assert_eq!(clip(none.global_norm(Some(1.0))), [4, 0, 4, 0]);
    assert_eq!(
        clip(Clip::default().value(Some(1.0)).norm(Some(1.0)).global_norm(Some(1.0))),
        [8, 4, 8, 0]
    );
    assert_eq!(launches(adam().average(Some(0.9))), [0, 0, 0, 4]);
    let multiplier = |factor| {
        let multipliers = vec![Multiplier { name: "bias".into(), factor }];
        launches(adam().multipliers(multipliers))
    };
    assert_eq!(multiplier(0.5), [0, 2, 0, 0]);
    assert_eq!(multiplier(1.0), [0; 4]);
}

/// A tensor used twice gets a sum of gradients, and no product is fused with its gate.
#[test]
fn a_residual_connection() {
    let mut graph = Graph::default();
    let (features, labels) = (graph.features(8, 4), graph.labels(8));
    let w = graph.parameter("mid.weight", [4, 4]).unwrap();
    let v = graph.parameter("out.weight", [4, 3]).unwrap();
    let x = graph.linear(features, w, None, Activation::Tanh).unwrap();
    let y = graph.linear(x, w, None, Activation::Tanh).unwrap();
    let sum = graph.add(x, y).unwrap();
    let z = graph.linear(sum, v, None, Activation::Identity).unwrap();
    let loss = graph.softmax_cross_entropy(z, labels).unwrap();
    let wanted: Vec<Tensor> = gradients(&mut graph, loss).unwrap().into_iter().flatten().collect();
    let mut plan = PlanBuilder::default();
    let mut bindings = Bindings::new(&graph, plan.persistent("step", STEP_WORDS));
    for (name, tensor) in [("features", features), ("labels", labels), ("mid", w), ("out", v)] {
        bindings.set(tensor, plan.persistent(name, graph.shape(tensor).elements().unwrap()));
    }
    plan.phase("train");
    lower(&graph, &mut plan, &bindings, &wanted, Mode::Train).unwrap();
    insta::assert_snapshot!(plan.to_string());
}

/// What is called by its inputs is not called by all that came before: text of a plan would grow
/// with the square of the depth.
#[test]
fn names_do_not_grow_with_the_depth() {
    let mut graph = Graph::default();
    let mut x = graph.features(8, 4);
    let name = |graph: &Graph, x: Tensor| graph.nodes()[x.index()].name.clone();
    for at in 0..9 {
        let w = graph.parameter(format!("w{at}"), [4, 4]).unwrap();
        let y = graph.linear(x, w, None, Activation::Tanh).unwrap();
        x = graph.add(x, y).unwrap();
    }
    assert_eq!(name(&graph, x), "..+w7+w8");
}

/// Sums of more than 30,000 terms are split: some adapters cut long loops off without an error.
#[test]
fn long_sums_are_split() {
    let mut graph = Graph::default();
    let (features, labels) = (graph.features(2, 70_000), graph.labels(2));
    let w = graph.parameter("fc.weight", [70_000, 3]).unwrap();
    let z = graph.linear(features, w, None, Activation::Relu).unwrap();
    let loss = graph.softmax_cross_entropy(z, labels).unwrap();
    // On a GPU they are split side by side.
    let mut plan = PlanBuilder::new(Target { software: true, ..Target::default() });
    let mut bindings = Bindings::new(&graph, plan.persistent("step", STEP_WORDS));
    for (name, tensor) in [("features", features), ("labels", labels), ("weight", w)] {
        bindings.set(tensor, plan.persistent(name, graph.shape(tensor).elements().unwrap()));
    }
    plan.phase("forward");
    lower(&graph, &mut plan, &bindings, &[loss], Mode::Train).unwrap();
    insta::assert_snapshot!(plan.to_string());
}

/// Training leaves the states of its last place for the next batch, evaluation in slots of its own,
/// a look at the gradients nowhere.
#[test]
fn each_phase_has_its_states() {
    let input = Input { shape: vec![3], task: Task::Classification { classes: 5, positions: 3 } };
    let layers = vec![
        Embedding::new(4, false).into(),
        Lstm::new(4).into(),
        Gru::new(4).into(),
        Linear::logits().into(),
    ];
    let network = Model::Layers(layers).network(2, &input).unwrap();
    let spec = PruningSpec::default().score(Score::Saliency);
    let op = Pruning::new(spec).unwrap().conditional_mask_update_op();
    let plan = secateur::session::plan(&network, Optimizer::adam(0.1), &op, Target::default())
        .unwrap()
        .to_string();
    let states = ["lstm1.h", "lstm1.c", "gru1.h"];
    let written = |phase: &str, suffix: &str| {
        let lines = plan.lines().skip_while(|l| *l != format!("{phase}:")).skip(1);
        let phase: Vec<_> = lines.take_while(|l| l.starts_with("  ")).collect();
        assert!(!phase.is_empty());
        states.map(|s| phase.iter().any(|l| l.contains(&format!("->out={s}{suffix}@"))))
    };
    assert_eq!(written("train", ""), [true; 3]);
    assert_eq!(written("calibrate", ""), [false; 3]);
    assert_eq!(written("evaluate", ""), [false; 3]);
    assert_eq!(written("evaluate", "/evaluation"), [true; 3]);
}

/// Launches of a training step in order, and the plan's scratch, of two layers of 128 units over 64
/// places.
fn recurrent(layer: impl Fn() -> Layer, target: Target) -> (Vec<String>, u64) {
    let input = Input { shape: vec![64], task: Task::Classification { classes: 9, positions: 64 } };
    let layers = vec![Embedding::new(128, false).into(), layer(), layer(), Linear::logits().into()];
    let network = Model::Layers(layers).network(32, &input).unwrap();
    let (adam, none) = (Optimizer::adam(0.1), MaskUpdateOp::none());
    let plan = secateur::session::plan(&network, adam, &none, target).unwrap();
    let text = plan.to_string();
    let phase = text.lines().skip_while(|line| *line != "train:").skip(1);
    let lines = phase.take_while(|line| line.starts_with("  "));
    let kernel = |line: &str| line.split_whitespace().next().unwrap().to_owned();
    (lines.map(kernel).collect(), plan.memory().scratch)
}

/// What inputs add to all places is one product, and so is what all send back to them; on a GPU a
/// place is one launch in each direction.
#[test]
fn a_place_of_an_lstm_is_a_launch() {
    let (launches, scratch) = recurrent(|| Lstm::new(128).into(), Target::default());
    let count = |kernel: &str| launches.iter().filter(|name| *name == kernel).count();
    assert_eq!(count("lstm_product"), 2 * 64);
    assert_eq!(count("lstm_gradient_product"), 2 * 63);
    assert_eq!((count("lstm"), count("lstm_gradient")), (0, 2));
    assert!(launches.len() <= 306, "{}", launches.len());
    // Gradients that one launch of the optimizer reads have memory from the first of them on.
    assert!(scratch <= 21_200_000, "{scratch} B");
    let software = Target { software: true, ..Target::default() };
    let (launches, scratch) = recurrent(|| Lstm::new(128).into(), software);
    let count = |kernel: &str| launches.iter().filter(|name| *name == kernel).count();
    assert_eq!((count("lstm"), count("lstm_gradient")), (2 * 64, 2 * 64));
    assert!(count("matmul") <= 2 * (64 + 63 + 3) + 3, "{}", count("matmul"));
    assert!(scratch <= 20_200_000, "{scratch} B");
}

/// The same with one for each half of a step.
#[test]
fn half_a_place_of_a_gru_is_a_launch() {
    let (launches, scratch) = recurrent(|| Gru::new(128).into(), Target::default());
    let count = |kernel: &str| launches.iter().filter(|name| *name == kernel).count();
    assert_eq!((count("gru_reset_product"), count("gru_product")), (2 * 64, 2 * 64));
    assert_eq!(count("gru_gradient_product"), 2 * 63);
    assert_eq!(count("gru_reset_gradient_product"), 2 * 64);
    assert!(launches.len() <= 576, "{}", launches.len());
    assert!(scratch <= 22_000_000, "{scratch} B");
}

/// In mixed precision the products over all times read copies in halves: with the inputs of all
/// times, of the gradients by these, and of the gradients by the weights. A layer has four copies:
/// of its inputs, of their rows of the kernel, of the gates' gradients, and of what the kernel is
/// multiplied with. The last layer has nine columns, and its three products stay as they are.
#[test]
fn products_over_all_times_read_halves() {
    let mixed = Target { precision: Precision::Mixed, ..Target::default() };
    let of = |layer: &dyn Fn() -> Layer, target| {
        let (launches, _) = recurrent(layer, target);
        let count = |kernel: &str| launches.iter().filter(|name| *name == kernel).count();
        ["matmul", "f16_matmul", "f16_copy", "lstm_product", "gru_product"].map(count)
    };
    let lstm = || Lstm::new(128).into();
    assert_eq!(of(&lstm, Target::default()), [2 * 3 + 3, 0, 0, 2 * 64, 0]);
    assert_eq!(of(&lstm, mixed), [3, 2 * 3, 2 * 4, 2 * 64, 0]);
    // Two kernels, which share the copy of the inputs.
    let gru = || Gru::new(128).into();
    assert_eq!(of(&gru, Target::default()), [2 * 6 + 3, 0, 0, 0, 2 * 64]);
    assert_eq!(of(&gru, mixed), [3, 2 * 6, 2 * 7, 0, 2 * 64]);
}

/// So do the products of steps that have 2^26 multiply-adds, which then are no single launch with
/// their cell: a copy of each state and of each gradient, and one of the kernel's rows for all. The
/// outputs of a projection have no bound, so forward their products stay in 32 bits.
#[test]
fn large_steps_read_halves() {
    let mixed = Target { precision: Precision::Mixed, ..Target::default() };
    let of = |layer: &dyn Fn() -> Layer| {
        let (launches, _) = recurrent(layer, mixed);
        let count = |kernel: &str| launches.iter().filter(|name| *name == kernel).count();
        ["f16_matmul", "f16_copy", "lstm", "gru", "lstm_product", "gru_product"].map(count)
    };
    let over_times = 2 * 3;
    let lstm = of(&|| Lstm::new(725).into());
    assert_eq!(lstm, [over_times + 2 * (64 + 63), 2 * (5 + 64 + 63), 2 * 64, 0, 0, 0]);
    let smaller = of(&|| Lstm::new(724).into());
    assert_eq!(smaller, [over_times, 2 * 4, 0, 0, 2 * 64, 0]);
    // Both products of a step have copies of their own.
    let gru = of(&|| Gru::new(1024).into());
    let steps = 2 * (2 * 64 + 64 + 63);
    assert_eq!(gru, [2 * 6 + steps, 2 * (7 + 2) + steps, 0, 2 * 64, 0, 0]);
    let projected = of(&|| Lstm::new(1024).projection(Some(1024)).into());
    assert_eq!(projected, [2 * 4 + 2 * 63, 2 * 7 + 2 * 63, 0, 0, 2 * 64, 0]);
}

/// Blocks and vectors that are as large as a group of units, or of which enough go, make products
/// leave out terms; single weights, N:M and few zeros do not, nor what is not pruned.
#[test]
fn products_leave_out_what_is_pruned_together() {
    let launches = |spec: PruningSpec| {
        let network = Model::mlp(&[64, 64]).network(32, &Input::flat(96, 4)).unwrap();
        let op = Pruning::new(spec).unwrap().conditional_mask_update_op();
        let sgd = Optimizer::sgd(0.1);
        let plan = secateur::session::plan(&network, sgd, &op, Target::default()).unwrap();
        let plan = plan.to_string();
        let train = plan.split("train:").nth(1).unwrap().split("mask_update:").next().unwrap();
        let count = |what: &str| train.lines().filter(|line| line.contains(what)).count();
        let of = |skips: &str| {
            train.lines().filter(|l| l.contains("live_matmul") && l.contains(skips)).count()
        };
        [count("  live_inputs"), count("  live_matmul"), of("SKIPS:2"), of("SKIPS:3")]
    };
    let to = PruningSpec::to;
    let blocks = |sparsity, height, width| to(sparsity).block_height(height).block_width(width);
    // Three layers forward, two whose inputs have a gradient, and the gradients of three weights.
    assert_eq!(launches(blocks(0.9, 32, 32)), [3, 8, 2, 3]);
    assert_eq!(launches(blocks(0.9, 16, 16)), [3, 8, 2, 3]);
    // Scores read the gradients of pruned weights, in a step and in a look at a batch.
    let mut moved = blocks(0.9, 32, 32);
    moved.score = "movement".parse().unwrap();
    assert_eq!(launches(moved), [6, 10, 4, 0]);
    // A quarter of the terms: 0.5^2 of 32 units forward, 0.5^4 of 32 by 32 backward. All units of
    // the last layer, of which there are four, are in one block.
    assert_eq!(launches(blocks(0.5, 16, 16)), [3, 5, 1, 1]);
    assert_eq!(launches(blocks(0.4, 16, 16)), [1, 1, 0, 0]);
    assert_eq!(launches(blocks(0.9, 1, 64)), [3, 3, 0, 0]);
    assert_eq!(launches(blocks(0.8, 4, 4)), [1, 1, 0, 0]);
    let pattern = |sparsity, text: &str| to(sparsity).pattern(text.parse().unwrap());
    assert_eq!(launches(pattern(0.75, "8:32x32")), [3, 3, 0, 0]);
    assert_eq!(launches(pattern(0.5, "2:4")), [0; 4]);
    assert_eq!(launches(to(0.9)), [0; 4]);
}
