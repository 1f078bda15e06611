//! LSTM and GRU.
use secateur::data::Task;
use secateur::gpu::{Precision, Target};
use secateur::graph::{Graph, GruWeights, LstmOptions, LstmWeights, Tensor};
use secateur::kernels::{Activation, Step};
use secateur::nn::Ends;
use secateur::nn::Metric;
use secateur::nn::Network;

use super::Case;
use crate::common::{gpu_targets, mixed_gpu};

const BATCH: u32 = 3;
const VOCABULARY: u32 = 7;
const WIDTH: u32 = 4;

/// Tokens of `positions` positions through an embedding, `between`, and a layer; a label for each.
fn around(positions: u32, between: impl Fn(&mut Graph, Tensor) -> Tensor) -> Network {
    around_of([BATCH, VOCABULARY, WIDTH], positions, between)
}

/// The same of other sizes.
fn around_of(
    [batch, vocabulary, width]: [u32; 3],
    positions: u32,
    between: impl Fn(&mut Graph, Tensor) -> Tensor,
) -> Network {
    let mut graph = Graph::default();
    let (features, labels) =
        (graph.features(batch, positions), graph.position_labels(batch, positions));
    let table = graph.parameter("embed.weight", [vocabulary, width]).unwrap();
    let x = graph.embedding(features, table).unwrap();
    let x = between(&mut graph, x);
    let width = *graph.shape(x).dims().last().unwrap();
    let w = graph.parameter("head.weight", [width, vocabulary]).unwrap();
    let logits = graph.linear(x, w, None, Activation::Identity).unwrap();
    let loss = graph.softmax_cross_entropy(logits, labels).unwrap();
    let correct = graph.correct(logits, labels).unwrap();
    let task = Task::Classification { classes: vocabulary, positions: positions as usize };
    let ends = Ends { features, answers: labels, output: logits, loss };
    Network::new("test", graph, task, ends).with_metric(Metric::Accuracy, correct)
}

/// Units, whether with peepholes, outputs of a projection, and constants.
type Variant = (u32, bool, Option<u32>, LstmOptions);

fn lstm(graph: &mut Graph, x: Tensor, name: &str, variant: Variant) -> Tensor {
    let (units, peepholes, projection, options) = variant;
    let &[batch, _, width] = graph.shape(x).dims() else { panic!("no sequence") };
    let outputs = projection.unwrap_or(units);
    let kernel = graph.parameter(format!("{name}.weight"), [width + outputs, 4 * units]).unwrap();
    let kernel = graph.apply_mask(kernel).unwrap();
    let weights = LstmWeights {
        kernel,
        bias: graph.parameter(format!("{name}.bias"), [4 * units]).unwrap(),
        peepholes: peepholes
            .then(|| graph.parameter(format!("{name}.peepholes"), [3, units]).unwrap()),
        projection: projection.map(|outputs| {
            let p = graph.parameter(format!("{name}.projection"), [units, outputs]).unwrap();
            graph.apply_mask(p).unwrap()
        }),
        outputs: graph.carried(format!("{name}.h"), [batch, outputs]).unwrap(),
        cells: graph.carried(format!("{name}.c"), [batch, units]).unwrap(),
    };
    graph.lstm(x, weights, options).unwrap()
}

fn gru(graph: &mut Graph, x: Tensor, name: &str, units: u32) -> Tensor {
    let &[batch, _, width] = graph.shape(x).dims() else { panic!("no sequence") };
    let mut weight = |part: &str, columns| {
        let w = graph.parameter(format!("{name}.{part}.weight"), [width + units, columns]).unwrap();
        let w = graph.apply_mask(w).unwrap();
        (w, graph.parameter(format!("{name}.{part}.bias"), [columns]).unwrap())
    };
    let (gates, gates_bias) = weight("gates", 2 * units);
    let (candidate, candidate_bias) = weight("candidate", units);
    let state = graph.carried(format!("{name}.h"), [batch, units]).unwrap();
    let weights = GruWeights { gates, gates_bias, candidate, candidate_bias, state };
    graph.gru(x, weights).unwrap()
}

/// Whole batches and partial ones, from zeros and from a state.
fn check(network: Network, terms: usize, seed: u64, differences: bool) {
    for (rows, follows) in [(3, 0), (2, 1)] {
        let case = Case::new(network.clone(), rows, terms, seed).tokens(VOCABULARY);
        let case = Case { step: Step { follows, ..case.step }, ..case };
        if differences {
            case.check_differences();
        }
        case.check_device();
        // Where a step takes one launch.
        if follows == 1 {
            case.check_as_a_gpu();
        }
    }
}

#[test]
fn lstm_as_upstreams_cells() {
    let plain = LstmOptions::default();
    // Clips that some cells and outputs meet, and others do not.
    let clipped = LstmOptions { cell_clip: Some(0.3), projection_clip: Some(0.2), ..plain };
    let variants: [Variant; 6] = [
        (5, false, None, plain),
        (1, true, None, LstmOptions { forget_bias: 0.0, ..plain }),
        (5, true, None, plain),
        (7, false, Some(3), plain),
        (3, true, Some(6), clipped),
        (4, false, None, clipped),
    ];
    for (i, variant) in variants.into_iter().enumerate() {
        for positions in [1, 4] {
            let network = around(positions, |graph, x| lstm(graph, x, "lstm1", variant));
            check(network, 100, i as u64, true);
        }
    }
}

#[test]
fn two_layers_of_lstm() {
    let network = around(5, |graph, x| {
        let x = lstm(graph, x, "lstm1", (5, false, None, LstmOptions::default()));
        lstm(graph, x, "lstm2", (4, true, Some(3), LstmOptions::default()))
    });
    check(network, 200, 9, true);
}

#[test]
fn gru_as_upstreams_cell() {
    for (i, units) in [1, 5, 6].into_iter().enumerate() {
        for positions in [1, 4] {
            let network = around(positions, |graph, x| gru(graph, x, "gru1", units));
            check(network, 100, i as u64, true);
        }
    }
    let network = around(5, |graph, x| {
        let x = gru(graph, x, "gru1", 5);
        gru(graph, x, "gru2", 4)
    });
    check(network, 200, 9, true);
}

/// Sizes past a workgroup and a tile.
#[test]
fn wide_layers() {
    let network = around(3, |graph, x| {
        let x = lstm(graph, x, "lstm1", (90, true, Some(70), LstmOptions::default()));
        gru(graph, x, "gru1", 91)
    });
    check(network, 5000, 3, false);
}

/// Products over all times read halves: two roundings of 2^-10 each, of which eight lie on the
/// longest way: with the layer's inputs and in the last layer, and in both of their gradients. In a
/// sum of terms of any sign they add up as the terms themselves do, so the bound holds for norms.
#[test]
fn products_over_halves_are_near_in_norm() {
    let Some(gpu) = mixed_gpu() else { return };
    let plain = LstmOptions::default();
    let clipped = LstmOptions { cell_clip: Some(0.8), projection_clip: Some(0.9), ..plain };
    let of = |variant| around_of([8, 17, 20], 3, |graph, x| lstm(graph, x, "lstm1", variant));
    let networks = [
        of((18, false, None, plain)),
        of((33, true, Some(17), clipped)),
        around_of([8, 17, 20], 3, |graph, x| gru(graph, x, "gru1", 19)),
    ];
    let norm = |values: &[f64]| values.iter().map(|x| x * x).sum::<f64>().sqrt();
    for (i, network) in networks.into_iter().enumerate() {
        let case = Case::new(network, 8, 100, i as u64).tokens(17);
        let exact = case.by_graph(None);
        let as_a_gpu = Target { precision: Precision::Mixed, ..gpu_targets(gpu)[0] };
        for target in [gpu.target(), as_a_gpu] {
            let got = case.by_device_for(gpu, target);
            for (p, (got, want)) in got.iter().zip(&exact).enumerate() {
                let error = got.iter().zip(want).map(|(&g, w)| f64::from(g) - w);
                let error = norm(&error.collect::<Vec<_>>()) / norm(want);
                assert!(error < 8.0 / 1024.0, "{i}, tensor {p}: {error}");
                // The loss, one number, may happen to be right.
                assert!(p == 0 || error > 1e-6, "{i}, tensor {p} is of no halves: {error}");
            }
        }
    }
}

/// Steps of 2^27 multiply-adds read halves as well: two products more are on the longest way of two
/// places. What is compared is the device in 32 bits. Weights are small enough for gates that are
/// not all shut or open.
#[test]
fn large_steps_over_halves_are_near_in_norm() {
    let Some(gpu) = mixed_gpu() else { return };
    let plain = (263, false, None, LstmOptions::default());
    let networks = [
        around_of([500, 17, 20], 2, |graph, x| lstm(graph, x, "lstm1", plain)),
        around_of([490, 17, 20], 2, |graph, x| gru(graph, x, "gru1", 375)),
    ];
    let norm = |values: &[f64]| values.iter().map(|x| x * x).sum::<f64>().sqrt();
    for (i, network) in networks.into_iter().enumerate() {
        let rows = network.batch() as usize;
        let mut case = Case::new(network, rows, 400, i as u64).tokens(17);
        case.step.follows = 1;
        let layer = ["lstm1", "gru1"][i];
        for (p, values) in case.parameters.iter_mut().enumerate() {
            let parameter = &case.network.graph.parameters()[p];
            if parameter.name.starts_with(layer) {
                values.iter_mut().for_each(|value| *value *= 0.2);
            }
        }
        let as_a_gpu = gpu_targets(gpu)[0];
        for target in [gpu.target(), Target { precision: Precision::Mixed, ..as_a_gpu }] {
            let full = case.by_device_for(gpu, Target { precision: Precision::F32, ..target });
            let half = case.by_device_for(gpu, target);
            for (p, (half, full)) in half.iter().zip(&full).enumerate() {
                let full: Vec<f64> = full.iter().map(|&x| x.into()).collect();
                let error = half.iter().zip(&full).map(|(&g, w)| f64::from(g) - w);
                let error = norm(&error.collect::<Vec<_>>()) / norm(&full);
                assert!(error < 12.0 / 1024.0, "{i}, tensor {p}: {error}");
                assert!(p == 0 || error > 1e-6, "{i}, tensor {p} is of no halves: {error}");
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let mut graph = Graph::default();
    let features = graph.features(BATCH, 8);
    let x = graph.reshape(features, [BATCH, 2, 4]).unwrap();
    let weights = LstmWeights {
        kernel: graph.parameter("lstm.weight", [9, 20]).unwrap(),
        bias: graph.parameter("lstm.bias", [20]).unwrap(),
        peepholes: None,
        projection: None,
        outputs: graph.carried("h", [BATCH, 5]).unwrap(),
        cells: graph.carried("c", [BATCH, 5]).unwrap(),
    };
    let plain = LstmOptions::default();
    assert!(graph.lstm(x, weights, plain).is_ok());
    let other = graph.parameter("other", [7, 3]).unwrap();
    let mut refused = |weights: LstmWeights, options, what: &str| {
        let error = graph.lstm(x, weights, options).unwrap_err().to_string();
        assert!(error.contains(what), "{error} lacks {what}");
    };
    refused(LstmWeights { kernel: other, ..weights }, plain, "needs 4 columns a unit");
    refused(LstmWeights { bias: other, ..weights }, plain, "bias [7, 3] must be [20]");
    refused(LstmWeights { cells: other, ..weights }, plain, "cells [7, 3] must be [3, 5]");
    let peepholes = Some(other);
    refused(LstmWeights { peepholes, ..weights }, plain, "peepholes [7, 3] must be [3, 5]");
    let projection = Some(other);
    refused(LstmWeights { projection, ..weights }, plain, "kernel [9, 20] must be [7, 20]");
    let clip = LstmOptions { cell_clip: Some(0.0), ..plain };
    refused(weights, clip, "`cell_clip`: 0 must be above 0");
    let error = graph.lstm(features, weights, plain).unwrap_err().to_string();
    assert!(error.contains("x [3, 8] has rank 2, not 3"), "{error}");
}
