//! Plans as text: a change that should not change what is launched changes nothing here.
use secateur::gpu::PlanBuilder;
use secateur::graph::{Graph, Homes, Mode, Tensor, gradients, lower};
use secateur::kernels::{Activation, Pruned, STEP_WORDS};
use secateur::nn::Model;
use secateur::optim::Optimizer;
use secateur::prune::{Pruning, PruningSpec};

/// The plan of a run with masks.
fn plan(optimizer: Optimizer, pruned: Pruned) -> String {
    let network = Model::mlp(&[40]).network(32, &secateur::nn::Input::flat(16, 4)).unwrap();
    let spec = PruningSpec { pruned, ..Default::default() };
    let mask_update_op = Pruning::new(spec).unwrap().conditional_mask_update_op();
    secateur::train::plan(&network, &optimizer, &mask_update_op).unwrap().to_string()
}

#[test]
fn mlp_with_adam_and_zeroed_weights() {
    insta::assert_snapshot!(plan(Optimizer::adam(0.01), Pruned::Zero));
}

#[test]
fn mlp_with_sgd_and_revived_weights() {
    let sgd = Optimizer::Sgd { lr: 0.1, weight_decay: 0.0 };
    insta::assert_snapshot!(plan(sgd, Pruned::Revive));
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
    let mut homes = Homes::new(&graph, plan.persistent("step", STEP_WORDS));
    for (name, tensor) in [("features", features), ("labels", labels), ("mid", w), ("out", v)] {
        homes.set(tensor, plan.persistent(name, graph.shape(tensor).elements().unwrap()));
    }
    plan.phase("train");
    lower(&graph, &mut plan, &homes, &wanted, Mode::Train).unwrap();
    insta::assert_snapshot!(plan.to_string());
}

/// Sums of more than 30,000 terms are split: some adapters cut long loops off without an error.
#[test]
fn long_sums_are_split() {
    let mut graph = Graph::default();
    let (features, labels) = (graph.features(2, 70_000), graph.labels(2));
    let w = graph.parameter("fc.weight", [70_000, 3]).unwrap();
    let z = graph.linear(features, w, None, Activation::Relu).unwrap();
    let loss = graph.softmax_cross_entropy(z, labels).unwrap();
    let mut plan = PlanBuilder::default();
    let mut homes = Homes::new(&graph, plan.persistent("step", STEP_WORDS));
    for (name, tensor) in [("features", features), ("labels", labels), ("weight", w)] {
        homes.set(tensor, plan.persistent(name, graph.shape(tensor).elements().unwrap()));
    }
    plan.phase("forward");
    lower(&graph, &mut plan, &homes, &[loss], Mode::Train).unwrap();
    insta::assert_snapshot!(plan.to_string());
}
