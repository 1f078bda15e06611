//! Which elements of which parameters go with a unit: small graphs, whose answers are known.
use secateur::graph::{
    AttentionOptions, Conv2dOptions, Graph, PoolOptions, RotaryOptions, Spread, Tensor, Tied,
    rotary_frequencies,
};
use secateur::kernels::{Activation, Pooling};

const PLAIN: Activation = Activation::Identity;

/// A linear layer without a bias, its weight outputs first or last.
fn linear(graph: &mut Graph, x: Tensor, name: &str, outputs: u32, outputs_first: bool) -> Tensor {
    let inputs = *graph.shape(x).dims().last().unwrap();
    let shape = if outputs_first { [outputs, inputs] } else { [inputs, outputs] };
    let weight = graph.parameter(name, shape).unwrap();
    if outputs_first {
        graph.outputs_first(weight).unwrap();
    }
    graph.linear(x, weight, None, PLAIN).unwrap()
}

fn weight(graph: &Graph, name: &str) -> Tensor {
    graph.parameters().iter().find(|p| p.name == name).unwrap().tensor
}

/// Name, run and whether it reads the units, of each member.
fn members(graph: &Graph, tied: &Tied) -> Vec<(String, u32, bool)> {
    let name = |i: usize| graph.parameters()[i].name.clone();
    let of = |m: &secateur::graph::Member| {
        assert_eq!(m.spread.units, tied.units);
        (name(m.parameter), m.spread.run, m.reads.is_some())
    };
    tied.members.iter().map(of).collect()
}

fn owned(expected: &[(&str, u32, bool)]) -> Vec<(String, u32, bool)> {
    expected.iter().map(|&(name, run, reads)| (name.to_owned(), run, reads)).collect()
}

/// Queries of six heads, of which two share keys: turned, and normed head by head.
#[test]
fn heads_of_keys_go_with_the_queries_that_share_them() {
    let mut graph = Graph::default();
    let x = graph.features(2, 5 * 12);
    let x = graph.reshape(x, [2, 5, 12]).unwrap();
    let q = linear(&mut graph, x, "q", 6 * 4, true);
    let k = linear(&mut graph, x, "k", 3 * 4, false);
    let v = linear(&mut graph, x, "v", 3 * 4, true);
    let scale = graph.parameter("scale", [4]).unwrap();
    let apart = graph.reshape(q, [2 * 5 * 6, 4]).unwrap();
    let normed = graph.normalise(apart, 1e-6, false).unwrap();
    let scaled = graph.mul(normed, scale).unwrap();
    let q = graph.reshape(scaled, [2, 5, 24]).unwrap();
    let frequencies = rotary_frequencies(1e4, 2, Default::default());
    let table = graph.rotary_table(&frequencies, 5).unwrap();
    let q = graph.rotary(q, table, RotaryOptions::new(4)).unwrap();
    let k = graph.rotary(k, table, RotaryOptions::new(4)).unwrap();
    let options = AttentionOptions::new(6).kv_heads(Some(3));
    let y = graph.attend(&[q, k, v], &options).unwrap();
    let y = linear(&mut graph, y, "o", 12, true);
    let out = graph.add(x, y).unwrap();
    for name in ["q", "k", "v"] {
        let tied = graph.tied(weight(&graph, name), &[x, out]).unwrap();
        assert_eq!((tied.units, tied.heads), (3, Some(2)), "{name}");
        let rows = |heads: u32, width: u32| heads * 4 * width;
        // In the order of the graph; the norm's scale is every head's.
        let expected = [
            ("q", rows(2, 12), false),
            ("k", rows(1, 1), false),
            ("v", rows(1, 12), false),
            ("o", rows(2, 1), true),
        ];
        assert_eq!(members(&graph, &tied), owned(&expected), "{name}");
    }
    let why = graph.tied(weight(&graph, "o"), &[x, out]).unwrap_err();
    assert!(why.contains("from block to block"), "{why}");
}

/// Queries, keys and values of one weight: a head has three runs of its columns.
#[test]
fn heads_of_one_weight_are_in_three_parts_of_it() {
    let mut graph = Graph::default();
    let x = graph.features(2, 5 * 8);
    let x = graph.reshape(x, [2, 5, 8]).unwrap();
    let weight = graph.parameter("qkv", [8, 24]).unwrap();
    let bias = graph.parameter("bias", [24]).unwrap();
    let y = graph.linear(x, weight, Some(bias), PLAIN).unwrap();
    let y = graph.attention(y, 4, true).unwrap();
    let out = linear(&mut graph, y, "o", 8, false);
    let tied = graph.tied(weight, &[out]).unwrap();
    assert_eq!((tied.units, tied.heads), (4, Some(1)));
    let expected = [("qkv", 2, false), ("bias", 2, false), ("o", 2 * 8, true)];
    assert_eq!(members(&graph, &tied), owned(&expected));
}

/// Channels of images, by their batch norm, a pool and a dropout to the next convolution, and
/// flattened to a linear layer.
#[test]
fn channels_of_images_are_followed() {
    let mut graph = Graph::default();
    let x = graph.features(2, 8 * 8 * 3);
    let x = graph.reshape(x, [2, 8, 8, 3]).unwrap();
    let options = Conv2dOptions::default();
    let conv = |graph: &mut Graph, x, name: &str, [inputs, outputs]: [u32; 2]| {
        let weight = graph.parameter(name, [3, 3, inputs, outputs]).unwrap();
        graph.conv2d(x, weight, None, PLAIN, options).unwrap()
    };
    let y = conv(&mut graph, x, "one", [3, 6]);
    let running = graph.statistic("running", [2, 6], secateur::graph::Init::Moments).unwrap();
    let y = graph.batch_normalise(y, running, 1e-5, 0.9).unwrap();
    let shift = graph.parameter("shift", [6]).unwrap();
    let y = graph.add(y, shift).unwrap();
    let y = graph.activate(y, Activation::Relu);
    let pool = PoolOptions { window: [2; 2], stride: [2; 2], padding: Default::default() };
    let y = graph.pool(y, Pooling::Max, pool).unwrap();
    let y = graph.dropout(y, 0.5).unwrap();
    let y = conv(&mut graph, y, "two", [6, 5]);
    let y = graph.reshape(y, [2, 4 * 4 * 5]).unwrap();
    let out = linear(&mut graph, y, "three", 7, true);
    let tied = graph.tied(weight(&graph, "one"), &[out]).unwrap();
    assert_eq!((tied.units, tied.heads), (6, None));
    let expected =
        [("one", 1, false), ("running", 1, false), ("shift", 1, false), ("two", 5, true)];
    assert_eq!(members(&graph, &tied), owned(&expected));
    // Each of the five has every fifth input of the linear layer.
    let tied = graph.tied(weight(&graph, "two"), &[out]).unwrap();
    assert_eq!(members(&graph, &tied), owned(&[("two", 1, false), ("three", 1, true)]));
    assert_eq!(tied.members[1].spread, Spread { run: 1, units: 5 });
    assert_eq!([3, 4, 5, 12].map(|e| tied.members[1].spread.unit(e)), [3, 4, 0, 2]);
}

#[test]
fn what_needs_all_units_keeps_them() {
    let mut graph = Graph::default();
    let x = graph.features(4, 6);
    let a = linear(&mut graph, x, "normed", 8, true);
    let a = graph.normalise(a, 1e-6, true).unwrap();
    let a = linear(&mut graph, a, "behind", 5, true);
    let lrn = linear(&mut graph, a, "lrn", 8, true);
    let lrn = graph.local_response_norm(lrn, 2, [1.0, 1e-4, 0.75]).unwrap();
    let out = linear(&mut graph, lrn, "last", 6, true);
    let refused = |name: &str, what: &str| {
        let why = graph.tied(weight(&graph, name), &[out]).unwrap_err();
        assert!(why.contains(what), "{name}: {why}");
    };
    refused("normed", "normalise takes all of them together");
    refused("lrn", "lrn");
    let x = graph.features(4, 6);
    assert!(graph.tied(x, &[]).unwrap_err().contains("no product"));
}

/// A weight of two layers has units of both.
#[test]
fn layers_that_share_a_weight_keep_its_units() {
    let mut graph = Graph::default();
    let x = graph.features(4, 6);
    let y = linear(&mut graph, x, "first", 6, true);
    let shared = graph.parameter("shared", [6, 6]).unwrap();
    let y = graph.linear(y, shared, None, PLAIN).unwrap();
    let out = graph.linear(y, shared, None, PLAIN).unwrap();
    let why = graph.tied(weight(&graph, "first"), &[out]).unwrap_err();
    assert!(why.contains("2 layers share shared"), "{why}");
}
