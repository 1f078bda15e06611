//! Any bytes as one file of a checkpoint, as they are and once more with the checksums made right.
//!
//! The first byte says which file: model, optimizer or manifest.
#![no_main]
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use secateur::checkpoint::{self, MODEL_FILE, Manifest, OPTIMIZER_FILE};
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

const MANIFEST_FILE: &str = "manifest.json";
/// A real checkpoint, each file behind its first byte.
const SEEDS: [(&str, &[u8]); 3] = [
    (MODEL_FILE, include_bytes!("../seeds/checkpoint/model")),
    (OPTIMIZER_FILE, include_bytes!("../seeds/checkpoint/optimizer")),
    (MANIFEST_FILE, include_bytes!("../seeds/checkpoint/manifest")),
];
/// Bytes on the heap at one time; inputs have 4 KB, the loader's buffers 64 KB each.
const MOST_MEMORY: u64 = 1 << 20;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    SEEDS.iter().for_each(|(name, seed)| fs::write(folder.path().join(name), &seed[1..]).unwrap());
    checkpoint::load(folder.path()).expect("the seeds are a checkpoint");
    folder
});

fuzz_target!(|input: &[u8]| {
    let Some((first, content)) = input.split_first() else { return };
    let folder = FOLDER.path();
    let (name, seed) = SEEDS[usize::from(*first) % SEEDS.len()];
    fs::write(folder.join(name), content).unwrap();
    let loaded = load(folder);
    // A manifest may bring a right checksum of its own.
    assert!(!loaded || name == MANIFEST_FILE || content == &seed[1..], "{name} was not checked");
    seal(folder, name, content);
    load(folder);
    for name in [name, MANIFEST_FILE] {
        let (_, seed) = SEEDS.iter().find(|(other, _)| *other == name).unwrap();
        fs::write(folder.join(name), &seed[1..]).unwrap();
    }
});

fn load(folder: &Path) -> bool {
    let mut loaded = false;
    let memory = allocation_counter::measure(|| loaded = checkpoint::load(folder).is_ok());
    assert!(memory.bytes_max < MOST_MEMORY, "{} bytes at one time", memory.bytes_max);
    loaded
}

/// Writes a manifest that is right for `content` in the file `name`.
fn seal(folder: &Path, name: &str, content: &[u8]) {
    let line = |text: &[u8]| text.split(|&b| b == b'\n').next().unwrap_or_default().to_vec();
    let line = if name == MANIFEST_FILE {
        line(content)
    } else {
        let mut manifest: Manifest = serde_json::from_slice(&line(&SEEDS[2].1[1..])).unwrap();
        let entry = manifest.files.iter_mut().find(|file| file.name == name).unwrap();
        (entry.bytes, entry.xxh3) = (content.len() as u64, sum(content));
        serde_json::to_vec(&manifest).unwrap()
    };
    let text = [&line, &b"\n"[..], sum(&line).as_bytes()].concat();
    fs::write(folder.join(MANIFEST_FILE), text).unwrap();
}

fn sum(bytes: &[u8]) -> String {
    format!("{:016x}", xxh3_64(bytes))
}
