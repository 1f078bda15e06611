//! `secateur generate`: text behind a prompt, as people and as programs read it.
use std::fs;

use serde_json::{Value, json};

use crate::folder::Folder;
use crate::paths::project;
use crate::pretrained::tokenizer;

/// The golden `name` with a tokenizer of words, a prompt, and the words that transformers wrote.
fn with(name: &str, words: u32) -> Option<(Folder, String, Vec<String>)> {
    let folder = Folder::with_gpu()?;
    folder.copy_model(name);
    folder.write(&format!("{name}/tokenizer.json"), tokenizer(words));
    let golden = fs::read_to_string(project().join("tests/goldens/generation.json")).unwrap();
    let golden: Value = serde_json::from_str(&golden).unwrap();
    let words = |key: &str| {
        let ids = golden[name][key].as_array().unwrap();
        ids.iter().map(|id| format!("w{id}")).collect::<Vec<_>>()
    };
    Some((folder, words("prompt").join(" "), words("tokens")))
}

fn run(folder: &Folder, model: &str, prompt: &str, more: &str) -> crate::folder::Run {
    let mut command = folder.command(&format!("generate {model} {more}"));
    crate::folder::Run::of(command.arg("--prompt").arg(prompt))
}

#[test]
fn a_text_is_written_behind_a_prompt() {
    let Some((folder, prompt, words)) = with("llama", 101) else { return };
    let report = run(&folder, "llama", &prompt, "--tokens 10 --ignore-end --json").json();
    assert_eq!(report["text"].as_str().unwrap().trim(), words.join(" "), "{report}");
    assert_eq!(
        (&report["stop"], report["tokens"].as_array().unwrap().len()),
        (&json!("tokens"), 10)
    );
    for key in ["prompt_tokens_per_second", "tokens_per_second", "token_ms_p50", "token_ms_p95"] {
        assert!(report[key].as_f64().unwrap() > 0.0, "{key}: {report}");
    }
    let text = run(&folder, "llama", &prompt, "--tokens 10 --ignore-end").ok();
    assert_eq!(text.out.trim(), words.join(" "));
    for what in ["stopped", "10 tokens", "p95", "device memory", "adapter"] {
        assert!(text.err.contains(what), "{}\nlacks {what}", text.err);
    }
    // What is said beforehand is what was taken.
    let plan = run(&folder, "llama", &prompt, "--tokens 10 --plan --json").json();
    assert_eq!(plan["positions"], 11 + 10 - 1);
    assert!(plan["memory"]["peak"].as_u64().unwrap() > 0, "{plan}");
    let small = run(&folder, "llama", &prompt, "--memory-budget 1000");
    assert!(small.code == 2 && small.err.contains("memory budget"), "{}", small.err);
}

#[test]
fn a_text_ends_with_the_models_token_or_its_positions() {
    let Some((folder, prompt, words)) = with("llama", 101) else { return };
    let first = words.iter().position(|word| *word != words[0]).unwrap();
    let end: u32 = words[first][1..].parse().unwrap();
    folder.write("llama/generation_config.json", json!({"eos_token_id": [end]}).to_string());
    let report = run(&folder, "llama", &prompt, "--json").json();
    assert_eq!((&report["stop"], &report["end_token"]), (&json!("end"), &json!(end)), "{report}");
    assert_eq!(report["tokens"].as_array().unwrap().len(), first + 1);
    let text = run(&folder, "llama", &prompt, "").ok();
    assert!(text.err.contains(&format!("by token {end} (w{end})")), "{}", text.err);
    let sampled = "--temperature 3 --top-k 50 --top-p 0.99 --ignore-end --tokens 500 --json";
    let drawn =
        |seed: u32| run(&folder, "llama", &prompt, &format!("{sampled} --seed {seed}")).json();
    let one = drawn(1);
    assert_eq!(one["stop"], "positions", "{one}");
    assert_eq!(one["tokens"], drawn(1)["tokens"]);
    assert_ne!(one["tokens"], drawn(2)["tokens"]);
}

#[test]
fn what_cannot_be_written_is_refused() {
    let Some((folder, prompt, _)) = with("llama", 101) else { return };
    let refused = |prompt: &str, more: &str, what: &[&str]| {
        let run = run(&folder, "llama", prompt, more);
        assert_eq!(run.code, 2, "{more}: {}", run.err);
        what.iter().for_each(|what| assert!(run.err.contains(what), "{}\nlacks {what}", run.err));
    };
    refused("", "", &["no tokens"]);
    refused(&"w1 ".repeat(65), "", &["65 tokens", "64 positions"]);
    refused(&prompt, "--tokens 0", &["--tokens 0"]);
    refused(&prompt, "--temperature 0", &["temperature", "above 0"]);
    refused(&prompt, "--top-p 1.5", &["top_p", "1.5"]);
    refused(&prompt, "--top-k 0", &["top_k"]);
    refused(&prompt, "--seed 3", &["--seed", "--temperature"]);
    folder.write("llama/tokenizer.json", tokenizer(102));
    refused(&prompt, "", &["tokenizer of another vocabulary"]);
    folder.copy_model("bert");
    let bert = run(&folder, "bert", &prompt, "");
    assert!(bert.code == 2 && bert.err.contains("no language model"), "{}", bert.err);
}

/// A folder is packed and timed in one line, and text is written with what was the faster.
#[test]
fn what_was_faster_packed_is_packed_for_text() {
    let Some((folder, prompt, _)) = with("llama", 101) else { return };
    folder.run("prune llama -o pruned --score magnitude --sparsity 0.75").ok();
    let export = "export pruned -o fast --format smallest --fastest --json";
    let report = folder.run(export).json();
    let layers = report["fastest"]["layers"].as_array().unwrap();
    // Two blocks of seven matrices, and what makes the logits.
    assert_eq!(layers.len(), 15, "{report}");
    let chosen = layers.iter().filter(|layer| !layer["choice"].is_null()).count() as u64;
    let written = run(&folder, "fast", &prompt, "--tokens 3 --json").json();
    assert_eq!(written["packed"].as_u64().unwrap_or(0), chosen, "{written}");
    for layer in layers {
        assert_eq!(layer["rows"], 1, "{layer}");
        let times = layer.get("times").is_some_and(|times| !times.is_null());
        assert_eq!(times, layer["sparsity"].as_f64().unwrap() >= 0.1, "{layer}");
    }
    // Dense, but for what the table says in words.
    let text = folder.run("export pruned -o plain --fastest").ok().out;
    for part in ["q_proj", "dense ms", "too few to leave out"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    folder.run(export).fails(2, &["fast", "--force"]);
    folder.run("export pruned -o other --fastest --batch 0").fails(2, &["--batch 0"]);
    folder.copy_model("bert");
    folder.run("export bert -o other --fastest").fails(2, &["bert", "no language model"]);
    assert!(!folder.path("other").exists());
}
