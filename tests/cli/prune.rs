//! `secateur prune`: its JSON, its table, its refusals.
use serde_json::{Value, json};

use crate::folder::Folder;

fn model() -> Vec<u8> {
    let values: Vec<u8> = (0..40u8).flat_map(|i| (f32::from(i) - 20.0).to_le_bytes()).collect();
    let bias: Vec<u8> = [0.0f32, 1.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let header = json!({
        "__metadata__": {"format": "pt"},
        "fc.weight": {"dtype": "F32", "shape": [10, 4], "data_offsets": [0, 160]},
        "fc.bias": {"dtype": "F32", "shape": [2], "data_offsets": [160, 168]},
    });
    let header = header.to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &values, &bias].concat()
}

#[test]
fn a_file_is_pruned_and_reported() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.write("m.safetensors", model());
    let report = folder.run("prune m.safetensors -o p.safetensors --sparsity 0.8 --json").json();
    assert_eq!(report["scope"], "layer");
    assert_eq!(report["pattern"], "unstructured");
    assert_eq!(report["sparsity"].as_f64(), Some(0.8));
    assert!(report["seconds"].as_f64().is_some() && report["adapter"].is_string());
    let weight = json!({
        "name": "fc.weight", "shape": [10, 4], "dtype": "f32",
        "sparsity": 0.8, "nonzero": 8, "threshold": 16.0,
    });
    let bias = json!({
        "name": "fc.bias", "shape": [2], "dtype": "f32",
        "sparsity": 0.5, "nonzero": 1, "threshold": Value::Null,
    });
    assert_eq!(report["tensors"], json!([weight, bias]));
    let text = folder.run("prune m.safetensors -o q.safetensors --pattern 2:4").ok().out;
    assert!(text.contains("10x4") && text.contains("50.00 % of 1 tensors pruned"), "{text}");
    let inspected = folder.run("inspect p.safetensors --json").json();
    assert_eq!(inspected["tensors"][0]["nonzero"].as_u64(), Some(8));
    assert_eq!(folder.list("."), ["m.safetensors", "p.safetensors", "q.safetensors"]);
}

#[test]
fn refusals_say_the_way_out() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.write("m.safetensors", model());
    let cases: [(&str, &[&str]); 8] = [
        ("m.safetensors -o m.safetensors --sparsity 0.5 --force", &["is the input"]),
        ("m.safetensors -o p.safetensors", &["--sparsity is missing"]),
        ("m.safetensors -o p.safetensors --sparsity 2", &["in 0 to 1"]),
        ("m.safetensors -o p.safetensors --pattern 4:2", &["below M"]),
        ("m.safetensors -o p.safetensors --pattern wavy --sparsity 0.5", &["like 2:4"]),
        (
            "m.safetensors -o p.safetensors --pattern block:2x2 --sparsity 0.5",
            &["not in this version"],
        ),
        ("m.safetensors -o p.safetensors --include ( --sparsity 0.5", &["--include"]),
        ("none.safetensors -o p.safetensors --sparsity 0.5", &["none.safetensors"]),
    ];
    for (args, parts) in cases {
        folder.run(&format!("prune {args}")).fails(2, parts);
    }
    folder.run("prune m.safetensors -o p.safetensors --sparsity 0.5").ok();
    folder.run("prune m.safetensors -o p.safetensors --sparsity 0.5").fails(2, &["--force"]);
    folder.run("prune m.safetensors -o p.safetensors --sparsity 0.5 --force").ok();
    assert_eq!(folder.list("."), ["m.safetensors", "p.safetensors"]);
}
