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
        "name": "fc.weight", "shape": [10, 4], "dtype": "F32",
        "role": "weight", "why": "a linear layer [out, in]", "axis": 1, "fate": "pruned",
        "sparsity": 0.8, "nonzero": 8, "threshold": 16.0,
    });
    let bias = json!({
        "name": "fc.bias", "shape": [2], "dtype": "F32",
        "role": "bias", "why": "a bias, which is added", "axis": Value::Null, "fate": "dense",
        "sparsity": 0.5, "nonzero": 1, "threshold": Value::Null,
    });
    assert_eq!(report["tensors"], json!([weight, bias]));
    let text = folder.run("prune m.safetensors -o q.safetensors --pattern 2:4").ok().out;
    assert!(text.contains("10x4") && text.contains("50.00 % of 1 tensors pruned"), "{text}");
    let inspected = folder.run("inspect p.safetensors --json").json();
    assert_eq!(inspected["tensors"][0]["nonzero"].as_u64(), Some(8));
    let report = folder
        .run("prune m.safetensors -o b.safetensors --pattern block:5x2 --sparsity 50% --json");
    // Of four blocks the two of lower mean, 11 and 9 in the lower half of -20 to 19, stay not.
    let report = report.json();
    let weight = &report["tensors"][0];
    assert_eq!((&weight["nonzero"], &report["pattern"]), (&json!(20), &json!("block:5x2")));
    let all = ["b.safetensors", "m.safetensors", "p.safetensors", "q.safetensors"];
    assert_eq!(folder.list("."), all);
}

/// Wanda needs a network and its data; from a logdir it takes both.
#[test]
fn a_trained_network_is_pruned_by_what_it_sees() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder
        .run("train --data digits --model mlp:32 --steps 150 --batch 64 --lr 0.005 --pruning none --logdir run")
        .ok();
    folder.run("export run -o whole.safetensors").ok();
    let accuracy = |file: &str| -> f64 {
        let report = folder.run(&format!("eval {file} --data digits --json")).json();
        report["test_accuracy"].as_f64().unwrap()
    };
    let whole = accuracy("whole.safetensors");
    let mut outputs = Vec::new();
    for (input, score) in [
        ("run", "wanda"),
        ("whole.safetensors --data digits", "wanda"),
        ("run", "saliency"),
        ("whole.safetensors", "magnitude"),
        ("run", "movement"),
    ] {
        let report = folder.run(&format!(
            "prune {input} -o {score}.safetensors --score {score} --sparsity 0.5 --force --json"
        ));
        let report = report.json();
        assert_eq!((&report["score"], &report["sparsity"]), (&json!(score), &json!(0.5)));
        let nonzero: Vec<_> = report["tensors"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|t| t["fate"] == "pruned")
            .map(|t| t["nonzero"].as_u64())
            .collect();
        assert_eq!(nonzero, [Some(1024), Some(160)], "{score}");
        outputs.push(folder.read(&format!("{score}.safetensors")));
        let pruned = accuracy(&format!("{score}.safetensors"));
        assert!(
            !["wanda", "magnitude"].contains(&score) || pruned > whole - 0.1,
            "{score}: {pruned}, {whole}"
        );
    }
    assert!(outputs[0] == outputs[1], "a checkpoint and its export are one network");
    assert!(outputs[1] != outputs[2] && outputs[1] != outputs[3]);
    let text = folder
        .run("prune run -o w.safetensors --score wanda --sparsity 0.5 --exclude fc2 --rows 100");
    assert!(text.ok().out.contains("50.00 % of 1 tensors pruned"));
    for (args, part) in [
        ("whole.safetensors -o x.safetensors --score wanda --sparsity 0.5", "name it with --data"),
        (
            "whole.safetensors -o whole.safetensors --score wanda --sparsity 0.5 --data digits --force",
            "is the input",
        ),
        ("run -o w.safetensors --score wanda --sparsity 0.5", "--force"),
        ("run -o w.bin --score wanda --sparsity 0.5", ".safetensors"),
        ("run -o x.safetensors --score wanda --sparsity 0.5 --include nix", "matches none"),
    ] {
        folder.run(&format!("prune {args}")).fails(2, &[part]);
    }
}

#[test]
fn refusals_say_the_way_out() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.write("m.safetensors", model());
    let cases: [(&str, &[&str]); 14] = [
        ("m.safetensors -o m.safetensors --sparsity 0.5 --force", &["is the input"]),
        ("m.safetensors -o p.safetensors", &["--sparsity is missing"]),
        ("m.safetensors -o p.safetensors --sparsity 2", &["from 0 to 1, or from 0% to 100%"]),
        ("m.safetensors -o p.safetensors --sparsity -0.1", &["'-0.1'", "from 0 to 1"]),
        ("m.safetensors -o p.safetensors --sparsity 80", &["write 80% or 0.8"]),
        ("m.safetensors -o p.safetensors --sparsity half", &["'half'", "from 0% to 100%"]),
        ("m.safetensors -o p.safetensors --pattern 4:2", &["below M"]),
        ("m.safetensors -o p.safetensors --pattern wavy --sparsity 0.5", &["like 2:4"]),
        ("m.safetensors -o p.safetensors --pattern block:2 --sparsity 0.5", &["block:4x4"]),
        ("m.safetensors -o p.safetensors --pattern block:0x2 --sparsity 0.5", &["at least 1x1"]),
        (
            "m.safetensors -o p.safetensors --score best --sparsity 0.5",
            &["one of magnitude, saliency, movement, wanda"],
        ),
        (
            "m.safetensors -o p.safetensors --score wanda --sparsity 0.5",
            &["does not say its model"],
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
