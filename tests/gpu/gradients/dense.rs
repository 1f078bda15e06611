//! Layers of matrices.
use secateur::data::Task;
use secateur::graph::Graph;
use secateur::kernels::Activation;
use secateur::nn::Ends;
use secateur::nn::Metric;
use secateur::nn::Network;

use super::{Case, classifier};
use crate::common::mixed_gpu;

fn layers(activation: Activation, batch: u32, widths: &[u32], masked: bool) -> Network {
    let mut graph = Graph::default();
    let (features, labels) = (graph.features(batch, widths[0]), graph.labels(batch));
    let mut x = features;
    for (i, pair) in widths.windows(2).enumerate() {
        let mut w = graph.parameter(format!("fc{i}.weight"), [pair[0], pair[1]]).unwrap();
        if masked {
            w = graph.apply_mask(w).unwrap();
        }
        let b = graph.parameter(format!("fc{i}.bias"), [pair[1]]).unwrap();
        let last = i + 2 == widths.len();
        let activation = if last { Activation::Identity } else { activation };
        x = graph.linear(x, w, Some(b), activation).unwrap();
    }
    let classes = widths[widths.len() - 1];
    classifier(graph, [features, labels, x], classes)
}

#[test]
fn tanh_layers() {
    Case::new(layers(Activation::Tanh, 5, &[7, 11, 6, 3], false), 5, 66, 1).check();
}

#[test]
fn relu_layers_with_a_partial_batch() {
    Case::new(layers(Activation::Relu, 9, &[5, 33, 4], false), 6, 99, 2).check();
}

#[test]
fn masked_layers() {
    Case::new(layers(Activation::Tanh, 4, &[9, 10, 5], true), 4, 40, 3).check();
}

#[test]
fn log_loss_of_one_logit() {
    let mut graph = Graph::default();
    let (features, labels) = (graph.features(8, 4), graph.labels(8));
    let w = graph.parameter("fc.weight", [4, 1]).unwrap();
    let b = graph.parameter("fc.bias", [1]).unwrap();
    let z = graph.linear(features, w, Some(b), Activation::Identity).unwrap();
    let loss = graph.log_loss(z, labels, 1e-7).unwrap();
    let correct = graph.correct(z, labels).unwrap();
    let ends = Ends { features, answers: labels, output: z, loss };
    let network = Network::new("test", graph, Task::classification(2), ends);
    let network = network.with_metric(Metric::Accuracy, correct);
    Case::new(network, 8, 32, 4).check();
}

/// A tensor that is used twice: its gradient is a sum, and its gate cannot be fused.
#[test]
fn a_residual_connection() {
    let mut graph = Graph::default();
    let (features, labels) = (graph.features(6, 5), graph.labels(6));
    let w0 = graph.parameter("in.weight", [5, 8]).unwrap();
    let w1 = graph.parameter("mid.weight", [8, 8]).unwrap();
    let w2 = graph.parameter("out.weight", [8, 3]).unwrap();
    let x = graph.linear(features, w0, None, Activation::Tanh).unwrap();
    let y = graph.linear(x, w1, None, Activation::Tanh).unwrap();
    let sum = graph.add(x, y).unwrap();
    let z = graph.linear(sum, w2, None, Activation::Identity).unwrap();
    let network = classifier(graph, [features, labels, z], 3);
    Case::new(network, 6, 48, 5).check();
}

/// All products read halves: two roundings of 2^-10 each, of which six lie on the longest way,
/// three forward and three back. In a sum of terms of any sign they add up as the terms themselves
/// do, so the bound holds for norms.
#[test]
fn products_over_halves_are_near_in_norm() {
    let Some(gpu) = mixed_gpu() else { return };
    for masked in [false, true] {
        let case = Case::new(layers(Activation::Tanh, 20, &[40, 33, 48, 17], masked), 20, 48, 6);
        let norm = |values: &[f64]| values.iter().map(|x| x * x).sum::<f64>().sqrt();
        let got = case.by_device_of(gpu);
        for (p, (got, want)) in got.iter().zip(case.by_graph(None)).enumerate() {
            let error: Vec<f64> = got.iter().zip(&want).map(|(&g, w)| f64::from(g) - w).collect();
            let error = norm(&error) / norm(&want);
            assert!(error < 12.0 / 1024.0, "tensor {p}: {error}");
            // The loss, one number, may happen to be right.
            assert!(p == 0 || error > 1e-6, "tensor {p} is no product of halves: {error}");
        }
    }
}

/// One weight in three layers, one of them beside a connection that skips it: sums of products,
/// made in one slot.
#[test]
fn a_weight_used_three_times() {
    for (rows, masked, seed) in [(7, false, 6), (5, true, 7)] {
        let mut graph = Graph::default();
        let (features, labels) = (graph.features(7, 9), graph.labels(7));
        let w = graph.parameter("all.weight", [9, 9]).unwrap();
        let w = if masked { graph.apply_mask(w).unwrap() } else { w };
        let out = graph.parameter("out.weight", [9, 3]).unwrap();
        let x = graph.linear(features, w, None, Activation::Tanh).unwrap();
        let y = graph.linear(x, w, None, Activation::Tanh).unwrap();
        let sum = graph.add(x, y).unwrap();
        let z = graph.linear(sum, w, None, Activation::Identity).unwrap();
        let z = graph.linear(z, out, None, Activation::Identity).unwrap();
        let network = classifier(graph, [features, labels, z], 3);
        Case::new(network, rows, 150, seed).check();
    }
}
