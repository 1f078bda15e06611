//! `secateur train`: what it reports, and that the same run gives the same bytes.
use serde_json::{Map, Value};

use crate::folder::{Folder, Run};

/// Mask updates every 10 steps; 0.9 is reached at step 60.
const PRUNING: &str = "--pruning target_sparsity=0.9,pruning_frequency=10,\
                       sparsity_function_begin_step=5,sparsity_function_end_step=60";

/// A small network whose second layer has 125 weights: 112.5 of them are to be pruned.
pub fn train(rest: &str) -> String {
    format!("train --model mlp:25-5 {PRUNING} {rest}")
}

/// The files of a checkpoint that hold tensors, as bytes.
fn tensors(folder: &Folder, logdir: &str, step: u64) -> [Vec<u8>; 2] {
    ["model", "optimizer"]
        .map(|file| folder.read(&format!("{logdir}/ckpt-{step:012}/{file}.safetensors")))
}

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().map(Map::keys).expect("an object").map(String::as_str).collect()
}

#[test]
fn json_is_what_the_contract_says() {
    let Some(folder) = Folder::with_gpu() else { return };
    let report = folder.run(&train("--steps 70 --logdir run --json")).json();
    // serde_json sorts keys.
    let expected = [
        "adapter",
        "backend",
        "checkpoint",
        "global_step",
        "layers",
        "loss",
        "memory",
        "seconds",
        "sparsity",
        "steps_per_second",
        "test_accuracy",
        "test_loss",
        "test_top_5_accuracy",
        "train_accuracy",
        "train_top_5_accuracy",
    ];
    assert_eq!(keys(&report), expected);
    for name in ["adapter", "backend", "checkpoint"] {
        assert!(report[name].as_str().is_some_and(|s| !s.is_empty()), "{name}: {report}");
    }
    assert_eq!(report["global_step"].as_u64(), Some(70));
    for name in ["loss", "seconds", "steps_per_second"] {
        assert!(report[name].as_f64().is_some_and(|v| v > 0.0), "{name}: {report}");
    }
    for name in ["train_accuracy", "test_accuracy"] {
        assert!(report[name].as_f64().is_some_and(|v| v > 0.0 && v <= 1.0), "{name}: {report}");
    }
    assert!(
        folder.path(report["checkpoint"].as_str().unwrap_or("")).join("manifest.json").exists()
    );
}

/// The same numbers before the run as in its report, for an adapter by name. Without one they are
/// those of any GPU, where each tensor may begin a workgroup later than the one before it ends.
#[test]
fn a_plan_says_the_memory_of_the_run() {
    let folder = Folder::new();
    let plan = folder.run(&train("--plan --json")).json();
    assert_eq!(keys(&plan), ["adapter", "memory", "plan"]);
    assert!(
        plan["adapter"].is_null() && plan["plan"].as_str().unwrap().contains("\ntrain:\n"),
        "{plan}"
    );
    let memory = &plan["memory"];
    assert_eq!(keys(memory), ["peak", "persistent", "scratch", "staging", "unshared"]);
    let bytes = |name: &str| memory[name].as_u64().unwrap();
    assert_eq!(bytes("peak"), bytes("persistent") + bytes("scratch") + bytes("staging"));
    assert!(bytes("unshared") > bytes("scratch") && bytes("staging") > 0, "{plan}");
    let text = folder.run(&train("--plan")).ok().out;
    assert!(text.contains(plan["plan"].as_str().unwrap()), "{text}");
    assert!(text.trim_end().ends_with("KiB staging"), "{text}");
    assert_eq!(folder.list("."), [""; 0], "nothing is written");
    let recomputes = folder.run(&train("--plan --recompute 1")).ok().out;
    assert!(recomputes.contains("launches"), "{recomputes}");

    let Some(folder) = Folder::with_gpu() else { return };
    let report = folder.run(&train("--steps 12 --logdir run --json --recompute 1")).json();
    let name = report["adapter"].as_str().expect("a name");
    let mut command = folder.command(&train("--plan --json --adapter"));
    let of_adapter = Run::of(command.arg(name)).json();
    assert_eq!(report["memory"]["persistent"], of_adapter["memory"]["persistent"]);
    // Weights, gradients and two tensors of Adam's, and a mask of each weight.
    let (one, any) = (report["memory"]["persistent"].as_u64().unwrap(), bytes("persistent"));
    assert!((one..one + 1024 * (3 * 6 + 3)).contains(&any), "{one} {any}");
    assert!(String::from_utf8(folder.read("run/recipe.toml")).unwrap().contains("recompute = 1"));
}

#[test]
fn a_finished_schedule_prunes_the_stated_share_of_each_layer() {
    let Some(folder) = Folder::with_gpu() else { return };
    let report = folder.run(&train("--steps 70 --logdir run --json")).json();
    let inspected = folder.run("inspect run --json").json();
    let file = folder.read("run/ckpt-000000000070/model.safetensors");
    let file = safetensors::SafeTensors::deserialize(&file).expect("any reader opens it");
    let shapes = [("fc1.weight", [64, 25]), ("fc2.weight", [25, 5]), ("fc3.weight", [5, 10])];
    let (mut kept, mut all) = (0, 0);
    for (i, (name, shape)) in shapes.into_iter().enumerate() {
        let len: u64 = shape.iter().product();
        let nonzero = len - (len as f64 * 0.9).round_ties_even() as u64;
        (kept, all) = (kept + nonzero, all + len);

        let layer = &report["layers"][i];
        assert_eq!(keys(layer), ["name", "nonzero", "shape", "sparsity", "threshold"]);
        assert_eq!(layer["name"], name);
        assert_eq!(layer["shape"], serde_json::json!(shape));
        assert_eq!(layer["nonzero"].as_u64(), Some(nonzero), "{name}");
        assert_eq!(layer["sparsity"].as_f64(), Some(1.0 - nonzero as f64 / len as f64));
        let threshold = layer["threshold"].as_f64().expect("a number") as f32;

        let data = file.tensor(name).expect("the weight under its plain name").data();
        let weights: Vec<f32> =
            data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        let left: Vec<f32> = weights.iter().copied().filter(|&w| w != 0.0).collect();
        assert_eq!((weights.len() as u64, left.len() as u64), (len, nonzero), "{name}");
        assert!(threshold > 0.0 && threshold < 1.0, "{name}: threshold {threshold}");

        let tensors = inspected["tensors"].as_array().expect("an array");
        let tensor = tensors.iter().find(|t| t["name"] == name).expect("the same tensor");
        assert_eq!(tensor["nonzero"].as_u64(), Some(nonzero), "{name}");
    }
    assert_eq!(report["layers"].as_array().map(Vec::len), Some(shapes.len()));
    assert_eq!(report["sparsity"].as_f64(), Some(1.0 - kept as f64 / all as f64));
}

#[test]
fn a_baseline_runs_when_asked_for_or_when_nothing_is_named() {
    let Some(folder) = Folder::with_gpu() else { return };
    let cases = [
        ("", true),
        ("--no-baseline", false),
        ("--model mlp:8", false),
        ("--data digits", false),
        ("--model mlp:8 --baseline", true),
        ("0/recipe.toml", false),
        ("0/recipe.toml --baseline", true),
    ];
    for (i, (named, expected)) in cases.into_iter().enumerate() {
        let pruning = "--pruning pruning_frequency=5";
        let args = format!("train {named} {pruning} --steps 6 --logdir {i} --json");
        let report = folder.run(&args).json();
        let dense = report.get("dense_test_accuracy").map(|v| v.as_f64().expect("a number"));
        assert_eq!(dense.is_some(), expected, "train {named}");
        assert!(dense.is_none_or(|v| v > 0.0 && v <= 1.0), "{report}");
        let files = folder.path(&format!("{i}/dense/ckpt-000000000006/model.safetensors"));
        assert_eq!(files.exists(), expected, "train {named}");
        assert_eq!(folder.path(&format!("{i}/dense")).exists(), expected, "train {named}");
    }
}

#[test]
fn the_same_command_and_the_recipe_give_the_same_bytes() {
    let Some(folder) = Folder::with_gpu() else { return };
    for _ in 0..2 {
        folder.run(&train("--steps 30 --seed 5")).ok();
    }
    assert_eq!(folder.list("logs"), ["digits-001", "digits-002"]);
    folder.run("train logs/digits-001/recipe.toml --logdir other").ok();
    let first = tensors(&folder, "logs/digits-001", 30);
    assert!(first == tensors(&folder, "logs/digits-002", 30), "the same command again");
    assert!(first == tensors(&folder, "other", 30), "its recipe");
    assert!(folder.read("logs/digits-001/recipe.toml") == folder.read("other/recipe.toml"));
    folder.run(&train("--steps 30 --seed 6 --logdir seed")).ok();
    assert!(first != tensors(&folder, "seed", 30), "another seed");
}

#[test]
fn stopped_and_continued_is_the_same_run() {
    let Some(folder) = Folder::with_gpu() else { return };
    let half = folder.run(&train("--steps 40 --logdir halves --json")).json();
    let whole = folder.run(&train("--steps 80 --logdir halves --json")).json();
    folder.run(&train("--steps 80 --logdir straight")).ok();
    let sparsity = |report: &Value| report["sparsity"].as_f64().expect("a number");
    assert!(0.0 < sparsity(&half) && sparsity(&half) < sparsity(&whole), "masks on both sides");
    let same = tensors(&folder, "halves", 80) == tensors(&folder, "straight", 80);
    assert!(same, "40 + 40 steps differ from 80");

    let before = tensors(&folder, "halves", 80);
    for steps in [80, 60] {
        let args = train(&format!("--steps {steps} --logdir halves --json"));
        let again = folder.run(&args).json();
        assert_eq!(again["global_step"].as_u64(), Some(80), "at its limit of {steps}");
        assert!(again["loss"].is_null(), "no step was taken: {again}");
        assert_eq!(again["test_accuracy"], whole["test_accuracy"]);
        assert!(before == tensors(&folder, "halves", 80), "at its limit of {steps}");
    }
}

/// Products over halves, and a report that says so; the key is there only then.
#[test]
fn precision_is_asked_for_and_said() {
    let Some(folder) = Folder::with_gpu() else { return };
    let plan = |options| folder.run(&format!("train --plan {options}")).ok().out;
    assert!(plan("--precision mixed").contains("f16_matmul"));
    assert!(!plan("--precision f32").contains("f16_matmul"));
    let train = train("--steps 12 --logdir run --json --precision mixed");
    let mut command = folder.command(&train);
    let report = Run::of(command.env("SECATEUR_PRECISION", "f32")).json();
    let devices = folder.run("devices --json").json();
    let f16 = devices["adapters"][0]["f16"].as_bool().unwrap();
    assert_eq!(report["precision"].as_str(), f16.then_some("mixed"), "{report}");
}

/// 90 steps: the target after 45, the last projection after 60, and what is left is a network with
/// zeros in files.
#[test]
fn a_penalty_draws_weights_to_their_projection() {
    let Some(folder) = Folder::with_gpu() else { return };
    let run = "train --model mlp:25-5 --steps 90 --sparsity 0.8 --penalty 0.1 --logdir run --json";
    let report = folder.run(run).json();
    assert_eq!(report["sparsity"].as_f64(), Some(0.8), "{report}");
    let recipe = String::from_utf8(folder.read("run/recipe.toml")).unwrap();
    for line in ["pruned = \"pull\"", "penalty = 0.1", "end_pruning_step = 60"] {
        assert!(recipe.contains(line), "{recipe}");
    }
    folder.run(&run.replace("--logdir run", "--logdir again")).ok();
    assert!(tensors(&folder, "run", 90) == tensors(&folder, "again", 90), "the same bytes");
    let refused = "train --steps 90 --sparsity 0.8 --penalty 0 --logdir other";
    folder.run(refused).fails(2, &["penalty", "above 0"]);
}
