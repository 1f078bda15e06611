//! Plans as text: a change that should not change what is launched changes nothing here.
use secateur::gpu::PlanBuilder;
use secateur::graph::{Graph, Homes, Tensor, gradients, lower};
use secateur::kernels::{Activation, Pruned, STEP_WORDS, TOPK_STATE_WORDS, mask_words};
use secateur::nn::Model;
use secateur::optim::{Optimizer, Update};
use secateur::prune::{PrunedTensor, push_mask_update};

/// Forward, backward and update of `model` with masks, its mask update, and its evaluation.
fn plan(model: &Model, optimizer: Optimizer, pruned: Pruned) -> PlanBuilder {
    let network = model.network(32, 16, 4).unwrap();
    let mut graph = network.graph.clone();
    let wanted = gradients(&mut graph, network.loss).unwrap();
    let mut plan = PlanBuilder::default();
    let step = plan.persistent("step", STEP_WORDS);
    let mut homes = Homes::new(&graph, step);
    for (name, tensor) in [
        ("features", network.features),
        ("labels", network.labels),
        ("loss", network.loss),
        ("correct", network.correct),
    ] {
        let words = graph.shape(tensor).elements().unwrap();
        homes.set(tensor, plan.persistent(name, words));
    }
    let mut updates = Vec::new();
    let mut tensors = Vec::new();
    for parameter in graph.parameters() {
        let (name, len) = (&parameter.name, parameter.shape.elements().unwrap());
        let weights = plan.persistent(name, len);
        homes.set(parameter.tensor, weights);
        let slots: Vec<_> =
            optimizer.slots().iter().map(|s| plan.persistent(format!("{name}/{s}"), len)).collect();
        let mask =
            parameter.masked.then(|| plan.persistent(format!("{name}/mask"), mask_words(len)));
        if let Some(mask) = mask {
            if pruned != Pruned::Zero {
                homes.set_mask(parameter.tensor, mask);
            }
            let state = plan.persistent(format!("{name}/threshold"), TOPK_STATE_WORDS);
            let slots = slots.clone();
            tensors.push(PrunedTensor { name: name.clone(), weights, mask, state, slots, len });
        }
        updates.push((weights, mask, slots, len));
    }
    plan.phase("train");
    let outputs: Vec<Tensor> =
        [network.loss, network.correct].into_iter().chain(wanted.into_iter().flatten()).collect();
    let slots = lower(&graph, &mut plan, &homes, &outputs).unwrap();
    for (gradient, (weights, mask, slots, len)) in slots.into_iter().skip(2).zip(updates) {
        let mask = mask.map(|m| (m, pruned));
        let update = Update { weights, gradient, mask, slots, step, len, decays: mask.is_some() };
        optimizer.push(&mut plan, &update).unwrap();
    }
    let counts = plan.persistent("prune.counts", tensors.len() as u32);
    plan.phase("mask_update");
    push_mask_update(&mut plan, counts, &tensors, pruned).unwrap();
    plan.phase("evaluate");
    lower(&graph, &mut plan, &homes, &[network.loss, network.correct]).unwrap();
    plan
}

#[test]
fn mlp_with_adam_and_zeroed_weights() {
    let plan = plan(&Model::mlp(&[40]), Optimizer::adam(0.01), Pruned::Zero);
    insta::assert_snapshot!(plan.to_string());
}

#[test]
fn mlp_with_sgd_and_revived_weights() {
    let sgd = Optimizer::Sgd { lr: 0.1, weight_decay: 0.0 };
    let plan = plan(&Model::mlp(&[40]), sgd, Pruned::Revive);
    insta::assert_snapshot!(plan.to_string());
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
    lower(&graph, &mut plan, &homes, &wanted).unwrap();
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
    lower(&graph, &mut plan, &homes, &[loss]).unwrap();
    insta::assert_snapshot!(plan.to_string());
}
