//! Small safetensors files, laid out as other people's.
use serde_json::{Map, Value, json};

/// A tensor as bytes.
pub struct Tensor {
    pub name: String,
    pub dtype: &'static str,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

/// Numbers around 0 without ties, none of them 0 or 1.
pub fn noise(seed: u32, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(747_796_405).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state) / f64::from(u32::MAX) - 0.5
    };
    (0..len).map(|_| (next() * 0.1 + 1e-6) as f32).collect()
}

pub fn values(name: &str, shape: &[usize], values: &[f32]) -> Tensor {
    let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Tensor { name: name.to_owned(), dtype: "F32", shape: shape.to_vec(), bytes }
}

/// Noise of f32; the name chooses the numbers.
pub fn f32s(name: &str, shape: &[usize]) -> Tensor {
    let seed = name.bytes().fold(7, |sum: u32, b| sum.wrapping_mul(31).wrapping_add(b.into()));
    values(name, shape, &noise(seed, shape.iter().product()))
}

/// Bytes of any type, all `byte`.
pub fn bytes(name: &str, dtype: &'static str, shape: &[usize], size: usize, byte: u8) -> Tensor {
    let len = size * shape.iter().product::<usize>();
    Tensor { name: name.to_owned(), dtype, shape: shape.to_vec(), bytes: vec![byte; len] }
}

/// The file of `tensors`.
pub fn file(tensors: &[Tensor]) -> Vec<u8> {
    let (mut header, mut data) = (Map::new(), Vec::new());
    header.insert("__metadata__".to_owned(), json!({"format": "pt"}));
    for Tensor { name, dtype, shape, bytes } in tensors {
        let offsets = [data.len(), data.len() + bytes.len()];
        let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": offsets});
        header.insert(name.clone(), entry);
        data.extend_from_slice(bytes);
    }
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}

/// The bytes of the tensor `name` in a file.
pub fn read(file: &[u8], name: &str) -> Vec<u8> {
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&file[8..8 + length]).unwrap();
    let at = |i: usize| header[name]["data_offsets"][i].as_u64().unwrap() as usize;
    file[8 + length..][at(0)..at(1)].to_vec()
}

/// The same as f32.
pub fn floats(file: &[u8], name: &str) -> Vec<f32> {
    let bytes = read(file, name);
    bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// Whether of every 4 values along the axis whose next element is `stride` away at most 2 are left,
/// in a tensor of which that axis has `extent` elements.
pub fn is_2_of_4(values: &[f32], extent: usize, stride: usize) -> bool {
    values.chunks(extent * stride).all(|slab| {
        (0..extent / 4).all(|group| {
            (0..stride).all(|inner| {
                let of = |r: usize| slab[(4 * group + r) * stride + inner];
                (0..4).filter(|&r| of(r) != 0.0).count() <= 2
            })
        })
    })
}
