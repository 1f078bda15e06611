//! Whole heads and channels taken out: the smaller folder computes what the whole one does whose
//! weights of these units are zero.
mod by_data;

use std::path::Path;

use secateur::graph::Mode;
use secateur::kernels::Step;
use secateur::pretrained::{
    BlockRemoved, CutGraph, Input, Pretrained, RemoveOptions, RemoveReport, Rows,
};
use secateur::storage::{Folder, Rewrite};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::gpu;
use crate::interpreter::{Given, evaluate};
use crate::models::{Copied, Held};

/// Where the units of a group are in the tensors of each block, written down here, not found: what
/// their names end in, the axis, how many places of it are one unit's, and of keys and values how
/// many heads of queries share one.
type Places = Vec<(&'static str, usize, usize, usize)>;

/// How far two graphs in f64 may be apart that differ in the order of their sums, of some hundred
/// terms each: 2^-53 for each, of values below 100, through a hundred sums one behind the other.
const ORDER: f64 = 1e-10;

/// What the whole network makes of two rows, in f64.
fn exact(model: &Pretrained) -> Vec<f64> {
    let (length, features) = match model.architecture().input() {
        Input::Tokens { vocabulary, types, .. } => {
            let ids = (0..2 * 7).map(|i| ((11 * i * i + 7 * i + 3) % vocabulary) as f32);
            let ids: Vec<f32> = ids.collect();
            match types {
                None => (7, ids),
                // The last two positions of a row are padding.
                Some(_) => {
                    let beside =
                        [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0];
                    (7, ids.chunks(7).flat_map(|row| [row, &beside].concat()).collect())
                }
            }
        }
        Input::Images { side, channels } => {
            let pixels = 2 * side * side * channels;
            (1, (0..pixels).map(|i| (0.05 * i as f32).sin()).collect())
        }
        _ => panic!("another input"),
    };
    let CutGraph { graph, sources, output, .. } = model.whole(2, length).unwrap();
    let parameter = |source| {
        let values = model.parameter(source).unwrap();
        values.into_iter().map(f64::from).collect()
    };
    let parameters: Vec<Vec<f64>> = sources.iter().map(parameter).collect();
    evaluate(&graph, &given(&features, 2, &parameters), output, None).pop().unwrap()
}

fn given<'a>(features: &'a [f32], batch: usize, parameters: &'a [Vec<f64>]) -> Given<'a> {
    let step = Step { rows: batch as u32, share: 1.0, ..Step::default() };
    let masks = &[const { None }; 128][..parameters.len()];
    Given { features, labels: &[], batch, step, mode: Mode::Evaluate, parameters, masks }
}

/// A folder without what `options` say, by the weights or by rows.
fn removed(model: &Pretrained, options: &str, data: Option<Rows<'_>>) -> (TempDir, RemoveReport) {
    let folder = tempfile::tempdir().unwrap();
    let options: RemoveOptions = options.parse().unwrap();
    let removal = model.removal(&options).unwrap_or_else(|e| panic!("{e}"));
    let shapes = removal.shapes().unwrap();
    let mut out = Rewrite::begin(model.files(), folder.path(), false, &shapes).unwrap();
    let mut told = Vec::new();
    let mut hear = |block: &BlockRemoved| told.push(block.block);
    let report = match data {
        Some(rows) => removal.by_data(gpu().unwrap(), rows, None, &mut out, &mut hear).unwrap(),
        None => removal.by_weights(&mut out, &mut hear).unwrap(),
    };
    assert_eq!(told, (0..model.architecture().blocks()).collect::<Vec<_>>());
    out.finish(Some(&removal.config())).unwrap();
    let bytes = Folder::open(folder.path()).unwrap().tensors().map(|t| t.bytes).sum::<u64>();
    let before = model.files().tensors().map(|t| t.bytes).sum();
    assert_eq!(removal.bytes().unwrap(), [before, bytes]);
    assert!(bytes < before);
    (folder, report)
}

/// Sets the units that go to zero in the tensors of `block` that `places` name.
fn zero(copied: &mut Copied, block: &str, places: &Places, goes: &[bool]) {
    for &(end, axis, run, shared) in places {
        let name = format!("{block}.{end}");
        let held = copied.tensors.get(&name).unwrap_or_else(|| panic!("no {name}"));
        let (shape, mut values) = (held.shape.clone(), held.values());
        let behind: usize = shape[axis + 1..].iter().product();
        for (e, value) in values.iter_mut().enumerate() {
            if goes[e / behind % shape[axis] / run * shared] {
                *value = 0.0;
            }
        }
        copied.tensors.insert(name, Held::floats(&shape, &values));
    }
}

/// Removes by the weights, and holds what the smaller folder makes of rows to what the whole one
/// does with zeros; returns the settings of the smaller one.
fn check(mut copied: Copied, text: &str, groups: &[Places]) -> Value {
    let model = Pretrained::open(copied.write()).unwrap_or_else(|e| panic!("{text}: {e}"));
    let (folder, report) = removed(&model, text, None);
    let small = Pretrained::open(folder.path()).unwrap_or_else(|e| panic!("{text}: {e}"));
    let whole = exact(&model);
    for block in &report.blocks {
        assert_eq!(block.kept.len(), groups.len(), "{text}");
        for (kept, places) in block.kept.iter().zip(groups) {
            let goes: Vec<bool> = (0..kept.of).map(|unit| !kept.kept.contains(&unit)).collect();
            assert!(goes.contains(&true) && goes.contains(&false), "{text}: {kept:?}");
            zero(&mut copied, &block.name, places, &goes);
        }
    }
    let zeroed = exact(&Pretrained::open(copied.write()).unwrap());
    let small_out = exact(&small);
    let apart = |a: &[f64], b: &[f64]| {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    let far = apart(&small_out, &zeroed);
    assert!(far <= ORDER, "{text}: {far} apart");
    // The comparison has teeth.
    assert!(apart(&whole, &zeroed) > 1e-3, "{text}: nothing was taken out");
    read_config(folder.path())
}

fn read_config(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap()
}

fn settings(config: &Value, expected: &[(&str, u32)]) {
    for &(name, value) in expected {
        assert_eq!(config.pointer(name).and_then(Value::as_u64), Some(value.into()), "{name}");
    }
}

/// Heads and channels of Llama and what is laid out like it, with heads of `width` channels.
fn llama(width: usize, shared: usize, biases: bool) -> [Places; 2] {
    let mut heads = vec![
        ("self_attn.q_proj.weight", 0, width, 1),
        ("self_attn.k_proj.weight", 0, width, shared),
        ("self_attn.v_proj.weight", 0, width, shared),
        ("self_attn.o_proj.weight", 1, width, 1),
    ];
    if biases {
        heads.extend([
            ("self_attn.q_proj.bias", 0, width, 1),
            ("self_attn.k_proj.bias", 0, width, shared),
            ("self_attn.v_proj.bias", 0, width, shared),
        ]);
    }
    let channels = vec![
        ("mlp.gate_proj.weight", 0, 1, 1),
        ("mlp.up_proj.weight", 0, 1, 1),
        ("mlp.down_proj.weight", 1, 1, 1),
    ];
    [heads, channels]
}

/// Six heads of queries share two of keys: a half of them is one of keys and three of queries.
#[test]
fn llama_without_a_head_of_keys_and_its_queries() {
    let config = check(Copied::of("llama"), "heads=0.5,channels=25%", &llama(8, 3, false));
    let heads = [("/num_attention_heads", 3), ("/num_key_value_heads", 1), ("/head_dim", 8)];
    settings(&config, &heads);
    // A share leaves a multiple of 4 of 96.
    settings(&config, &[("/intermediate_size", 72), ("/hidden_size", 48)]);
}

#[test]
fn llama_with_all_its_biases() {
    let mut places = llama(8, 2, true);
    places[1].extend([("mlp.gate_proj.bias", 0, 1, 1), ("mlp.up_proj.bias", 0, 1, 1)]);
    let config = check(Copied::of("llama_biases"), "heads=2,channels=11", &places);
    settings(&config, &[("/num_attention_heads", 2), ("/intermediate_size", 17)]);
}

/// Its head size is nowhere but in the number of heads until some are gone.
#[test]
fn qwen2_with_biases_of_queries_keys_and_values() {
    // The golden one has one head of keys: two of its layers' heads are another model's.
    let mut copied = Copied::of("qwen2");
    for layer in 0..2 {
        for (part, of) in [("k_proj", 8), ("v_proj", 8)] {
            for (kind, width) in [("weight", 56), ("bias", 1)] {
                let name = format!("model.layers.{layer}.self_attn.{part}.{kind}");
                let held = copied.tensors.remove(&name).unwrap();
                let more = held.values().iter().rev().map(|x| 0.5 - x).collect::<Vec<_>>();
                let values = [held.values(), more].concat();
                let shape = if width == 1 { vec![2 * of] } else { vec![2 * of, width] };
                copied.tensors.insert(name, Held::floats(&shape, &values));
            }
        }
        for (part, axis) in [("q_proj.weight", 0), ("q_proj.bias", 0), ("o_proj.weight", 1)] {
            let name = format!("model.layers.{layer}.self_attn.{part}");
            let held = copied.tensors.remove(&name).unwrap();
            let mut shape = held.shape.clone();
            let run = 48 * shape[axis + 1..].iter().product::<usize>();
            let whole = run / 48 * 56;
            let rows = held.values();
            let values: Vec<f32> =
                rows.chunks(whole).flat_map(|row| &row[..run]).copied().collect();
            shape[axis] = 48;
            copied.tensors.insert(name, Held::floats(&shape, &values));
        }
    }
    let copied = copied.set("num_attention_heads", 6).set("num_key_value_heads", 2);
    let copied = copied.set("head_dim", 8);
    let config = check(copied, "heads=0.5,channels=0.5", &llama(8, 3, true));
    settings(&config, &[("/num_attention_heads", 3), ("/num_key_value_heads", 1)]);
    settings(&config, &[("/head_dim", 8), ("/intermediate_size", 56)]);
}

/// The norms of queries and keys are those of every head, and stay.
#[test]
fn qwen3_with_norms_of_queries_and_keys() {
    let config = check(Copied::of("qwen3"), "heads=2,channels=0.5", &llama(10, 2, false));
    settings(&config, &[("/num_attention_heads", 2), ("/num_key_value_heads", 1)]);
    settings(&config, &[("/head_dim", 10), ("/intermediate_size", 14)]);
}

#[test]
fn mistral_with_a_window() {
    let config = check(Copied::of("mistral"), "heads=0.5", &llama(6, 2, false)[..1]);
    settings(&config, &[("/num_attention_heads", 2), ("/head_dim", 6), ("/intermediate_size", 36)]);
}

/// Its weights are the other way round.
#[test]
fn gpt2_with_fewer_channels() {
    let places = vec![
        ("mlp.c_fc.weight", 1, 1, 1),
        ("mlp.c_fc.bias", 0, 1, 1),
        ("mlp.c_proj.weight", 0, 1, 1),
    ];
    settings(&check(Copied::of("gpt2"), "channels=0.3", &[places]), &[("/n_inner", 112)]);
}

/// Heads of a ViT, and channels of an encoder.
fn encoder() -> [Places; 2] {
    let channels = vec![
        ("intermediate.dense.weight", 0, 1, 1),
        ("intermediate.dense.bias", 0, 1, 1),
        ("output.dense.weight", 1, 1, 1),
    ];
    let heads = vec![
        ("attention.attention.query.weight", 0, 8, 1),
        ("attention.attention.query.bias", 0, 8, 1),
        ("attention.attention.key.weight", 0, 8, 1),
        ("attention.attention.key.bias", 0, 8, 1),
        ("attention.attention.value.weight", 0, 8, 1),
        ("attention.attention.value.bias", 0, 8, 1),
        ("attention.output.dense.weight", 1, 8, 1),
    ];
    [heads, channels]
}

#[test]
fn bert_with_fewer_channels_and_vit_with_fewer_heads_too() {
    let config = check(Copied::of("bert_classes"), "channels=0.5", &encoder()[1..]);
    settings(&config, &[("/intermediate_size", 20)]);
    let config = check(Copied::of("vit"), "heads=1,channels=24", &encoder());
    settings(&config, &[("/num_attention_heads", 3), ("/head_dim", 8), ("/hidden_size", 32)]);
    settings(&config, &[("/intermediate_size", 40)]);
}

/// A ResNet of bottlenecks as timm has it, with one block a stage, of widths that double.
fn resnet() -> Copied {
    let mut copied = Copied::of("resnet");
    copied.tensors.clear();
    let mut put = |name: String, shape: &[usize], about: f32| {
        let seed = name.bytes().fold(7_u32, |seed, b| seed.wrapping_mul(31) + u32::from(b));
        let len: usize = shape.iter().product();
        let value = |i: usize| {
            let bits = seed.wrapping_add(i as u32).wrapping_mul(2_654_435_761) >> 8;
            about + 0.6 * (bits as f32 / (1 << 24) as f32 - 0.5)
        };
        copied.tensors.insert(name, Held::floats(shape, &(0..len).map(value).collect::<Vec<_>>()));
    };
    let mut convolution = |conv: &str, norm: &str, [outputs, inputs, kernel]: [usize; 3]| {
        put(format!("{conv}.weight"), &[outputs, inputs, kernel, kernel], 0.0);
        for (part, about) in
            [("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)]
        {
            put(format!("{norm}.{part}"), &[outputs], about);
        }
    };
    convolution("conv1", "bn1", [8, 3, 7]);
    let mut inputs = 8;
    for stage in 1..=4 {
        let (at, inner) = (format!("layer{stage}.0"), 2 << stage);
        let outputs = 6 + 2 * stage;
        convolution(&format!("{at}.conv1"), &format!("{at}.bn1"), [inner, inputs, 1]);
        convolution(&format!("{at}.conv2"), &format!("{at}.bn2"), [inner, inner, 3]);
        convolution(&format!("{at}.conv3"), &format!("{at}.bn3"), [outputs, inner, 1]);
        let (conv, norm) = (format!("{at}.downsample.0"), format!("{at}.downsample.1"));
        convolution(&conv, &norm, [outputs, inputs, 1]);
        inputs = outputs;
    }
    put("fc.weight".to_owned(), &[5, inputs], 0.0);
    put("fc.bias".to_owned(), &[5], 0.0);
    copied.config = serde_json::json!({
        "architecture": "resnet50",
        "num_classes": 5,
        "global_pool": "avg",
        "pretrained_cfg": {"input_size": [3, 32, 32]},
    });
    copied
}

/// The inner widths of all stages go by the same share, which timm knows as `base_width`.
#[test]
fn resnet_with_narrower_bottlenecks() {
    let config = check(resnet(), "channels=0.25", &bottleneck());
    settings(&config, &[("/model_args/base_width", 3)]);
}

/// Channels between the convolutions of a bottleneck.
fn bottleneck() -> [Places; 2] {
    let of = |conv: &'static str, bn: [&'static str; 4], next: &'static str| {
        let norm = bn.map(|name| (name, 0, 1, 1));
        [&[(conv, 0, 1, 1)], &norm[..], &[(next, 1, 1, 1)]].concat()
    };
    let one = ["bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var"];
    let two = ["bn2.weight", "bn2.bias", "bn2.running_mean", "bn2.running_var"];
    [of("conv1.weight", one, "conv2.weight"), of("conv2.weight", two, "conv3.weight")]
}
