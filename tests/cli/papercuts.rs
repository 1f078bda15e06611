//! What a stranger tries first: passes, early kills, other folders, data that do not fit.
use std::thread::sleep;
use std::time::Duration;

use crate::folder::Folder;

#[test]
fn epochs_are_passes_over_the_rows() {
    let Some(folder) = Folder::with_gpu() else { return };
    let rows: String = (0..50).map(|i| format!("{i},{}\n", i % 2)).collect();
    folder.write("t.csv", format!("x,kind\n{rows}"));
    // 40 rows to train on: 5 batches of 8, 6 of 7 with the last one partial.
    let train = "train --data csv:t.csv --label kind --model mlp:4 --json --epochs 3 --logdir";
    for (logdir, more, steps) in
        [("a", "--batch 8", 15), ("b", "--batch 7", 18), ("c", "--batch 7 --drop-last", 15)]
    {
        let report = folder.run(&format!("{train} {logdir} {more}")).json();
        assert_eq!(report["global_step"], steps, "{more}");
    }
    folder.run(&format!("{train} d --steps 3")).fails(2, &["--epochs", "--steps"]);
}

/// The first checkpoint comes after a second, not after ten minutes.
#[cfg(unix)]
#[test]
fn a_run_that_is_killed_early_does_not_begin_again() {
    let Some(folder) = Folder::with_gpu() else { return };
    let train = "train --model mlp:16 --batch 16 --logdir run";
    let mut command = folder.command(&format!("{train} --steps 10000000"));
    let mut child = command.stderr(std::process::Stdio::null()).spawn().expect("it starts");
    let saved = |name: &String| name.starts_with("ckpt-");
    // As long as it takes to start, on a machine that does other things too.
    for _ in 0..600 {
        sleep(Duration::from_millis(100));
        if folder.path("run").exists() && folder.list("run").iter().any(saved) {
            break;
        }
    }
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert!(folder.list("run").iter().any(saved), "nothing was saved: {:?}", folder.list("run"));
    let inspected = folder.run("inspect run --json").json();
    let step = inspected["manifest"]["global_step"].as_u64().expect("a step");
    let run = folder.run(&format!("{train} --steps {}", step + 5)).ok();
    assert!(run.err.contains(&format!("from step {step}")), "{}", run.err);

    let report = folder.run("train --model mlp:8 --steps 9 --save-steps 4 --logdir often").ok();
    assert!(report.err.contains("ckpt-000000000004"), "{}", report.err);
}

#[test]
fn a_run_is_evaluated_from_another_folder() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.write("some.txt", "to be, or not to be, that is the question ".repeat(9));
    let how = "--model charlstm:8 --batch 4 --length 6 --steps 3 --logdir run";
    folder.run(&format!("train --data text:some.txt {how}")).ok();
    let here = folder.run("eval run --json").json();
    std::fs::create_dir(folder.path("elsewhere")).expect("a folder");
    let mut command = folder.command("eval ../run --json");
    let there = crate::folder::Run::of(command.current_dir(folder.path("elsewhere"))).json();
    assert_eq!(here["test_loss"], there["test_loss"]);
    // A checkpoint's own file is the same network.
    let own = folder.run("eval run/ckpt-000000000003/model.safetensors --json").json();
    assert_eq!(own["test_loss"], here["test_loss"]);
    let text = folder.run("eval run").ok().out;
    assert!(text.contains("kept for testing"), "{text}");
    let text = folder.run("eval run --data text:some.txt").ok().out;
    assert!(text.contains("62 rows, all of it"), "{text}");
}

#[test]
fn what_does_not_fit_is_named_on_both_sides() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.write("t.csv", "x,kind\n1,0\n2,1\n3,0\n4,1\n5,0\n6,1\n7,0\n8,1\n9,0\n10,1\n");
    folder.run("train --model mlp:8 --steps 2 --logdir run").ok();
    folder.run("export run -o model.safetensors").ok();
    let budget = folder.run("eval run --memory-budget 1KB");
    assert!(!budget.err.contains("recompute"), "not an option of eval: {}", budget.err);
    for model in ["run", "model.safetensors"] {
        let run = folder.run(&format!("eval {model} --data csv:t.csv --label kind"));
        run.fails(2, &["mlp:8 of ", model, "does not fit csv:t.csv", "[8, 8]"]);
    }
    let lenet = "train --data csv:t.csv --label kind --model lenet5 --steps 2 --logdir other";
    folder
        .run(lenet)
        .fails(2, &["lenet5 does not fit csv:", "rows of 1", "mlp:WIDTH-... takes rows"]);
    folder.run(&format!("{lenet} --plan")).fails(2, &["lenet5 does not fit csv:"]);
    folder.run("train --steps 0 --logdir other").fails(2, &["--steps: 0"]);
    folder.run("train --batch 0 --logdir other").fails(2, &["--batch: 0"]);
    folder.run("train --steps 0").fails(2, &["--steps: 0"]);
    assert!(!folder.path("other").exists() && !folder.path("logs").exists());
}
