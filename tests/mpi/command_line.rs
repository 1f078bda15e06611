//! `mpirun secateur train`: one run of several ranks, of which the chief speaks.
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use secateur::checkpoint::Lock;
use secateur::{Error, Gpu, GpuOptions};
use serde_json::Value;
use tempfile::TempDir;

use crate::launch::{Ended, mpirun};
use crate::needs::{GPU, missing};

const TRAIN: &str = "train --model mlp:8 --batch 16 --steps 40 --share-adapter";

/// A job of two ranks in `folder`; each is `line` of a shell, to which `$RANK` is its rank and
/// `$SECATEUR` the program. `None` where something is missing here.
pub fn job(folder: &Path, line: &str) -> Option<Ended> {
    match Gpu::open(&GpuOptions::from_env().expect("options")) {
        Err(e @ Error::NoAdapter { .. }) => {
            missing(GPU, e);
            return None;
        }
        opened => drop(opened.expect("an adapter")),
    }
    let script = format!(
        "cd {}; RANK=${{OMPI_COMM_WORLD_RANK:-$PMI_RANK}}; SECATEUR={}; {line}",
        folder.display(),
        env!("CARGO_BIN_EXE_secateur"),
    );
    let job = mpirun(2)?.program(Path::new("sh"), &["-c", &script]);
    Some(job.patience(Duration::from_secs(240)).run())
}

fn list(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).map(|all| {
        all.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    });
    names.unwrap_or_default()
}

#[test]
fn two_ranks_are_one_run_and_the_chief_speaks() {
    let folder = TempDir::new().unwrap();
    let line = format!("exec $SECATEUR {TRAIN} --baseline --sparsity 0.5 --json");
    let Some(ended) = job(folder.path(), &line) else { return };
    let ended = ended.expect(0);
    let report: Value = serde_json::from_str(&ended.stdout).expect("one object, of the chief");
    assert_eq!((&report["ranks"], &report["global_step"]), (&2.into(), &40.into()));
    assert!(report["dense_test_accuracy"].is_number(), "{report}");
    assert_eq!(list(folder.path()), ["logs"]);
    assert_eq!(list(&folder.path().join("logs")), ["digits-001"]);
    let said = ended.stderr.lines().filter(|line| line.contains("from step")).count();
    assert_eq!(said, 2, "each of the two runs once: {}", ended.stderr);
    assert!(!ended.stderr.contains("rank 1: "), "{}", ended.stderr);
}

#[test]
fn ranks_with_other_options_are_refused_by_name() {
    let folder = TempDir::new().unwrap();
    let Some(ended) = job(folder.path(), &format!("exec $SECATEUR {TRAIN} --seed $RANK")) else {
        return;
    };
    let ended = ended.expect(2);
    let named = "`seed`: the ranks do not agree: 0 on rank 0, 1 on rank 1";
    assert!(ended.stderr.contains(named), "{}", ended.stderr);
    assert_eq!((ended.stdout.as_str(), list(folder.path())), ("", vec![]));
}

/// One that has no adapter ends the job, by its rank, before there is a folder.
#[test]
fn a_rank_that_cannot_begin_ends_the_job() {
    let folder = TempDir::new().unwrap();
    let line =
        format!("[ $RANK = 0 ] || export SECATEUR_ADAPTER=none-such; exec $SECATEUR {TRAIN}");
    let Some(ended) = job(folder.path(), &line) else { return };
    let ended = ended.expect(2);
    let own = |line: &&str| line.starts_with("rank 1") && line.contains("none-such");
    assert!(ended.stderr.lines().any(|line| own(&line)), "{}", ended.stderr);
    assert_eq!((ended.stdout.as_str(), list(folder.path())), ("", vec![]));
}

/// The chief's logdir is another process's: the job has the exit code of that.
#[test]
fn the_exit_code_is_that_of_the_rank_that_failed() {
    let folder = TempDir::new().unwrap();
    let _lock = Lock::acquire(folder.path()).unwrap();
    let Some(ended) = job(folder.path(), &format!("exec $SECATEUR {TRAIN} --logdir .")) else {
        return;
    };
    let ended = ended.expect(74);
    assert!(ended.stderr.contains("is in use by process"), "{}", ended.stderr);
}

/// A signal to any rank ends all after the step in hand, with a checkpoint.
#[test]
fn a_signal_to_one_rank_ends_all_in_order() {
    let folder = TempDir::new().unwrap();
    let line = "echo $$ > pid-$RANK; exec $SECATEUR train --model mlp:8 --batch 16 \
                --steps 1000000 --share-adapter --logdir run --pruning none";
    let ended = scope(|scope| {
        let path = folder.path();
        let job = scope.spawn(move || job(path, line));
        let begun = Instant::now();
        let saved = || list(&path.join("run")).iter().any(|name| name.starts_with("ckpt-"));
        while !saved() && !job.is_finished() && begun.elapsed() < Duration::from_secs(200) {
            sleep(Duration::from_millis(50));
        }
        if let Ok(pid) = fs::read_to_string(path.join("pid-1")) {
            assert!(Command::new("kill").arg(pid.trim()).status().unwrap().success());
        }
        job.join().unwrap()
    });
    let Some(ended) = ended else { return };
    let ended = ended.expect(143);
    assert!(ended.stderr.contains("stopped at global step"), "{}", ended.stderr);
}
