//! A run's own past: its recipe, its rows, its masks and its checkpoints.
use serde_json::Value;

use crate::folder::{Folder, Run};

const BEGIN: &str = "train --model mlp:25-5 --batch 32 --lr 0.0005 --seed 3 --pruning \
                     target_sparsity=0.5,pruning_frequency=5,sparsity_function_end_step=15";

fn recipe(folder: &Folder, name: &str) -> String {
    String::from_utf8(folder.read(name)).expect("text")
}

#[test]
fn a_run_goes_on_by_its_own_recipe() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.run(&format!("{BEGIN} --steps 20 --logdir run")).ok();
    let run = folder.run("train --steps 30 --logdir run --json");
    assert!(run.err.contains("recipe.toml: steps 20 -> 30"), "{}", run.err);
    let report = run.json();
    assert_eq!(report["global_step"], 30);
    assert!((report["sparsity"].as_f64().expect("a number") - 0.5).abs() < 0.01, "{report}");
    let is = recipe(&folder, "run/recipe.toml");
    for line in ["steps = 30", "lr = 0.0005", "target_sparsity = 0.5", "seed = 3", "batch = 32"] {
        assert!(is.lines().any(|l| l == line), "no `{line}` in {is}");
    }
    // As straight as by the whole command.
    folder.run(&format!("{BEGIN} --steps 30 --logdir straight")).ok();
    let file = "ckpt-000000000030/model.safetensors";
    let [a, b] = ["run", "straight"].map(|dir| folder.read(&format!("{dir}/{file}")));
    assert!(a == b, "30 steps differ from 20 + 10");
    assert!(!folder.path("run/dense").exists(), "no baseline where there was none");
}

#[test]
fn what_makes_it_another_run_needs_a_word() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.run(&format!("{BEGIN} --steps 20 --logdir run")).ok();
    let (files, first) = (folder.list("run"), recipe(&folder, "run/recipe.toml"));
    let train = "train --steps 24 --logdir run";
    for (given, named) in [
        ("--lr 0.1", "optimizer.lr 0.0005 -> 0.1"),
        ("--seed 4", "seed 3 -> 4"),
        ("--batch 7", "batch 32 -> 7"),
        ("--sparsity 90%", "pruning.target_sparsity 0.5 -> 0.9"),
        ("--pruning none", "pruning pruning_frequency=5,"),
        ("--optimizer momentum", "optimizer.name adam -> momentum"),
        ("--average 0.9", "average none -> 0.9"),
    ] {
        folder.run(&format!("{train} {given}")).fails(2, &["run/recipe.toml", named, "--override"]);
        assert_eq!(folder.list("run"), files, "{given}: a refused run writes nothing");
        assert_eq!(recipe(&folder, "run/recipe.toml"), first, "{given}");
    }
    // What changes no result needs none.
    folder.run(&format!("{train} --recompute 1 --save-steps 3 --trace-every-n-steps 50")).ok();
    assert!(!folder.path("run/recipe-until-20.toml").exists());
    for (steps, given) in [
        (26, "--seed 4"),
        (28, "--batch 7 --lr 0.1"),
        (30, "--optimizer momentum"),
        (32, "--sparsity 0.8"),
    ] {
        let before = recipe(&folder, "run/recipe.toml");
        let run = folder.run(&format!("train --steps {steps} --logdir run {given} --override"));
        assert!(run.ok().err.contains("kept the recipe until here"), "{given}");
        let kept = format!("run/recipe-until-{}.toml", steps - 2);
        assert_eq!(recipe(&folder, &kept), before, "{given}");
    }
    // Another one for the same step, as after a kill: what led there is not lost.
    folder.run("train --steps 34 --logdir run --lr 0.2 --override").ok();
    let led = recipe(&folder, "run/recipe-until-32.toml");
    for step in [33, 34] {
        let later = folder.path(&format!("run/ckpt-{step:012}"));
        std::fs::remove_dir_all(later).expect("a checkpoint");
    }
    folder.run("train --steps 36 --logdir run --lr 0.3 --override").ok();
    assert_eq!(recipe(&folder, "run/recipe-until-32.toml"), led);
    let new = folder.run("train --model mlp:9 --steps 2 --logdir new --override").ok();
    assert!(new.err.contains("no run to go on with"), "{}", new.err);
    folder
        .run("train --model mlp:9 --steps 40 --logdir run --override")
        .fails(2, &["mlp:25-5", "mlp:9"]);
}

/// Two texts of seven characters, of which the second has two others.
#[test]
fn characters_are_those_of_the_run() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.write("a.txt", "abacabadabacabaeabfabg".repeat(20));
    folder.write("other.txt", "abacabadabacabaxabfaby".repeat(20));
    folder.write("part.txt", "bacabadbacabadaab".repeat(20));
    let model = "--model charlstm:8 --batch 4 --length 6 --lr 0.01";
    folder.run(&format!("train --data text:a.txt {model} --steps 9 --logdir run")).ok();
    let on = |data: &str, more: &str| {
        folder.run(&format!("train --data text:{data} --steps 12 --logdir run {more}"))
    };
    on("part.txt", "").fails(2, &["data text:", "a.txt -> text:", "part.txt", "--override"]);
    let unknown = ["other.txt", "character 15, 'x', is not one of the 7"];
    on("other.txt", "--override").fails(2, &unknown);
    on("part.txt", "--override").ok();
    folder.run("export run -o model.safetensors").ok();
    for model in ["run", "model.safetensors"] {
        // Four of the seven characters: read as the same numbers, all of the file, without a
        // length.
        let rows = |data: &str| {
            folder.run(&format!("eval {model} --data text:{data} --json")).json()["rows"].clone()
        };
        assert_eq!(
            (rows("part.txt"), rows("a.txt")),
            (Value::from(56), Value::from(73)),
            "{model}"
        );
        folder.run(&format!("eval {model} --data text:other.txt")).fails(2, &unknown);
    }
    let whole = folder.run("eval run --data text:a.txt --json").json();
    let exported = folder.run("eval model.safetensors --data text:a.txt --batch 4 --json").json();
    assert_eq!(exported["test_accuracy"], whole["test_accuracy"]);
}

/// The same columns and classes, one other number.
#[test]
fn other_rows_of_the_same_shape_are_told_apart() {
    let Some(folder) = Folder::with_gpu() else { return };
    let table = |x: f32| {
        let row = |i: usize| format!("{},{x},{}\n", i % 2, ["no", "yes"][i % 2]);
        "a,b,kind\n".to_owned() + &(0..40).map(row).collect::<String>()
    };
    folder.write("t.csv", table(0.5));
    let train = "train --data csv:t.csv --label kind --model mlp:4 --batch 8 --logdir run --steps";
    folder.run(&format!("{train} 5")).ok();
    folder.write("t.csv", table(0.25));
    let refused = folder.run(&format!("{train} 9"));
    refused.fails(2, &["other rows (fingerprint ", "t.csv", "(--override)"]);
    assert!(!folder.path("run/ckpt-000000000009").exists());
    folder.run(&format!("{train} 9 --override")).ok();
    folder.run(&format!("{train} 12")).ok();
    // Classes keep their numbers by name, whatever the file begins with; another one is named.
    folder.write("t.csv", table(0.25).replace("yes", "maybe"));
    folder.run(&format!("{train} 15 --override")).fails(2, &["`maybe`", "no, yes"]);
}

#[test]
fn a_schedule_that_ends_past_the_run_is_said() {
    let Some(folder) = Folder::with_gpu() else { return };
    let pruning = "target_sparsity=0.9,sparsity_function_end_step=5000";
    let run =
        folder.run(&format!("train --model mlp:8 --pruning {pruning} --steps 120 --logdir run"));
    let run = run.ok();
    for said in
        ["this run ends at 6.3 % of 90.0 %", "this run ended at 6.3 % of 90.0 %", "step 5000"]
    {
        assert!(run.err.contains(said), "no `{said}` in {}", run.err);
    }
}

/// The built-in schedule was made for 1,800 steps.
#[test]
fn the_built_in_schedule_fits_the_steps() {
    let Some(folder) = Folder::with_gpu() else { return };
    for steps in [150, 3] {
        let run = format!("train --steps {steps} --no-baseline --logdir {steps} --json");
        let report = folder.run(&run).json();
        assert!((report["sparsity"].as_f64().expect("a number") - 0.9).abs() < 0.001, "{report}");
        let files = folder.list(&steps.to_string());
        assert!(!files.iter().any(|name| name.starts_with("timeline")), "unasked: {files:?}");
    }
    let is = recipe(&folder, "150/recipe.toml");
    assert!(is.contains("sparsity_function_begin_step = 17"), "{is}");
    assert!(is.contains("sparsity_function_end_step = 100"), "{is}");
    let asked = "train --model mlp:8 --steps 60 --sparsity 75% --logdir asked --json";
    let report = folder.run(asked).json();
    assert!((report["sparsity"].as_f64().expect("a number") - 0.75).abs() < 0.002, "{report}");
    for wrong in ["-0.1", "1.5", "110%", "half"] {
        let run = folder.run(&format!("train --sparsity {wrong}"));
        run.fails(2, &[wrong, "--sparsity", "from 0 to 1, or from 0% to 100%"]);
    }
}

#[test]
fn pruned_weights_stay_pruned_unless_asked() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.run(&format!("{BEGIN} --steps 20 --logdir run")).ok();
    let sparsity = |run: Run| {
        let text = run.ok().out;
        let line = text.lines().find(|line| line.contains("all ")).unwrap_or("").to_owned();
        (line, text)
    };
    let none = "train --pruning none --override --logdir run --steps";
    let held = folder.run(&format!("{none} 30"));
    assert!(held.err.contains("stays pruned") && held.err.contains("--drop-masks"), "{}", held.err);
    let (line, text) = sparsity(held);
    assert!(line.contains("888 of 1,775"), "{text}");
    // Once more: the next checkpoint knows it too.
    let (line, text) = sparsity(folder.run("train --logdir run --steps 34"));
    assert!(line.contains("888 of 1,775"), "{text}");
    folder.run("train --logdir run --steps 60 --drop-masks").ok();
    let inspected = folder.run("inspect run --json").json();
    let tensors = inspected["tensors"].as_array().expect("an array");
    let first = tensors.iter().find(|t| t["name"] == "fc1.weight").expect("a weight");
    assert!(first["nonzero"].as_u64().expect("a count") > 1100, "they grow again: {first}");
}

#[test]
fn a_run_at_its_limit_says_that_nothing_was_done() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.run(&format!("{BEGIN} --steps 20 --logdir run")).ok();
    let first = recipe(&folder, "run/recipe.toml");
    for steps in [20, 15] {
        let run = folder.run(&format!("train --steps {steps} --logdir run")).ok();
        assert!(
            run.err.contains("nothing was done: the run in run is at global step 20"),
            "{}",
            run.err
        );
        assert!(!run.err.contains("saved"), "{}", run.err);
        assert_eq!(recipe(&folder, "run/recipe.toml"), first);
    }
}
