//! `secateur inspect` on safetensors files made by hand, whole and damaged.
use serde_json::{Value, json};

use crate::folder::Folder;

/// A safetensors file: the length of the header, the header, the values.
fn safetensors(tensors: &[(&str, &str, &[usize], Vec<u8>)]) -> Vec<u8> {
    let (mut header, mut data) = (json!({"__metadata__": {"format": "pt"}}), Vec::new());
    for (name, dtype, shape, bytes) in tensors {
        let begin = data.len();
        data.extend(bytes);
        let offsets = [begin, data.len()];
        header[name] = json!({"dtype": dtype, "shape": shape, "data_offsets": offsets});
    }
    let header = header.to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}

fn words<const N: usize, T: Copy>(values: &[T], bytes: fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&v| bytes(v)).collect()
}

/// Writes a tensor of each kind, with zeros of both signs.
pub fn write_model(folder: &Folder, name: &str) {
    let long: Vec<f32> = (0..300_000).map(|i| if i % 3 == 0 { 1e-30 } else { -0.0 }).collect();
    let half = words(&[0x0000, 0x8000, 0x3c00, 0x0001], u16::to_le_bytes);
    let brain = words(&[0x8000, 0x3f80, 0x0000], u16::to_le_bytes);
    let float = [0.0, -0.0, -1.5, f32::from_bits(1), f32::NAN, f32::INFINITY];
    let int = words(&[0, -1, i64::MIN, 256], i64::to_le_bytes);
    let tensors = [
        ("half", "F16", &[2, 2][..], half),
        ("brain", "BF16", &[3], brain),
        ("a", "F32", &[0], Vec::new()),
        ("b", "F32", &[0, 3], Vec::new()),
        ("c", "I64", &[4, 0], Vec::new()),
        ("float", "F32", &[6, 1], words(&float, f32::to_le_bytes)),
        ("int", "I64", &[4], int),
        ("scalar", "F32", &[], words(&[2.0], f32::to_le_bytes)),
        ("d", "F32", &[0], Vec::new()),
        ("e", "F32", &[0], Vec::new()),
        ("long", "F32", &[300, 1000], words(&long, f32::to_le_bytes)),
    ];
    folder.write(name, safetensors(&tensors));
}

#[test]
fn zeros_of_every_type_are_counted() {
    let folder = Folder::new();
    write_model(&folder, "model.safetensors");
    let expected = [
        ("half", "F16", json!([2, 2]), 2, 0.5),
        ("brain", "BF16", json!([3]), 1, 1.0 - 1.0 / 3.0),
        ("a", "F32", json!([0]), 0, 0.0),
        ("b", "F32", json!([0, 3]), 0, 0.0),
        ("c", "I64", json!([4, 0]), 0, 0.0),
        ("float", "F32", json!([6, 1]), 4, 1.0 - 4.0 / 6.0),
        ("int", "I64", json!([4]), 3, 0.25),
        ("scalar", "F32", json!([]), 1, 0.0),
        ("d", "F32", json!([0]), 0, 0.0),
        ("e", "F32", json!([0]), 0, 0.0),
        ("long", "F32", json!([300, 1000]), 100_000, 1.0 - 100_000.0 / 300_000.0),
    ]
    .map(|(name, dtype, shape, nonzero, sparsity)| {
        json!({"name": name, "dtype": dtype, "shape": shape, "nonzero": nonzero, "sparsity": sparsity})
    });
    // Several times: the order of empty tensors must not be a matter of luck.
    for _ in 0..5 {
        let report = folder.run("inspect model.safetensors --json").json();
        assert_eq!(report["tensors"], json!(expected));
        assert_eq!(report["file"], "model.safetensors");
        assert_eq!(report.get("manifest"), None);
    }
    let text = folder.run("inspect model.safetensors").ok().out;
    assert!(text.contains("300x1000   100,000    66.67 %"), "{text}");
}

#[test]
fn a_checkpoint_is_inspected_with_its_manifest() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.run(&crate::train::train("--steps 12 --logdir run")).ok();
    let report = folder.run("inspect run --json").json();
    assert_eq!(report["manifest"]["global_step"].as_u64(), Some(12));
    let names = report["tensors"].as_array().expect("an array").iter().map(|t| &t["name"]);
    let expected = ["fc1.bias", "fc1.weight", "fc2.bias", "fc2.weight", "fc3.bias", "fc3.weight"];
    assert_eq!(names.collect::<Vec<&Value>>(), expected);
    let text = folder.run("inspect run/ckpt-000000000012").ok().out;
    assert!(text.contains("mlp:25-5 at global step 12"), "{text}");
}

#[test]
fn a_damaged_file_is_named() {
    let folder = Folder::new();
    let tensor = ("w", "F32", &[2][..], vec![0; 8]);
    let whole = safetensors(&[tensor]);
    let with_length = |length: u64| [&length.to_le_bytes(), &whole[8..]].concat();
    let cases = [
        ("truncated", whole[..whole.len() - 2].to_vec(), "the header describes"),
        ("trailing", [&whole[..], b"x"].concat(), "the header describes"),
        ("huge", with_length(u64::MAX), "header of 18446744073709551615 bytes"),
        ("long", with_length(whole.len() as u64 - 7), "not a safetensors file"),
        ("short", with_length(5), "header is damaged"),
        ("tiny", whole[..7].to_vec(), "7 bytes are too few"),
        ("empty", Vec::new(), "0 bytes are too few"),
        ("text", b"this is no model of any kind".to_vec(), "text: it starts with `this`"),
        ("nibbles", safetensors(&[("w", "F4", &[3], vec![0; 2])]), "F4 of [3] needs 1.5"),
        (
            "bytes",
            safetensors(&[("w", "F32", &[3], vec![0; 8])]),
            "w has 8 bytes, F32 of [3] needs 12",
        ),
    ];
    for (name, bytes, message) in cases {
        folder.write(name, bytes);
        folder.run(&format!("inspect {name} --json")).fails(2, &[name, message]);
    }
    folder.run("inspect missing").fails(2, &["missing"]);
    std::fs::create_dir(folder.path("m")).expect("a folder");
    folder.write("m/x", "");
    folder.run("inspect m").fails(2, &["holds no checkpoint", "it holds x"]);
}

#[test]
fn a_checkpoint_shows_its_masks() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.run(&crate::train::train("--steps 12 --logdir run")).ok();
    folder.run("inspect run --pictures masks").ok();
    let mut pictures = folder.list("masks");
    pictures.sort_unstable();
    assert_eq!(pictures, ["fc1.weight.png", "fc2.weight.png", "fc3.weight.png"]);
    assert_eq!(folder.read("masks/fc1.weight.png")[1..4], *b"PNG");
    folder.write("m.safetensors", safetensors(&[("w", "F32", &[2][..], vec![0; 8])]));
    folder.run("inspect m.safetensors --pictures masks").fails(2, &["a checkpoint"]);
}
