//! Signals: the step in hand is finished, a checkpoint saved, and the run can be taken up.
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::folder::Folder;

const RUN: &str = "train --model mlp:8 --batch 16 --logdir";

/// Sends `signal` to a run in `logdir` once it has begun; returns its exit code.
fn interrupt(folder: &Folder, logdir: &str, signal: &str) -> i32 {
    let mut command = folder.with_hangups("default", &format!("{RUN} {logdir} --steps 20000"));
    let mut child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let begun = lines.by_ref().find(|line| line.as_ref().is_ok_and(|l| l.contains("from step")));
    assert!(begun.is_some(), "the run never began");
    sleep(Duration::from_millis(200));
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
    // Read to the end, or the program would wait for us.
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    let status = child.wait().expect("the program ends");
    assert!(rest.iter().any(|line| line.contains("stopped at global step")), "{rest:?}");
    status.code().expect("an exit code, not a death by signal")
}

/// The global step of the checkpoint in `logdir`.
fn step(folder: &Folder, logdir: &str) -> u64 {
    let report = folder.run(&format!("inspect {logdir} --json")).json();
    report["manifest"]["global_step"].as_u64().expect("a step")
}

/// SIGUSR1 asks for a checkpoint; the run goes on to its end, as after SIGXFSZ, which tells of a
/// file that may not grow, and after SIGHUP where `nohup` started it.
#[test]
fn a_checkpoint_on_request() {
    let Some(folder) = Folder::with_gpu() else { return };
    let args = format!("{RUN} asked --steps 3000 --save-secs 0");
    let mut command = folder.with_hangups("ignore", &args);
    let mut child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
    let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let mut saved = Vec::new();
    for line in lines.map_while(Result::ok) {
        if line.contains("from step") {
            for signal in ["-XFSZ", "-HUP", "-USR1"] {
                let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
                assert!(sent.expect("kill runs").success());
            }
        }
        saved.extend(line.strip_prefix("saved ").map(str::to_owned));
    }
    assert!(child.wait().expect("the program ends").success());
    assert_eq!(saved.len(), 2, "{saved:?}");
    assert!(saved[0] < saved[1] && saved[1].ends_with("ckpt-000000003000"), "{saved:?}");
}

/// The first run of two is stopped: the second does not begin.
#[test]
fn a_signal_to_the_baseline_ends_the_command() {
    let Some(folder) = Folder::with_gpu() else { return };
    assert_eq!(interrupt(&folder, "both --baseline --pruning pruning_frequency=5", "-INT"), 130);
    assert_eq!(folder.list("both"), ["dense", "recipe.toml"]);
    // The logdir alone says how it goes on, baseline included.
    let steps = step(&folder, "both/dense") + 10;
    let report = folder.run(&format!("train --logdir both --steps {steps} --json")).json();
    assert!(report["dense_test_accuracy"].is_number(), "{report}");
    assert_eq!(report["global_step"], steps);
}

#[test]
fn a_signal_saves_and_the_run_goes_on_from_there() {
    let Some(folder) = Folder::with_gpu() else { return };
    for (signal, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        let logdir = format!("stopped{code}");
        assert_eq!(interrupt(&folder, &logdir, signal), code);
        let stopped = step(&folder, &logdir);
        assert!(stopped > 0, "some steps were made");
        let steps = stopped + 7;
        folder.run(&format!("{RUN} {logdir} --steps {steps}")).ok();
        folder.run(&format!("{RUN} straight{code} --steps {steps}")).ok();
        for file in ["model.safetensors", "optimizer.safetensors"] {
            let [a, b] = [&logdir, &format!("straight{code}")]
                .map(|dir| folder.read(&format!("{dir}/ckpt-{steps:012}/{file}")));
            assert!(a == b, "{signal}: {file} differs from that of an uninterrupted run");
        }
    }
}
