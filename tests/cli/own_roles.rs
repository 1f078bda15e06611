//! What `secateur prune` takes for a weight in networks that it has trained.
use serde_json::{Value, json};

use crate::folder::Folder;
use crate::tensors::{floats, is_2_of_4, read};

/// Convolutions with batch norm.
const BATCH_NORM: &str = include_str!("../recipes/batch_norm.toml");

/// Layers with names of which one ends like the other.
const NAMES: &str = r#"
data = "digits"
batch = 64
steps = 20
seed = 1

[[model]]
kind = "flatten"
[[model]]
kind = "linear"
name = "a"
outputs = 16
[[model]]
kind = "linear"
name = "ba"
activation = "identity"

[optimizer]
name = "adam"
lr = 0.01
"#;

fn fates(report: &Value, fate: &str) -> Vec<String> {
    let tensors = report["tensors"].as_array().unwrap().iter().filter(|t| t["fate"] == fate);
    let mut names: Vec<_> = tensors.map(|t| t["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn statistics_of_a_batch_norm_stay() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.write("bn.toml", BATCH_NORM);
    folder.run("train bn.toml --logdir run --no-baseline").ok();
    folder.run("export run -o whole.safetensors").ok();
    let accuracy = |file: &str| {
        let report = folder.run(&format!("eval {file} --data digits --json")).json();
        report["test_accuracy"].as_f64().unwrap()
    };
    let whole = accuracy("whole.safetensors");
    let prune = "prune whole.safetensors -o pruned.safetensors --sparsity 0.3 --json";
    let report = folder.run(prune).json();
    let pruned = accuracy("pruned.safetensors");
    assert!(whole > 0.9 && pruned > whole - 0.02, "{pruned} of {whole}");
    assert_eq!(fates(&report, "pruned"), ["conv1.weight", "conv2.weight", "fc1.weight"]);
    let files = ["whole.safetensors", "pruned.safetensors"].map(|name| folder.read(name));
    for name in ["conv1.norm.running", "conv2.norm.running"] {
        let [before, after] = [0, 1].map(|i| read(&files[i], name));
        assert!(before == after && !before.is_empty(), "{name} has changed");
    }
    assert_eq!(
        report["dense"]["statistic"].as_array().map(Vec::len),
        Some(2),
        "{}",
        report["dense"]
    );

    // What a score cannot rank is named with the option that leaves it out here.
    let refused = folder.run("prune run -o w.safetensors --score wanda --sparsity 50%");
    assert!(!refused.err.contains("do_not_prune"), "{}", refused.err);
    refused.fails(2, &["conv1.weight", "--exclude"]);

    // N:M runs along the channels that a kernel reads, and leaves one of one channel dense, with
    // data and without; a checkpoint's own file says its model in its manifest.
    let checkpoint =
        folder.list("run").into_iter().filter(|n| n.starts_with("ckpt-")).max().unwrap();
    for (input, more) in [
        ("whole.safetensors".to_owned(), ""),
        (format!("run/{checkpoint}/model.safetensors"), ""),
        ("run".to_owned(), "--score saliency --rows 64"),
    ] {
        let args = format!("prune {input} -o nm.safetensors --pattern 2:4 --force --json {more}");
        let report = folder.run(&args).json();
        assert_eq!(report["skipped"], json!(["conv1.weight"]), "{input}");
        assert_eq!(fates(&report, "pruned"), ["conv2.weight", "fc1.weight"], "{input}");
        let after = folder.read("nm.safetensors");
        assert!(read(&files[0], "conv1.weight") == read(&after, "conv1.weight"), "{input}");
        assert!(is_2_of_4(&floats(&after, "conv2.weight"), 16, 16), "{input}");
    }
}

/// The expressions are the same with every score: the whole name decides, not a part of it.
#[test]
fn expressions_are_the_same_with_every_score() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.write("names.toml", NAMES);
    folder.run("train names.toml --logdir run --no-baseline --pruning none").ok();
    folder.run("export run -o whole.safetensors").ok();
    for (input, score) in
        [("run", "wanda"), ("run", "saliency"), ("whole.safetensors", "magnitude")]
    {
        let prune = format!("prune {input} -o p.safetensors --force --json --score {score}");
        let run = |more: &str| folder.run(&format!("{prune} --sparsity 0.5 {more}"));
        let report = run("--exclude ^a\\.").json();
        assert_eq!(fates(&report, "pruned"), ["ba.weight"], "{score}");
        assert_eq!(report["sparsity"], json!(0.5));
        let after = folder.read("p.safetensors");
        let zeros = |name: &str| floats(&after, name).iter().filter(|&&v| v == 0.0).count();
        assert_eq!((zeros("a.weight"), zeros("ba.weight")), (0, 80), "{score}");
        assert_eq!(fates(&run("--only ^a\\.").json(), "pruned"), ["a.weight"], "{score}");
        assert_eq!(fates(&run("--exclude nix").json(), "pruned"), ["a.weight", "ba.weight"]);
        run("--exclude weight").fails(2, &["none of 4 tensors is a weight that is asked for"]);
    }
    let dry = "prune run --score wanda --sparsity 0.5 --dry-run --exclude ^a --json";
    assert_eq!(fates(&folder.run(dry).json(), "pruned"), ["ba.weight"]);
    let wanda = "prune run -o q.safetensors --score wanda --sparsity 0.5";
    folder.run(&format!("{wanda} --include bias")).fails(2, &["has no mask", "--score magnitude"]);
    let axis = "prune run -o q.safetensors --score wanda --pattern 2:4 --axis 1";
    folder.run(axis).fails(2, &["--axis"]);
}
