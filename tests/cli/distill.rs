//! `secateur train --init FOLDER --distill DENSE`: a pruned folder comes near to the dense one.
use serde_json::Value;

use crate::folder::{Folder, Run};
use crate::recover::{copy, tensors, zeros};

const TRAIN: &str = "--data text:text.txt --length 12 --batch 4 --lr 0.002";

/// The part of what `train` says that other runs must say, too.
fn figures(run: Run) -> [Value; 4] {
    let report = run.json();
    let names = ["loss", "test_loss", "test_perplexity", "sparsity"];
    names.map(|name| report[name].clone())
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[test]
fn a_pruned_folder_comes_near_to_its_dense_model_again() {
    let Some(folder) = Folder::with_gpu() else { return };
    copy(&folder, "llama");
    folder.run("prune llama -o pruned --sparsity 50%").ok();
    let run = format!("train --init pruned --distill llama --temperature 2 {TRAIN}");
    // The states of the dense model: 49 windows of 600 tokens in two parts, 48 channels.
    assert_eq!((44 + 4) * 12 * 48 * 4, 108 << 10);
    let plan = folder.run(&format!("{run} --steps 12 --plan")).ok().out;
    assert!(plan.contains("108.0 KiB of host memory for what the dense model makes"), "{plan}");
    assert!(plan.contains("  distillation "), "{plan}");

    let first = figures(folder.run(&format!("{run} --steps 1 --logdir first --json")));
    let straight = folder.run(&format!("{run} --steps 12 --logdir whole -o out --json")).json();
    let [before, after] = [&first[1], &straight["test_loss"]].map(number);
    assert!(after < 0.8 * before, "{after}, {before} before");
    // What it says of the text is the text's.
    let [perplexity, of_text] =
        ["test_perplexity", "test_cross_entropy"].map(|name| number(&straight[name]));
    assert!((perplexity / of_text.exp() - 1.0).abs() < 1e-9, "{perplexity}, {of_text}");
    assert!((of_text - after).abs() > 0.5 * of_text, "{of_text}, {after} of the teacher");
    let [old, new] = ["pruned", "out"].map(|name| tensors(&folder.path(name)));
    assert!(old.keys().eq(new.keys()));
    for (name, values) in &old {
        assert_ne!(*values, new[name], "{name} has not moved");
        assert_eq!(zeros(values), zeros(&new[name]), "{name}");
    }

    // The recipe says it, so that a run goes on, here behind its eleven batches.
    folder.run(&format!("{run} --epochs 1 --logdir halves")).ok();
    let goes_on =
        figures(folder.run("train --logdir halves --steps 12 --recompute 1 -o again --json"));
    let names = ["loss", "test_loss", "test_perplexity", "sparsity"];
    assert_eq!(goes_on, names.map(|name| straight[name].clone()));
    assert!(folder.read("again/model.safetensors") == folder.read("out/model.safetensors"));
    let other = ["is of a run with other settings", "temperature"];
    folder.run("train --logdir halves --steps 13 --temperature 1").fails(2, &other);
    folder.write("llama/model.safetensors", folder.read("pruned/model.safetensors"));
    let changed = ["llama has changed since the run in halves began", "--override"];
    folder.run("train --logdir halves --steps 13").fails(2, &changed);
}

#[test]
fn what_cannot_teach_is_refused_before_anything_is_written() {
    let Some(folder) = Folder::with_gpu() else { return };
    ["llama", "gpt2", "bert"].iter().for_each(|name| copy(&folder, name));
    let fails = |options: &str, parts: &[&str]| {
        folder.run(&format!("train --logdir run --steps 2 {options}")).fails(2, parts);
    };
    let init = |options: &str, parts: &[&str]| {
        fails(&format!("--init llama --data text:text.txt --length 12 {options}"), parts);
    };
    init("--distill none", &["--distill none", "config.json"]);
    init("--distill gpt2", &["`teacher`", "gpt2 has 89 tokens", "llama has 101"]);
    init("--distill bert", &["`teacher`", "bert is no language model"]);
    init("--temperature 2", &["--temperature", "--distill FOLDER"]);
    init("--distill-share 0.5", &["--distill-share", "--distill FOLDER"]);
    init("--distill llama --temperature 0", &["temperature 0 must be 0.001 to 1000"]);
    init("--distill llama --distill-share 2", &["share 2 of the teacher must be 0 to 1"]);
    fails("--distill llama", &["--distill", "--init FOLDER"]);
    fails("--temperature 2", &["--temperature", "--distill FOLDER"]);
    assert_eq!(folder.list("."), ["bert", "gpt2", "llama", "text.txt"]);
}
