//! Embeddings and attention.
use secateur::data::Task;
use secateur::graph::{Graph, Tensor};
use secateur::kernels::Activation;
use secateur::nn::Ends;
use secateur::nn::Metric;
use secateur::nn::Network;

use super::Case;

const BATCH: u32 = 3;
const VOCABULARY: u32 = 7;

/// Tokens of `positions` positions through an embedding with positions, `between`, and a layer; a
/// label for each.
fn around(
    positions: u32,
    width: u32,
    smoothing: f32,
    between: impl Fn(&mut Graph, Tensor) -> Tensor,
) -> Network {
    let mut graph = Graph::default();
    let (features, labels) =
        (graph.features(BATCH, positions), graph.position_labels(BATCH, positions));
    let table = graph.parameter("embed.weight", [VOCABULARY, width]).unwrap();
    let table = graph.apply_mask(table).unwrap();
    let x = graph.embedding(features, table).unwrap();
    let learned = graph.parameter("position.weight", [positions, width]).unwrap();
    let x = graph.add(x, learned).unwrap();
    let x = between(&mut graph, x);
    let width = *graph.shape(x).dims().last().unwrap();
    let w = graph.parameter("head.weight", [width, VOCABULARY]).unwrap();
    let logits = graph.linear(x, w, None, Activation::Identity).unwrap();
    let loss = graph.smoothed_cross_entropy(logits, labels, smoothing).unwrap();
    let correct = graph.correct(logits, labels).unwrap();
    let task = Task::Classification { classes: VOCABULARY, positions: positions as usize };
    let ends = Ends { features, answers: labels, output: logits, loss };
    Network::new("test", graph, task, ends).with_metric(Metric::Accuracy, correct)
}

#[test]
fn embeddings_of_a_partial_batch() {
    let network = around(9, 5, 0.0, |_, x| x);
    Case::new(network, 2, 60, 1).tokens(VOCABULARY).check();
}

#[test]
fn smoothed_labels() {
    let network = around(4, 5, 0.1, |_, x| x);
    Case::new(network, 3, 60, 2).tokens(VOCABULARY).check();
}

#[test]
fn attention() {
    for (i, (positions, width, heads, causal)) in
        [(1, 4, 1, true), (6, 8, 2, true), (5, 6, 3, false), (67, 4, 1, true)]
            .into_iter()
            .enumerate()
    {
        let network = around(positions, width, 0.0, |graph, x| {
            let w = graph.parameter("qkv.weight", [width, 3 * width]).unwrap();
            let w = graph.apply_mask(w).unwrap();
            let b = graph.parameter("qkv.bias", [3 * width]).unwrap();
            let qkv = graph.linear(x, w, Some(b), Activation::Identity).unwrap();
            let y = graph.attention(qkv, heads, causal).unwrap();
            let y = graph.activate(y, Activation::Sigmoid);
            graph.add(x, y).unwrap()
        });
        let case = Case::new(network, 3, 500, i as u64).tokens(VOCABULARY);
        // Differences of every parameter take their time.
        if positions < 60 {
            case.check_differences();
        }
        case.check_device();
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let mut graph = Graph::default();
    let features = graph.features(2, 12);
    let refused = |result: secateur::Result<Tensor>, what: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(what), "{error} lacks {what}");
    };
    let table = graph.parameter("table", [3]).unwrap();
    refused(graph.embedding(features, table), "table [3] needs rank 2");
    refused(graph.attention(features, 1, true), "x [2, 12] has rank 2, not 3");
    let x = graph.reshape(features, [2, 1, 12]).unwrap();
    refused(graph.attention(x, 5, true), "12 channels are no multiple of 3 * 5 heads");
    let labels = graph.position_labels(2, 3);
    refused(graph.softmax_cross_entropy(x, labels), "logits [2, 1, 12] and labels [2, 3]");
    refused(graph.smoothed_cross_entropy(x, labels, 1.5), "1.5 must be in 0 to 1");
}
