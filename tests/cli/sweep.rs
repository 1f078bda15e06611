//! `secateur sweep`: the grid, what is done before, what fails, what is interrupted.
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::folder::Folder;

const RECIPE: &str = "\
data = 'digits'
model = 'mlp:4'
batch = 16
steps = 12
seed = 5
eval_steps = 0
[optimizer]
name = 'adam'
lr = 0.01
[pruning]
target_sparsity = 0.5
pruning_frequency = 2
sparsity_function_end_step = 8
";

fn with_recipe() -> Option<Folder> {
    let folder = Folder::with_gpu()?;
    folder.write("small.toml", RECIPE);
    Some(folder)
}

#[test]
fn a_grid_ends_in_one_table_and_is_not_run_twice() {
    let Some(folder) = with_recipe() else { return };
    let args = "sweep small.toml --sparsity 0,0.75 --seeds 2 --json";
    let report = folder.run(args).json();
    let trials = report["trials"].as_array().unwrap();
    let names: Vec<&str> = trials.iter().map(|t| t["name"].as_str().unwrap()).collect();
    let expected =
        ["sparsity-0_seed-5", "sparsity-0_seed-6", "sparsity-0.75_seed-5", "sparsity-0.75_seed-6"];
    assert_eq!(names, expected);
    let of = |at: usize, name: &str| trials[at]["outcome"][name].as_f64().unwrap();
    assert_eq!([of(0, "sparsity"), of(2, "sparsity")], [0.0, 0.75]);
    assert!(of(2, "bytes") < of(0, "bytes") && of(0, "bytes") == of(0, "dense_bytes"));
    let groups = report["groups"].as_array().unwrap();
    let mean = (of(0, "value") + of(1, "value")) / 2.0;
    assert!((groups[0]["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert_eq!(groups.len(), 2);
    let logdir = "logs/sweep-small";
    for file in ["sweep.json", "sweep.csv", "sweep.svg", "report.html"] {
        assert!(folder.list(logdir).iter().any(|name| name == file), "no {file}");
    }
    // Again, and with more of it: what is there is not run again.
    let before = folder.read(&format!("{logdir}/{}/result.json", names[2]));
    let again = folder.run("sweep small.toml --sparsity 0,0.75,0.5 --seeds 2").ok();
    assert_eq!(again.err.matches(": done before").count(), 4, "{}", again.err);
    assert!(folder.read(&format!("{logdir}/{}/result.json", names[2])) == before);
    assert!(again.out.contains("deviation") && again.out.contains("sweep.csv"), "{}", again.out);
    // Another recipe in the same place is refused before anything runs.
    folder.write("small.toml", RECIPE.replace("batch = 16", "batch = 8"));
    folder.run(args).fails(2, &["batch 16 -> 8", "--logdir"]);
    // One that lost its result goes on from its checkpoint, and has it again.
    folder.write("small.toml", RECIPE);
    let result = format!("{logdir}/{}/result.json", names[0]);
    std::fs::remove_file(folder.path(&result)).unwrap();
    let plan = folder.run(&format!("{args} --plan")).json();
    let states: Vec<&str> =
        plan["runs"].as_array().unwrap().iter().map(|r| r["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["goes on", "done", "done", "done"]);
    let run = folder.run(args);
    assert!(run.err.contains("sparsity-0_seed-5: goes on"), "{}", run.err);
    let later = run.json();
    assert_eq!(later["trials"][0]["outcome"]["value"], trials[0]["outcome"]["value"]);
}

#[test]
fn a_run_that_fails_is_told_and_the_others_go_on() {
    let Some(folder) = with_recipe() else { return };
    let args = "sweep small.toml --set lr=1e38,0.01 --set model=mlp:3 --logdir s";
    let run = folder.run(args);
    assert_eq!(run.code, 2, "{}", run.err);
    let name = "lr-1e38_model-mlp-3_seed-5";
    for part in ["1 of 2 runs failed", name, "not finite", "tries them again"] {
        assert!(run.err.contains(part), "no `{part}` in {}", run.err);
    }
    let sweep: Value = serde_json::from_slice(&folder.read("s/sweep.json")).unwrap();
    assert!(sweep["trials"][0]["failed"].as_str().unwrap().contains("not finite"), "{sweep}");
    assert!(sweep["trials"][1]["outcome"]["value"].is_f64(), "{sweep}");
    assert!(run.out.contains("0 of 1"), "{}", run.out);
    // It is tried again, the other is not run again.
    let run = folder.run(args);
    assert!(run.code == 2 && run.err.contains("lr-0.01_model-mlp-3_seed-5: done before"));
}

#[test]
fn keys_and_values_are_looked_at_first() {
    let folder = Folder::new();
    folder.write("small.toml", RECIPE);
    let refused = [
        ("--set bach=8,16", "did you mean batch?"),
        ("--set optimizer.lrr=1", "did you mean optimizer.lr?"),
        ("--set pruning.patern=2:4", "did you mean pruning.pattern?"),
        ("--set batch=8,x", "`batch`: `x`: must be a whole number"),
        ("--set batch=8,8", "batch: 8 is there twice"),
        ("--set batch", "must be KEY=VALUE"),
        ("--set seed=1,2", "--seeds"),
        ("--set model.x=1", "model is no table"),
        ("--sparsity 2", "from 0 to 1"),
        ("--sparsity 0 --set pruning.nbins=8", "prunes nothing"),
        ("--seeds 0", "one run or more"),
        ("--set lr=1 --set lr=2", "lr is given twice"),
        ("--seeds 100000", "10000 at most"),
    ];
    for (args, part) in refused {
        folder.run(&format!("sweep small.toml {args}")).fails(2, &[part]);
    }
    folder.run("sweep none.toml").fails(2, &["none.toml"]);
    // Any key, with values that have commas themselves.
    let args = "--set schedule.warmup_steps=3,5 --set model=mlp:8 --set \
                data_options.length=4 --set pruning.do_not_prune=[],[\"fc1\",\"fc2\"] --plan --json";
    let plan = folder.run(&format!("sweep small.toml {args}")).json();
    let runs = plan["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 4);
    assert!(runs.iter().all(|run| run["state"] == "to do"), "{plan}");
    assert_eq!(folder.list("."), ["small.toml"], "a plan writes nothing");
}

/// A signal goes on to the run, which saves; the same command goes on from there.
#[cfg(unix)]
#[test]
fn an_interrupted_sweep_goes_on() {
    let Some(folder) = with_recipe() else { return };
    folder.write("small.toml", RECIPE.replace("steps = 12", "steps = 2000000"));
    let run = folder.path("s/seed-5");
    let mut command = folder.command("sweep small.toml --logdir s");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    let trains = || run.join("LOCK").exists();
    while !trains() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never began");
        sleep(Duration::from_millis(20));
    }
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()));
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let saved = |name: &String| name.starts_with("ckpt-");
    assert!(folder.list("s/seed-5").iter().any(saved), "{:?}", folder.list("s/seed-5"));
    let plan = folder.run("sweep small.toml --logdir s --plan --json").json();
    assert_eq!(plan["runs"][0]["state"], "goes on");
    assert!(folder.path("s/sweep.json").exists());
}

/// What tells such runs apart is the folder's weights, which only a look at them says.
#[test]
fn a_pretrained_folder_is_swept() {
    let Some(folder) = Folder::with_gpu() else { return };
    crate::recover::copy(&folder, "llama");
    let recipe = "train --init llama --data text:text.txt --length 12 --batch 4 --steps 2";
    let recipe = folder.run(&format!("{recipe} --init-recipe")).ok().out;
    folder.write("r.toml", recipe);
    let args = "sweep r.toml --set lr=0.001,0.002 --logdir s --json";
    let report = folder.run(args).json();
    let outcomes: Vec<&Value> =
        report["trials"].as_array().unwrap().iter().map(|trial| &trial["outcome"]).collect();
    assert_eq!(outcomes.len(), 2);
    assert!(outcomes.iter().all(|outcome| outcome["figure"] == "test_perplexity"), "{report}");
    let again = folder.run(args);
    assert_eq!(again.err.matches(": done before").count(), 2, "{}", again.err);
}
