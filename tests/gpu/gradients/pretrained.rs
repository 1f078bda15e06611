//! What pretrained networks are made of beside layers of ours: weights `[outputs, inputs]`, tied
//! tables, shared heads, rotary positions, parts of an axis, class tokens.
use secateur::data::Task;
use secateur::graph::{
    AttentionOptions, Graph, RotaryOptions, RotaryScaling, Tensor, rotary_frequencies,
};
use secateur::kernels::{Activation, Step};
use secateur::nn::{Ends, Metric, Network};

use super::{Case, classifier};

const BATCH: u32 = 3;
const LENGTH: u32 = 7;
const WORDS: u32 = 9;

/// The loss of `logits [batch, positions, words]`.
fn language(mut graph: Graph, [features, logits]: [Tensor; 2]) -> Network {
    let &[batch, positions, classes] = graph.shape(logits).dims() else { panic!("no positions") };
    let labels = graph.position_labels(batch, positions);
    let loss = graph.softmax_cross_entropy(logits, labels).unwrap();
    let correct = graph.correct(logits, labels).unwrap();
    let task = Task::Classification { classes, positions: positions as usize };
    let ends = Ends { features, answers: labels, output: logits, loss };
    Network::new("test", graph, task, ends).with_metric(Metric::Accuracy, correct)
}

/// `x` through a weight `name [outputs, inputs]`, with a mask and a bias where `masked`.
fn torch(
    graph: &mut Graph,
    x: Tensor,
    name: &str,
    outputs: u32,
    activation: Activation,
    masked: bool,
) -> Tensor {
    let inputs = *graph.shape(x).dims().last().unwrap();
    let w = graph.parameter(format!("{name}.weight"), [outputs, inputs]).unwrap();
    let w = graph.outputs_first(w).unwrap();
    let w = if masked { graph.apply_mask(w).unwrap() } else { w };
    let b = masked.then(|| graph.parameter(format!("{name}.bias"), [outputs]).unwrap());
    graph.linear(x, w, b, activation).unwrap()
}

#[test]
fn weights_with_the_outputs_first() {
    for masked in [false, true] {
        for (activation, seed) in [(Activation::Tanh, 1), (Activation::Gelu, 2)] {
            let mut graph = Graph::default();
            let (features, labels) = (graph.features(5, 7), graph.labels(5));
            let x = torch(&mut graph, features, "a", 11, activation, masked);
            let x = torch(&mut graph, x, "b", 6, activation, masked);
            let z = torch(&mut graph, x, "c", 3, Activation::Identity, masked);
            let w = graph.parameters()[0].tensor;
            assert_eq!(graph.inputs_of(w), [features]);
            assert_eq!(graph.uses_of(w, 5), 1);
            let network = classifier(graph, [features, labels, z], 3);
            Case::new(network, 4, 66, seed).check();
        }
    }
}

/// The table makes the logits, too, and so gets two gradients.
#[test]
fn a_table_that_also_makes_the_logits() {
    for (masked, seed) in [(false, 1), (true, 2)] {
        let mut graph = Graph::default();
        let features = graph.features(BATCH, LENGTH);
        let table = graph.parameter("embed.weight", [WORDS, 6]).unwrap();
        let table = graph.outputs_first(table).unwrap();
        let table = if masked { graph.apply_mask(table).unwrap() } else { table };
        let x = graph.embedding(features, table).unwrap();
        let x = torch(&mut graph, x, "fc", 6, Activation::Silu, false);
        let logits = graph.linear(x, table, None, Activation::Identity).unwrap();
        let network = language(graph, [features, logits]);
        Case::new(network, 2, 60, seed).tokens(WORDS).check();
    }
}

/// Queries, keys and values of `x`, whose heads may be shared, with rotary positions.
fn attended(graph: &mut Graph, x: Tensor, options: AttentionOptions, width: u32) -> Tensor {
    let (heads, kv_heads) = (options.heads, options.kv_heads.unwrap_or(options.heads));
    let project = |graph: &mut Graph, name: &str, heads: u32| {
        torch(graph, x, name, heads * width, Activation::Identity, false)
    };
    let q = project(graph, "q", heads);
    let k = project(graph, "k", kv_heads);
    let v = project(graph, "v", kv_heads);
    let scaling = RotaryScaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, length: 16.0 };
    let frequencies = rotary_frequencies(100.0, width / 2, scaling);
    let length = graph.shape(x).dims()[1];
    let table = graph.rotary_table(&frequencies, length).unwrap();
    let turned = RotaryOptions::new(width);
    let q = graph.rotary(q, table, turned).unwrap();
    let k = graph.rotary(k, table, turned).unwrap();
    let y = graph.attend(&[q, k, v], &options).unwrap();
    torch(graph, y, "o", *graph.shape(x).dims().last().unwrap(), Activation::Identity, false)
}

#[test]
fn shared_heads_with_rotary_positions() {
    for (i, (options, width)) in [
        (AttentionOptions::new(4).kv_heads(Some(2)).causal(true), 4),
        (AttentionOptions::new(3).kv_heads(Some(1)).window(Some(3)), 2),
        (AttentionOptions::new(2).causal(true).window(Some(4)).scale(Some(0.8)), 3),
    ]
    .into_iter()
    .enumerate()
    {
        let mut graph = Graph::default();
        let features = graph.features(BATCH, LENGTH);
        let table = graph.parameter("embed.weight", [WORDS, 5]).unwrap();
        let x = graph.embedding(features, table).unwrap();
        let y = attended(&mut graph, x, options, width);
        let x = graph.add(x, y).unwrap();
        let logits = torch(&mut graph, x, "head", WORDS, Activation::Identity, false);
        let network = language(graph, [features, logits]);
        Case::new(network, 3, 500, i as u64).tokens(WORDS).check();
    }
}

/// Tokens, their types and what is seen of them side by side in the features; positions from an
/// offset on; the first position is the answer.
#[test]
fn token_types_offsets_and_padding() {
    let mut graph = Graph::default();
    let (features, labels) = (graph.features(BATCH, 3 * LENGTH), graph.labels(BATCH));
    let part =
        |graph: &mut Graph, i: u32| graph.slice(features, 1, i * LENGTH..(i + 1) * LENGTH).unwrap();
    let [tokens, types, seen] = [0, 1, 2].map(|i| part(&mut graph, i));
    let tables = [("word", WORDS), ("type", 2)]
        .map(|(name, rows)| graph.parameter(name, [rows, 6]).unwrap());
    let words = graph.embedding(tokens, tables[0]).unwrap();
    let kinds = graph.embedding(types, tables[1]).unwrap();
    let positions = graph.parameter("positions", [LENGTH + 4, 6]).unwrap();
    let positions = graph.slice(positions, 0, 2..2 + LENGTH).unwrap();
    let x = graph.add(words, kinds).unwrap();
    let x = graph.add(x, positions).unwrap();
    let options = AttentionOptions::new(3).seen(Some(seen));
    let qkv = torch(&mut graph, x, "qkv", 18, Activation::Identity, true);
    let y = graph.attend(&[qkv], &options).unwrap();
    let x = graph.add(x, y).unwrap();
    let first = graph.slice(x, 1, 0..1).unwrap();
    let first = graph.reshape(first, [BATCH, 6]).unwrap();
    let z = torch(&mut graph, first, "pooler", 3, Activation::Tanh, true);
    let network = classifier(graph, [features, labels, z], 3);
    let case = Case::new(network, 3, 400, 1).tokens(WORDS);
    let (length, mut features) = (LENGTH as usize, case.features.clone());
    for (i, row) in features.chunks_mut(3 * length).enumerate() {
        row[length..].iter_mut().for_each(|x| *x = f32::from(u8::from(*x > 4.0)));
        // The first row is seen whole, and of the last only its first position.
        row[2 * length..].iter_mut().for_each(|x| *x = if i == 0 { 1.0 } else { *x });
        row[2 * length] = 1.0;
        row[2 * length + 1..].iter_mut().filter(|_| i == 2).for_each(|x| *x = 0.0);
    }
    Case { features, ..case }.check();
}

#[test]
fn a_class_token_before_patches() {
    let mut graph = Graph::default();
    let (features, labels) = (graph.features(BATCH, 4 * 5), graph.labels(BATCH));
    let x = graph.reshape(features, [BATCH, 4, 5]).unwrap();
    let x = torch(&mut graph, x, "patch", 6, Activation::Identity, true);
    let token = graph.parameter("cls_token", [1, 1, 6]).unwrap();
    let x = graph.prepend(x, token).unwrap();
    let positions = graph.parameter("positions", [1, 5, 6]).unwrap();
    let positions = graph.reshape(positions, [5, 6]).unwrap();
    let x = graph.add(x, positions).unwrap();
    let y = attended(&mut graph, x, AttentionOptions::new(2), 2);
    let x = graph.add(x, y).unwrap();
    let x = graph.slice(x, 1, 0..1).unwrap();
    let x = graph.reshape(x, [BATCH, 6]).unwrap();
    let z = torch(&mut graph, x, "head", 3, Activation::Identity, true);
    let network = classifier(graph, [features, labels, z], 3);
    let case = Case::new(network, 2, 300, 3);
    Case { step: Step { rows: 2, ..case.step }, ..case }.check();
}

#[test]
fn what_does_not_fit_is_named() {
    let mut graph = Graph::default();
    let features = graph.features(2, 12);
    let refused = |result: secateur::Result<Tensor>, what: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(what), "{error} lacks {what}");
    };
    refused(graph.outputs_first(features), "features [2, 12] is not a parameter of rank 2");
    let w = graph.parameter("w", [3, 5]).unwrap();
    let w = graph.outputs_first(w).unwrap();
    let linear = graph.linear(features, w, None, Activation::Identity);
    refused(linear, "x [2, 12] has 12 columns, weight [3, 5] has 5 columns");
    refused(graph.slice(features, 1, 4..13), "axis 1 has no places 4..13");
    refused(graph.slice(features, 2, 0..1), "axis 2 has no places 0..1");
    refused(graph.pad(features, 1, [u32::MAX, 0]), "no axis 1 that takes 4294967295 and 0 more");
    refused(graph.prepend(features, w), "x [2, 12] has rank 2, not 3");
    refused(graph.constant("c", [2, 2], vec![1.0; 3]), "c [2, 2] has 3 values");
    let x = graph.reshape(features, [2, 3, 4]).unwrap();
    let table = graph.rotary_table(&[1.0], 3).unwrap();
    let rotary = |graph: &mut Graph, x, options| graph.rotary(x, table, options);
    refused(rotary(&mut graph, features, RotaryOptions::new(2)), "table [3, 1, 2] must be [2,");
    refused(rotary(&mut graph, x, RotaryOptions::new(1)), "1 pairs are more than the 1 channels");
    refused(rotary(&mut graph, x, RotaryOptions::new(3)), "1 heads of 3 channels");
    let options = RotaryOptions::new(2).heads(Some(3));
    refused(rotary(&mut graph, x, options), "x [2, 3, 4] does not have 3 heads of 2 channels");
    let options = AttentionOptions::new(2);
    let k = graph.slice(x, 2, 0..2).unwrap();
    refused(graph.attend(&[x, k, k], &options), "keys [2, 3, 2] must be [2, 3, 4]");
    let shared = options.kv_heads(Some(1));
    graph.attend(&[x, k, k], &shared).unwrap();
    refused(graph.attend(&[x, k], &shared), "2 tensors; it takes queries, keys and values");
    refused(graph.attend(&[x], &options.kv_heads(Some(3))), "3: 2 heads of queries");
    refused(graph.attend(&[x], &shared.window(Some(0))), "a position sees itself at least");
    refused(graph.attend(&[x], &shared.seen(Some(x))), "seen [2, 3, 4] must be [2, 3]");
    refused(graph.attend(&[x, k, k], &shared.scale(Some(f32::NAN))), "NaN must be finite");
}
