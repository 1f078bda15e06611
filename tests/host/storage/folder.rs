//! Tensors by name over all files: values, rows, and what is wrong with a folder.
use std::fs;
use std::path::Path;

use secateur::storage::{Folder, Header, Weights};

use super::{Raw, bf16s, f16s, f32s, f64s, message, write, write_index};

fn all(folder: &Path) -> Folder {
    let first: [Raw; 3] = [
        ("wide", "F64", &[3], f64s([1.5, -0.1, 1e300])),
        ("table", "F32", &[4, 3], f32s((0..12).map(|i| i as f32))),
        ("codes", "I32", &[2], vec![0; 8]),
    ];
    let second: [Raw; 3] = [
        ("half", "F16", &[2], f16s([0.1, -65504.0])),
        ("brain", "BF16", &[2, 2], bf16s([0.1, -1.701_411_8e38, 0.0, 1.0])),
        ("none", "F32", &[0, 3], vec![]),
    ];
    write(folder, "model-00001-of-00002.safetensors", &first);
    write(folder, "model-00002-of-00002.safetensors", &second);
    let names = first.iter().map(|t| (t.0, "model-00001-of-00002.safetensors"));
    let more = second.iter().map(|t| (t.0, "model-00002-of-00002.safetensors"));
    write_index(folder, &names.chain(more).collect::<Vec<_>>());
    Folder::open(folder).unwrap()
}

#[test]
fn values_are_read_by_name_whatever_their_file_and_dtype() {
    let dir = tempfile::tempdir().unwrap();
    let folder = all(dir.path());
    assert_eq!(folder.path(), dir.path());
    assert_eq!(folder.tensors().count(), 6);
    assert_eq!(folder.info("table").unwrap().shape, [4, 3]);
    assert!(folder.get("tables").is_none());
    assert_eq!(folder.read_f32("wide").unwrap(), [1.5, -0.1, f32::INFINITY]);
    assert_eq!(folder.read_f32("half").unwrap(), [0.099_975_586, -65504.0]);
    assert_eq!(folder.read_f32("brain").unwrap(), [0.100_097_656, -1.701_411_8e38, 0.0, 1.0]);
    assert_eq!(folder.read_f32("none").unwrap(), [0.0; 0]);
    assert_eq!(folder.read_range("table", 5..7).unwrap(), [5.0, 6.0]);
    let rows = folder.read_rows("table", [3, 0, 3]).unwrap();
    assert_eq!(rows, [9.0, 10.0, 11.0, 0.0, 1.0, 2.0, 9.0, 10.0, 11.0]);
    assert_eq!(folder.read_rows("brain", [1]).unwrap(), [0.0, 1.0]);
    assert_eq!(folder.read_rows("table", []).unwrap(), [0.0; 0]);
}

/// More than is read at once, whose border no value may lie across.
#[test]
fn a_tensor_of_many_pieces_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let values: Vec<f32> = (0..600_001).map(|i| i as f32).collect();
    let tensors: [Raw; 2] = [
        ("odd", "BF16", &[1], bf16s([7.0])),
        ("long", "F32", &[600_001], f32s(values.iter().copied())),
    ];
    write(dir.path(), "model.safetensors", &tensors);
    let folder = Folder::open(&dir.path().join("model.safetensors")).unwrap();
    assert!(folder.read_f32("long").unwrap() == values);
    assert!(folder.read_range("long", 262_143..262_146).unwrap() == values[262_143..262_146]);
    assert_eq!(folder.read_f32("odd").unwrap(), [7.0]);
    assert!(folder.index().is_none() && folder.files().len() == 1);
}

#[test]
fn a_fingerprint_is_of_every_byte_and_of_no_name() {
    let dir = tempfile::tempdir().unwrap();
    let folder = all(dir.path());
    let files = [1, 2].map(|i| dir.path().join(format!("model-0000{i}-of-00002.safetensors")));
    assert_eq!(folder.bytes(), files.iter().map(|f| fs::metadata(f).unwrap().len()).sum::<u64>());
    let first = folder.fingerprint().unwrap();
    assert_eq!(first.len(), 32);
    let elsewhere = tempfile::tempdir().unwrap();
    assert_eq!(all(elsewhere.path()).fingerprint().unwrap(), first);
    let mut bytes = fs::read(&files[1]).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&files[1], bytes).unwrap();
    assert_ne!(Folder::open(dir.path()).unwrap().fingerprint().unwrap(), first);
}

#[test]
fn what_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let folder = all(dir.path());
    let said = message(folder.read_f32("tabel"));
    assert!(said.contains("holds no tensor tabel; the nearest is table"), "{said}");
    let said = message(folder.read_f32("codes"));
    assert!(said.contains("00001-of-00002.safetensors: codes is I32"), "{said}");
    let said = message(folder.read_rows("table", [0, 4]));
    assert!(said.contains("table: row 4 of a table of 4"), "{said}");
    let said = message(folder.read_rows("half", [0]));
    assert!(said.contains("half: [2] has no rows"), "{said}");
    let said = message(folder.read_range("half", 1..3));
    assert!(said.contains("half: elements 1..3 of a tensor that has 2"), "{said}");
    #[expect(clippy::reversed_empty_ranges, reason = "it must be refused")]
    let said = message(folder.read_range("half", 2..1));
    assert!(said.contains("half: elements 2..1"), "{said}");
}

#[test]
fn shards_that_are_missing_or_overlap_are_named() {
    let dir = tempfile::tempdir().unwrap();
    drop(all(dir.path()));
    let shard = dir.path().join("model-00002-of-00002.safetensors");
    let mut twice = Weights::open(&shard).unwrap();
    twice.files.push(Header::open(&shard).unwrap());
    let said = message(Folder::of(twice));
    assert!(said.contains("half is also in") && said.contains("leave it in one"), "{said}");
    // Cut short after it was opened: what is left is read, and the file is named.
    let folder = Folder::open(dir.path()).unwrap();
    let file = fs::File::options().write(true).open(&shard).unwrap();
    file.set_len(folder.info("brain").unwrap().offset).unwrap();
    assert_eq!(folder.read_f32("half").unwrap().len(), 2);
    let said = message(folder.read_f32("brain"));
    assert!(said.contains("cannot read") && said.contains("00002-of-00002"), "{said}");
    fs::remove_file(&shard).unwrap();
    let said = message(Folder::open(dir.path()));
    assert!(said.contains("names model-00002-of-00002.safetensors, which is missing"), "{said}");
}
