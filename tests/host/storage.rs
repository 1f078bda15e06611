//! A model's files: tensors by name, and outputs that are tensors by name.
mod companions;
mod folder;
mod packed;
mod packed_damaged;
mod packed_int8;
mod packed_own;
mod patch;
mod rewrite;

use std::fs;
use std::path::Path;

use secateur::storage::Folder;

/// A tensor of a file: name, dtype, shape, bytes.
pub type Raw<'a> = (&'a str, &'a str, &'a [usize], Vec<u8>);

/// Writes the safetensors file `name` in `folder`, its tensors in this order, with a note, as the
/// format's own writer does.
pub fn write(folder: &Path, name: &str, tensors: &[Raw]) {
    let (mut entries, mut data) = (vec![r#""__metadata__":{"format":"pt"}"#.to_owned()], vec![]);
    for (name, dtype, shape, bytes) in tensors {
        let (from, to) = (data.len(), data.len() + bytes.len());
        let key = serde_json::to_string(name).unwrap();
        let shape = serde_json::to_string(shape).unwrap();
        entries.push(format!(
            r#"{key}:{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{from},{to}]}}"#
        ));
        data.extend_from_slice(bytes);
    }
    let mut header = format!("{{{}}}", entries.join(","));
    while header.len() % 8 != 0 {
        header.push(' ');
    }
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(&data);
    fs::write(folder.join(name), file).unwrap();
}

/// Writes the index that says which of `tensors` is in which file.
pub fn write_index(folder: &Path, tensors: &[(&str, &str)]) {
    let map: serde_json::Map<String, serde_json::Value> =
        tensors.iter().map(|&(name, file)| (name.into(), file.into())).collect();
    let index = serde_json::json!({"metadata": {"total_size": 88, "total_parameters": 26}, "weight_map": map});
    let text = serde_json::to_string_pretty(&index).unwrap();
    fs::write(folder.join("model.safetensors.index.json"), text).unwrap();
}

pub fn f32s(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_le_bytes).collect()
}

pub fn bf16s(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(|v| half::bf16::from_f32(v).to_le_bytes()).collect()
}

pub fn f16s(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(|v| half::f16::from_f32(v).to_le_bytes()).collect()
}

pub fn f64s(values: impl IntoIterator<Item = f64>) -> Vec<u8> {
    values.into_iter().flat_map(f64::to_le_bytes).collect()
}

/// Names in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What an error says.
pub fn message<T>(result: secateur::Result<T>) -> String {
    result.err().expect("it must fail").to_string()
}

/// The names of [`model`]'s files of weights.
pub const SHARDS: [&str; 2] =
    ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];

/// A model of two files in the folder `in` of `folder`, with what lies beside weights.
pub fn model(folder: &Path) -> Folder {
    let model = folder.join("in");
    fs::create_dir_all(model.join("onnx")).unwrap();
    fs::write(model.join("onnx/model.onnx"), "old").unwrap();
    let first: [Raw; 3] = [
        ("a.bias", "F32", &[3], f32s([0.5, -1.5, 2.5])),
        ("a.weight", "BF16", &[2, 3], bf16s([1.0, -2.0, 3.0, -4.0, 5.0, -6.0])),
        ("embed", "BF16", &[4, 2], bf16s((0..8).map(|i| i as f32))),
    ];
    let second: [Raw; 4] = [
        ("c.weight", "F64", &[2], f64s([0.1, -0.2])),
        ("ids", "I64", &[1], vec![7; 8]),
        ("b.bias", "F32", &[2], f32s([8.0, 9.0])),
        ("b.weight", "F16", &[2, 2], f16s([0.1, 0.2, -0.3, 0.4])),
    ];
    write(&model, SHARDS[0], &first);
    write(&model, SHARDS[1], &second);
    let all = first.iter().map(|t| (t.0, SHARDS[0]));
    let all = all.chain(second.iter().map(|t| (t.0, SHARDS[1])));
    write_index(&model, &all.collect::<Vec<_>>());
    fs::write(model.join("config.json"), r#"{"model_type": "tiny"}"#).unwrap();
    fs::write(model.join("tokenizer.json"), "{}").unwrap();
    fs::write(model.join("pytorch_model.bin"), "old").unwrap();
    Folder::open(&model).unwrap()
}
