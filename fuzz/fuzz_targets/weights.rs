//! Any bytes as a safetensors file, and as the index of one: read whole, or refused.
//!
//! The first byte says which.
#![no_main]
use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use secateur::storage::{Header, Weights, looks_like, read_floats};
use tempfile::TempDir;

/// A real file, and an index that names it, each behind its first byte.
const SHARD: &[u8] = include_bytes!("../seeds/weights/file");
const INDEX: &[u8] = include_bytes!("../seeds/weights/index");
/// Bytes on the heap at one time; inputs have 4 KB.
const MOST_MEMORY: u64 = 1 << 20;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("shard.safetensors"), &SHARD[1..]).unwrap();
    fs::write(folder.path().join("input.json"), &INDEX[1..]).unwrap();
    Weights::open(&folder.path().join("input.json")).expect("the seeds are weights");
    folder
});

fuzz_target!(|input: &[u8]| {
    let Some((first, content)) = input.split_first() else { return };
    let name = if first % 2 == 0 { "input.safetensors" } else { "input.json" };
    let path = FOLDER.path().join(name);
    fs::write(&path, content).unwrap();
    looks_like(&path, &content[..content.len().min(512)]);
    let mut opened = None;
    let memory = allocation_counter::measure(|| opened = Weights::open(&path).ok());
    assert!(memory.bytes_max < MOST_MEMORY, "{} bytes at one time", memory.bytes_max);
    let Some(weights) = opened else { return };
    if weights.index.is_none() && weights.files.iter().all(is_small) {
        // Packed tensors are made dense, or refused.
        read_floats(&path).ok();
    }
    weights.files.into_iter().for_each(whole);
});

/// Whether no packed tensor of it is to have more than some thousand elements.
fn is_small(header: &Header) -> bool {
    let shapes = header.tensors.iter().filter(|tensor| (16..=64).contains(&tensor.bytes));
    shapes.filter(|tensor| tensor.name.ends_with(".shape")).all(|tensor| {
        let mut bytes = vec![0; tensor.bytes as usize];
        header.read(tensor.offset, &mut bytes).unwrap();
        let extents = bytes.as_chunks().0.iter().map(|&extent| i64::from_le_bytes(extent));
        extents.fold(1, |all: i64, extent| all.saturating_mul(extent.max(1))) < 1 << 12
    })
}

/// Its tensors follow each other to its end, and each can be read.
fn whole(header: Header) {
    let len = fs::metadata(&header.path).unwrap().len();
    let mut at = header.bytes.len() as u64;
    for tensor in header.tensors.clone() {
        assert_eq!(tensor.offset, at, "{}", tensor.name);
        at += tensor.bytes;
        let mut bytes = vec![0; tensor.bytes as usize];
        header.read(tensor.offset, &mut bytes).unwrap();
        let nonzero = tensor.dtype.nonzero(&bytes).unwrap_or(0);
        assert!(nonzero <= tensor.len(), "{}: {nonzero} of {}", tensor.name, tensor.len());
    }
    assert_eq!(at, len);
}
