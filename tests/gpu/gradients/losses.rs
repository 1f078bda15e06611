//! Losses against targets, and softmax.
use secateur::data::Task;
use secateur::gpu::PlanBuilder;
use secateur::graph::{Bindings, Graph, Mode, Tensor, gradients, lower};
use secateur::kernels::{Activation, STEP_WORDS};
use secateur::nn::Ends;
use secateur::nn::Network;

use super::{Case, classifier};

const BATCH: u32 = 5;

/// Three layers, to the width of the `wide` targets or back to that of the features; `loss` is
/// given the result and its targets.
fn network(
    wide: Option<u32>,
    loss: impl Fn(&mut Graph, Tensor, Tensor) -> secateur::Result<Tensor>,
) -> Network {
    let mut graph = Graph::default();
    let features = graph.features(BATCH, 6);
    let labels = match wide {
        Some(width) => graph.targets(BATCH, width),
        None => graph.labels(BATCH),
    };
    let targets = if wide.is_some() { labels } else { features };
    let width = wide.unwrap_or(6);
    let mut x = features;
    for (i, (rows, columns)) in [(6, 4), (4, 5), (5, width)].into_iter().enumerate() {
        let w = graph.parameter(format!("fc{i}.weight"), [rows, columns]).unwrap();
        let w = if i == 1 { graph.apply_mask(w).unwrap() } else { w };
        let b = graph.parameter(format!("fc{i}.bias"), [columns]).unwrap();
        let activation = if i == 2 { Activation::Identity } else { Activation::Tanh };
        x = graph.linear(x, w, Some(b), activation).unwrap();
    }
    let loss = loss(&mut graph, x, targets).unwrap();
    let task = match wide {
        Some(width) => Task::Regression { outputs: width as usize },
        None => Task::classification(2),
    };
    Network::new("test", graph, task, Ends { features, answers: labels, output: x, loss })
}

#[test]
fn an_autoencoder_of_its_features() {
    for rows in [3, BATCH as usize] {
        let network = network(None, Graph::mean_squared_error);
        Case::new(network, rows, 60, rows as u64).check();
    }
}

/// Rows of more than one axis, and wider than a workgroup.
#[test]
fn squared_errors_of_targets() {
    for (i, width) in [6, 130].into_iter().enumerate() {
        let network = network(Some(width), |graph, x, targets| {
            let [x, targets] = [x, targets].map(|t| graph.reshape(t, [BATCH, 2, width / 2]));
            graph.mean_squared_error(x?, targets?)
        });
        Case::new(network, 4, 100, i as u64).targets().check();
    }
}

#[test]
fn sigmoid_cross_entropy_of_several_labels() {
    for (i, width) in [1, 7, 70].into_iter().enumerate() {
        let network = network(Some(width), Graph::sigmoid_cross_entropy);
        Case::new(network, 3, 60, i as u64).targets().check();
    }
}

/// Targets that are computed stand still.
#[test]
fn no_gradient_goes_through_targets() {
    for loss in [Graph::mean_squared_error, Graph::sigmoid_cross_entropy] {
        let mut graph = Graph::default();
        let features = graph.features(2, 3);
        let layer = |graph: &mut Graph, name: &str| {
            let w = graph.parameter(name, [3, 4]).unwrap();
            graph.linear(features, w, None, Activation::Sigmoid).unwrap()
        };
        let [x, targets] = ["student.weight", "teacher.weight"].map(|n| layer(&mut graph, n));
        let loss = loss(&mut graph, x, targets).unwrap();
        let moved: Vec<bool> =
            gradients(&mut graph, loss).unwrap().iter().map(Option::is_some).collect();
        assert_eq!(moved, [true, false]);
    }
}

/// As what is predicted, and inside of a network, of rank 3.
#[test]
fn softmax_of_rows() {
    let network = network(Some(9), |graph, x, targets| {
        let shares = graph.softmax(x)?;
        graph.mean_squared_error(shares, targets)
    });
    Case::new(network, 4, 200, 1).targets().check();

    let mut graph = Graph::default();
    let (features, labels) = (graph.features(4, 6), graph.labels(4));
    let w = graph.parameter("in.weight", [6, 12]).unwrap();
    let x = graph.linear(features, w, None, Activation::Identity).unwrap();
    let x = graph.reshape(x, [4, 3, 4]).unwrap();
    let x = graph.softmax(x).unwrap();
    let x = graph.reshape(x, [4, 12]).unwrap();
    let w = graph.parameter("out.weight", [12, 3]).unwrap();
    let x = graph.linear(x, w, None, Activation::Identity).unwrap();
    Case::new(classifier(graph, [features, labels, x], 3), 3, 200, 2).check();
}

#[test]
fn what_does_not_fit_is_named() {
    let mut graph = Graph::default();
    let (features, targets) = (graph.features(2, 12), graph.targets(2, 6));
    let refused = |result: secateur::Result<Tensor>, op: &str, what: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(op) && error.contains(what), "{error} lacks {op} or {what}");
    };
    let differ = "[2, 12] and targets [2, 6] differ";
    refused(graph.mean_squared_error(features, targets), "squared_error", differ);
    refused(graph.sigmoid_cross_entropy(features, targets), "sigmoid_cross_entropy", differ);
    let x = graph.reshape(features, [2, 3, 4]).unwrap();
    let rank = "logits [2, 3, 4] have rank 3, not 2";
    refused(graph.sigmoid_cross_entropy(x, x), "sigmoid_cross_entropy", rank);
    let none = graph.parameter("none", []).unwrap();
    refused(graph.mean_squared_error(none, none), "squared_error", "predictions [] have no axes");
    refused(graph.softmax(none), "softmax", "x [] has no axes");
    // The words of one would be taken for the other.
    let labels = graph.position_labels(2, 12);
    let classes = "targets [2, 12] are class numbers";
    refused(graph.mean_squared_error(features, labels), "squared_error", classes);
    refused(graph.sigmoid_cross_entropy(features, labels), "sigmoid_cross_entropy", classes);
    let logits = graph.reshape(features, [2, 6, 2]).unwrap();
    let f32s = "labels [2, 6] are f32 targets";
    refused(graph.softmax_cross_entropy(logits, targets), "softmax_cross_entropy", f32s);
    refused(graph.correct(logits, targets), "correct", f32s);
}

/// A row that one workgroup cannot sum inside the limit of iterations.
#[test]
fn rows_that_are_too_long_are_named() {
    type Layer = fn(&mut Graph, Tensor) -> secateur::Result<Tensor>;
    let layers: [(Layer, u32, &str); 3] = [
        (|graph, x| graph.mean_squared_error(x, x), 1_919_617, "must be 1 to 1919616"),
        (|graph, x| graph.sigmoid_cross_entropy(x, x), 1_919_617, "must be 1 to 1919616"),
        (|graph, x| graph.softmax(x), 639_745, "must be 1 to 639744"),
    ];
    for (layer, width, most) in layers {
        for (width, fits) in [(width - 1, true), (width, false)] {
            let mut graph = Graph::default();
            let x = graph.features(1, width);
            let y = layer(&mut graph, x).unwrap();
            let mut plan = PlanBuilder::default();
            let mut bindings = Bindings::new(&graph, plan.persistent("step", STEP_WORDS));
            bindings.set(x, plan.persistent("features", width));
            plan.phase("test");
            match lower(&graph, &mut plan, &bindings, &[y], Mode::Train) {
                Ok(_) => assert!(fits, "{width}"),
                Err(e) => assert!(
                    !fits
                        && e.to_string().contains(&format!("{width} "))
                        && e.to_string().contains(most),
                    "{e}"
                ),
            }
        }
    }
}
