//! Convolutions of every kind.
use secateur::graph::{Conv2dOptions, Graph, Padding};
use secateur::kernels::Activation;
use secateur::nn::Network;

use super::{Case, classifier};
use crate::common::mixed_gpu;

/// Two convolutions and a layer behind them, of images of 4 x 3 pixels and 2 channels.
fn convolutions(first: Conv2dOptions, second: Conv2dOptions, masked: bool) -> Network {
    let mut graph = Graph::default();
    let (features, labels) = (graph.features(3, 24), graph.labels(3));
    let mut x = graph.reshape(features, [3, 4, 3, 2]).unwrap();
    for (i, (options, kernel)) in [(first, [3, 2]), (second, [1, 2])].into_iter().enumerate() {
        let channels = *graph.shape(x).dims().last().unwrap() / options.groups;
        let shape = [kernel[0], kernel[1], channels, 4];
        let mut w = graph.parameter(format!("conv{i}.weight"), shape).unwrap();
        if masked {
            w = graph.apply_mask(w).unwrap();
        }
        let b = graph.parameter(format!("conv{i}.bias"), [4]).unwrap();
        x = graph.conv2d(x, w, Some(b), Activation::Tanh, options).unwrap();
    }
    let width = graph.shape(x).elements().unwrap() / 3;
    let x = graph.reshape(x, [3, width]).unwrap();
    let w = graph.parameter("fc.weight", [width, 3]).unwrap();
    let x = graph.linear(x, w, None, Activation::Identity).unwrap();
    classifier(graph, [features, labels, x], 3)
}

#[test]
fn convolutions_of_every_kind() {
    let plain = Conv2dOptions::default();
    let valid = Conv2dOptions { padding: Padding::Valid, ..plain };
    let strided = Conv2dOptions { stride: [2, 1], ..plain };
    let dilated = Conv2dOptions { dilation: [1, 2], ..plain };
    let grouped = Conv2dOptions { groups: 2, ..plain };
    let depthwise = Conv2dOptions { groups: 4, stride: [1, 2], ..plain };
    let explicit = Conv2dOptions { padding: Padding::Explicit([[0, 2], [1, 0]]), ..plain };
    for (i, (first, second, masked)) in [
        (plain, valid, false),
        (strided, grouped, true),
        (dilated, depthwise, false),
        (explicit, strided, true),
    ]
    .into_iter()
    .enumerate()
    {
        Case::new(convolutions(first, second, masked), 3, 60, i as u64).check();
    }
}

/// Along one axis, and the same as a convolution of one row.
#[test]
fn convolution_of_rank_1() {
    let mut graph = Graph::default();
    let (features, labels) = (graph.features(3, 22), graph.labels(3));
    let x = graph.reshape(features, [3, 11, 2]).unwrap();
    let w = graph.parameter("conv.weight", [3, 2, 4]).unwrap();
    let w = graph.apply_mask(w).unwrap();
    let options = Conv2dOptions { stride: [9, 2], dilation: [9, 2], ..Default::default() };
    let x = graph.conv1d(x, w, None, Activation::Tanh, options).unwrap();
    assert_eq!(graph.shape(x).dims(), [3, 6, 4]);
    let x = graph.reshape(x, [3, 24]).unwrap();
    let w = graph.parameter("fc.weight", [24, 3]).unwrap();
    let x = graph.linear(x, w, None, Activation::Identity).unwrap();
    let network = classifier(graph, [features, labels, x], 3);
    Case::new(network, 3, 100, 9).check();
}

/// Two convolutions of 16, 20 and 17 channels, whose products read halves, and a layer of three
/// outputs, which does not.
fn wide_convolutions(first: Conv2dOptions, masked: bool) -> Network {
    let mut graph = Graph::default();
    let (features, labels) = (graph.features(3, 12 * 16), graph.labels(3));
    let mut x = graph.reshape(features, [3, 4, 3, 16]).unwrap();
    for (i, (options, kernel, channels, outputs)) in
        [(first, [3, 2], 16, 20), (Conv2dOptions::default(), [1, 2], 20, 17)]
            .into_iter()
            .enumerate()
    {
        let shape = [kernel[0], kernel[1], channels, outputs];
        let mut w = graph.parameter(format!("conv{i}.weight"), shape).unwrap();
        if masked {
            w = graph.apply_mask(w).unwrap();
        }
        let b = graph.parameter(format!("conv{i}.bias"), [outputs]).unwrap();
        x = graph.conv2d(x, w, Some(b), Activation::Tanh, options).unwrap();
    }
    let width = graph.shape(x).elements().unwrap() / 3;
    let x = graph.reshape(x, [3, width]).unwrap();
    let w = graph.parameter("fc.weight", [width, 3]).unwrap();
    let x = graph.linear(x, w, None, Activation::Identity).unwrap();
    classifier(graph, [features, labels, x], 3)
}

/// As `dense::products_over_halves_are_near_in_norm`: two roundings of 2^-10 for each of four
/// products, of which two are forward and two back on the longest way.
#[test]
fn convolutions_over_halves_are_near_in_norm() {
    let Some(gpu) = mixed_gpu() else { return };
    let plain = Conv2dOptions::default();
    let strided = Conv2dOptions { stride: [2, 1], ..plain };
    for (options, masked) in [(plain, true), (strided, false)] {
        let case = Case::new(wide_convolutions(options, masked), 3, 120, 6);
        let norm = |values: &[f64]| values.iter().map(|x| x * x).sum::<f64>().sqrt();
        let got = case.by_device_of(gpu);
        for (p, (got, want)) in got.iter().zip(case.by_graph(None)).enumerate() {
            let error: Vec<f64> = got.iter().zip(&want).map(|(&g, w)| f64::from(g) - w).collect();
            let error = norm(&error) / norm(&want);
            assert!(error < 8.0 / 1024.0, "tensor {p}: {error}");
            // The loss, one number, may happen to be right.
            assert!(p == 0 || error > 1e-6, "tensor {p} is no product of halves: {error}");
        }
    }
}

#[test]
fn convolutions_name_what_does_not_fit() {
    let mut graph = Graph::default();
    let features = graph.features(2, 60);
    let x = graph.reshape(features, [2, 5, 3, 4]).unwrap();
    let w = graph.parameter("conv.weight", [3, 3, 4, 6]).unwrap();
    let five = graph.parameter("five", [5]).unwrap();
    let plain = Conv2dOptions::default();
    let mut refused = |x, w, bias, options, what: &str| {
        let error = graph.conv2d(x, w, bias, Activation::Relu, options).unwrap_err().to_string();
        assert!(error.contains("conv2d") && error.contains(what), "{error} lacks {what}");
    };
    refused(features, w, None, plain, "x [2, 60] has rank 2, not 4");
    refused(x, five, None, plain, "weight [5] has rank 1, not 4");
    refused(x, w, Some(five), plain, "bias [5] must be [6]");
    let with =
        |stride, dilation, padding, groups| Conv2dOptions { stride, dilation, padding, groups };
    let same = Padding::Same;
    refused(x, w, None, with([0, 1], [1, 1], same, 1), "stride [0, 1] must be 1 or more");
    refused(x, w, None, with([1, 1], [1, 0], same, 1), "dilation");
    refused(x, w, None, with([1, 1], [1, 1], same, 0), "groups");
    refused(x, w, None, with([1, 1], [1, 1], same, 2), "4 channels and weight 4 for each of 2");
    refused(x, w, None, with([1, 1], [2, 2], Padding::Valid, 1), "does not fit images of [5, 3]");
    let error = graph.conv1d(x, w, None, Activation::Relu, plain).unwrap_err().to_string();
    assert!(error.contains("conv1d") && error.contains("rank 4, not 3"), "{error}");
    let error = graph.reshape(x, [2, 61]).unwrap_err().to_string();
    assert!(error.contains("[2, 5, 3, 4]") && error.contains("[2, 61]"), "{error}");
}
