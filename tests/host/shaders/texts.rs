//! Every text and every pipeline on disk, for compilers that are not naga: `scripts/judge_tint.sh`.
use std::fs;
use std::path::Path;

use secateur::gpu::{Precision, Target};
use serde_json::{Map, Value, json};

/// Writes them to `shaders` in cargo's folder for tests: the texts, and `pipelines.json`, which has
/// for each pipeline its text and constants.
#[test]
fn texts_are_written_for_other_compilers() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shaders");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    let mut pipelines: Vec<Value> = Vec::new();
    for kernel in super::all() {
        let variants = kernel.variants.iter().map(|v| (Some(v.name), v.wgsl));
        for (variant, wgsl) in [(None, kernel.wgsl)].into_iter().chain(variants) {
            let name = file(kernel.name, variant);
            fs::write(dir.join(&name), portable(wgsl)).unwrap();
            pipelines.push(json!({ "text": name, "constants": {} }));
        }
    }
    let texts = pipelines.len();
    let software = Target { software: true, ..Target::default() };
    let lanes = Target { subgroup: Some(8), ..software };
    let mixed = Target { precision: Precision::Mixed, ..Target::default() };
    let coop = Target { cooperative: Some(16), subgroup: Some(32), ..mixed };
    for target in [Target::default(), software, lanes, mixed, coop] {
        let plan = super::everything(target).to_string();
        for line in plan.lines().filter(|line| line.starts_with("  ")) {
            let pipeline = pipeline(line);
            if !pipelines.contains(&pipeline) {
                pipelines.push(pipeline);
            }
        }
    }
    assert!(texts > 90 && pipelines.len() > texts, "{texts} texts, {} pipelines", pipelines.len());
    let text = |p: &Value| dir.join(p["text"].as_str().unwrap());
    assert!(pipelines.iter().all(|p| text(p).exists()));
    let all = serde_json::to_string_pretty(&pipelines).unwrap();
    fs::write(dir.join("pipelines.json"), all).unwrap();
}

fn file(kernel: &str, variant: Option<&str>) -> String {
    let variant = variant.map(|v| format!(".{v}")).unwrap_or_default();
    format!("{kernel}{variant}.wgsl")
}

/// As WGSL has it: naga 30 knows subgroups without their directive, and refuses the directive.
fn portable(wgsl: &str) -> String {
    let code = |line: &str| !line.trim_start().starts_with("//") && line.contains("subgroup");
    match wgsl.lines().any(code) && !wgsl.contains("enable wgpu_cooperative_matrix;") {
        true => format!("enable subgroups;\n{wgsl}"),
        false => wgsl.to_owned(),
    }
}

/// Of a launch as a plan prints it.
fn pipeline(line: &str) -> Value {
    let words: Vec<&str> = line.split_whitespace().collect();
    let constants: Map<String, Value> = words
        .iter()
        .filter_map(|word| word.split_once(':'))
        .map(|(name, value)| (name.to_owned(), json!(value.parse::<f64>().unwrap())))
        .collect();
    let variant = words.iter().find_map(|w| w.strip_prefix('(')?.strip_suffix(')'));
    json!({ "text": file(words[0], variant), "constants": constants })
}
