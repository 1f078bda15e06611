//! What a run leaves in its logdir, and `secateur eval` on it.
use serde_json::Value;

use crate::folder::Folder;
use crate::train::train;

#[test]
fn a_logdir_holds_events_traces_and_the_recipe() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.run(&train("--steps 45 --trace-every-n-steps 19 --logdir run")).ok();
    let files = folder.list("run");
    let (events, files): (Vec<String>, Vec<String>) =
        files.into_iter().partition(|name| name.starts_with("events.out.tfevents."));
    // A run that takes more than a second has earlier ones too.
    let early = |name: &String| name.starts_with("ckpt-") && name != "ckpt-000000000045";
    let files: Vec<String> = files.into_iter().filter(|name| !early(name)).collect();
    let expected = [
        "LOCK",
        "ckpt-000000000045",
        "recipe.toml",
        "report.html",
        "result.json",
        "timeline-1.json",
        "timeline-20.json",
        "timeline-39.json",
    ];
    assert_eq!(files, expected);
    assert_eq!(folder.list("."), ["run"], "and nothing is left elsewhere");

    assert_eq!(events.len(), 1);
    let events = folder.read(&format!("run/{}", events[0]));
    let rates = events.windows(16).filter(|bytes| bytes == b"steps_per_second").count();
    assert_eq!(rates, 44, "a hundred points on a curve, or all; a rate needs a step before");
    for tag in ["loss", "accuracy", "model_pruning_summaries/sparsity"] {
        let found = events.windows(tag.len()).any(|bytes| bytes == tag.as_bytes());
        assert!(found, "no {tag} in the events");
    }
    let recipe = String::from_utf8(folder.read("run/recipe.toml")).expect("text");
    for line in ["data = \"digits\"", "model = \"mlp:25-5\"", "steps = 45", "[pruning]"] {
        assert!(recipe.lines().any(|l| l == line), "no `{line}` in {recipe}");
    }
}

#[test]
fn one_step_is_traced_on_request() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.run(&train("--steps 15 --trace --logdir run")).ok();
    folder.run(&train("--steps 21 --trace --logdir run")).ok();
    let mut traces = folder.list("run");
    traces.retain(|name| name.starts_with("timeline"));
    assert_eq!(traces, ["timeline-17.json", "timeline-2.json"], "the second step of each call");
}

#[test]
fn the_baseline_is_not_traced() {
    let Some(folder) = Folder::with_gpu() else { return };
    let traced = "--baseline --trace --trace-every-n-steps 10";
    let run = folder.run(&train(&format!("--steps 30 {traced} --logdir run"))).ok();
    let traces = |dir| folder.list(dir).iter().filter(|n| n.starts_with("timeline")).count();
    assert_eq!((traces("run"), traces("run/dense")), (4, 0));
    // Ten of each run: this is no terminal.
    let lines = run.err.lines().filter(|line| line.contains("loss = ")).count();
    assert_eq!(lines, 20, "{}", run.err);
}

#[test]
fn a_trace_shows_the_host_and_the_mask_update() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.run(&train("--steps 20 --trace-every-n-steps 19 --logdir run")).ok();
    let devices = folder.run("devices --json").json();
    let chosen = |a: &&Value| a["name"] == devices["chosen"];
    let adapter = devices["adapters"].as_array().and_then(|a| a.iter().find(chosen));
    let timestamps = adapter.expect("the chosen adapter is listed")["timestamps"] == true;
    for (step, updates_masks) in [(1, false), (20, true)] {
        let text = folder.read(&format!("run/timeline-{step}.json"));
        let trace: Value = serde_json::from_slice(&text).expect("valid JSON");
        assert_eq!(trace["otherData"]["global_step"].as_u64(), Some(step));
        assert!(trace["otherData"]["traced_step_ms"].as_f64() > Some(0.0));
        assert_eq!(trace["otherData"]["step_before_ms"].is_f64(), step > 1, "the cost of tracing");
        let events = trace["traceEvents"].as_array().expect("an array");
        let has = |field: &dyn Fn(&Value) -> bool| events.iter().any(field);
        for name in ["next batch", "upload", "encode", "submit", "wait"] {
            assert!(has(&|e| e["ph"] == "X" && e["name"] == name), "no {name} at step {step}");
        }
        assert_eq!(has(&|e| e["args"]["phase"] == "train"), timestamps, "step {step}");
        let update = has(&|e| e["args"]["phase"] == "mask_update");
        assert_eq!(update, timestamps && updates_masks, "step {step}");
    }
}

#[test]
fn eval_agrees_with_train() {
    let Some(folder) = Folder::with_gpu() else { return };
    let trained = folder.run(&train("--steps 70 --logdir run --json")).json();
    for args in ["run", "run/ckpt-000000000070", "run --data digits"] {
        let report = folder.run(&format!("eval {args} --json")).json();
        assert_eq!(report["test_accuracy"], trained["test_accuracy"], "eval {args}");
        assert_eq!(report["global_step"].as_u64(), Some(70), "eval {args}");
        assert_eq!(report["data"], "digits", "eval {args}");
        assert!(report["test_loss"].as_f64().is_some_and(|v| v > 0.0), "{report}");
    }
    let text = folder.run("eval run").ok().out;
    let percent = 100.0 * trained["test_accuracy"].as_f64().expect("a number");
    assert!(text.contains(&format!("{percent:.2} %")), "{text}");
}

#[test]
fn a_missed_check_exits_with_1() {
    let Some(folder) = Folder::with_gpu() else { return };
    let train = train("--steps 12 --logdir run");
    for (check, code) in [("1.01", 1), ("0.01", 0)] {
        for command in [train.as_str(), "eval run"] {
            let run = folder.run(&format!("{command} --json --min-test-accuracy {check}"));
            assert_eq!(run.code, code, "{command}: {}", run.err);
            assert!(run.out.contains("test_accuracy"), "the report comes all the same");
            assert_eq!(run.err.contains("is below the stated 1.01"), code == 1, "{}", run.err);
        }
    }
}
