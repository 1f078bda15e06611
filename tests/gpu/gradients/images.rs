//! Pooling and normalisation of images.
use secateur::graph::{Conv2dOptions, Graph, Init, Padding, PoolOptions, Tensor};
use secateur::kernels::{Activation, Pooling};
use secateur::nn::Network;

use super::{Case, classifier};

/// Images of 5 x 4 pixels and 3 channels through a convolution, `between`, and a layer. No weight
/// is masked: units without a weight would tie everywhere, and roundings choose the largest.
fn around(between: impl Fn(&mut Graph, Tensor) -> Tensor) -> Network {
    let mut graph = Graph::default();
    let (features, labels) = (graph.features(3, 60), graph.labels(3));
    let x = graph.reshape(features, [3, 5, 4, 3]).unwrap();
    let w = graph.parameter("conv.weight", [2, 2, 3, 6]).unwrap();
    let b = graph.parameter("conv.bias", [6]).unwrap();
    let x = graph.conv2d(x, w, Some(b), Activation::Identity, Conv2dOptions::default()).unwrap();
    let x = between(&mut graph, x);
    let width = graph.shape(x).elements().unwrap() / 3;
    let x = graph.reshape(x, [3, width]).unwrap();
    let w = graph.parameter("fc.weight", [width, 4]).unwrap();
    let x = graph.linear(x, w, None, Activation::Identity).unwrap();
    classifier(graph, [features, labels, x], 4)
}

#[test]
fn pooling() {
    let windows = [
        ([2, 2], [2, 2], Padding::Valid),
        ([3, 3], [2, 2], Padding::Same),
        ([3, 2], [1, 3], Padding::Same),
        ([2, 3], [3, 1], Padding::Explicit([[1, 0], [2, 1]])),
    ];
    for (i, (window, stride, padding)) in windows.into_iter().enumerate() {
        for pooling in [Pooling::Max, Pooling::Mean] {
            let options = PoolOptions { window, stride, padding };
            let network = around(|graph, x| graph.pool(x, pooling, options).unwrap());
            Case::new(network, 3, 100, i as u64).check();
        }
    }
    let network = around(|graph, x| graph.global_mean_pool(x).unwrap());
    Case::new(network, 2, 100, 9).check();
}

#[test]
fn local_response_normalisation() {
    for (radius, constants) in [(1, [1.0, 0.5, 0.75]), (4, [2.0, 0.3, 0.5])] {
        let network = around(|graph, x| graph.local_response_norm(x, radius, constants).unwrap());
        Case::new(network, 2, 200, radius.into()).check();
    }
}

#[test]
fn batch_normalisation_of_a_partial_batch() {
    let network = around(|graph, x| {
        let running = graph.statistic("norm.moments", [2, 6], Init::Constant(1.0)).unwrap();
        let x = graph.batch_normalise(x, running, 1e-3, 0.9).unwrap();
        let scale = graph.parameter("norm.scale", [6]).unwrap();
        let shift = graph.parameter("norm.shift", [6]).unwrap();
        let x = graph.mul(x, scale).unwrap();
        let x = graph.add(x, shift).unwrap();
        graph.activate(x, Activation::Gelu)
    });
    for rows in [2, 3] {
        Case::new(network.clone(), rows, 2000, rows as u64).check();
    }
}

#[test]
fn layer_and_rms_normalisation() {
    for centred in [true, false] {
        let network = around(|graph, x| {
            let x = graph.normalise(x, 1e-2, centred).unwrap();
            let scale = graph.parameter("norm.scale", [6]).unwrap();
            let x = graph.mul(x, scale).unwrap();
            graph.activate(x, Activation::Silu)
        });
        Case::new(network, 2, 2000, centred.into()).check();
    }
}

#[test]
fn dropout_drops_the_same_both_ways() {
    let network = around(|graph, x| {
        let x = graph.dropout(x, 0.5).unwrap();
        graph.dropout(x, 0.25).unwrap()
    });
    Case::new(network, 3, 100, 5).check();
}

#[test]
fn what_does_not_fit_is_named() {
    let mut graph = Graph::default();
    let features = graph.features(2, 60);
    let x = graph.reshape(features, [2, 5, 3, 4]).unwrap();
    let options = PoolOptions { window: [6, 2], stride: [2, 2], padding: Padding::Valid };
    let refused = |result: secateur::Result<Tensor>, what: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(what), "{error} lacks {what}");
    };
    refused(graph.pool(features, Pooling::Max, options), "x [2, 60] has rank 2, not 4");
    refused(graph.pool(x, Pooling::Max, options), "does not fit images of [5, 3]");
    refused(graph.global_mean_pool(features), "rank 2");
    refused(graph.local_response_norm(x, 1, [0.0, 1.0, 1.0]), "bias 0 must be above 0");
    refused(graph.normalise(x, 0.0, true), "epsilon");
    let five = graph.parameter("five", [2, 5]).unwrap();
    refused(graph.batch_normalise(x, five, 1e-3, 0.9), "running [2, 5] must be [2, 4]");
    refused(graph.mul(x, five), "x [2, 5, 3, 4] does not end in that of y [2, 5]");
    refused(graph.dropout(x, 1.0), "1 must be at least 0 and below 1");
}
