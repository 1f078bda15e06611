//! A model's files: tensors by name, and outputs that are tensors by name.
mod folder;

use std::fs;
use std::path::Path;

/// A tensor of a file: name, dtype, shape, bytes.
pub type Raw<'a> = (&'a str, &'a str, &'a [usize], Vec<u8>);

/// Writes the safetensors file `name` in `folder`, its tensors in this order, with a note.
pub fn write(folder: &Path, name: &str, tensors: &[Raw]) {
    let (mut entries, mut data) = (vec![r#""__metadata__":{"format":"pt"}"#.to_owned()], vec![]);
    for (name, dtype, shape, bytes) in tensors {
        let (from, to) = (data.len(), data.len() + bytes.len());
        let key = serde_json::to_string(name).unwrap();
        entries.push(format!(
            r#"{key}:{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{from},{to}]}}"#
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
    let index = serde_json::json!({"metadata": {"total_size": 56}, "weight_map": map});
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
