//! SIGKILL before each call to the system that changes a file, and at any time.
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Truth, dress, files, start};
use crate::mount::run;
use crate::needs::say;

/// The calls that change files. Those with a mark are not there on every machine.
pub const CALLS: [&str; 15] = [
    "?mkdir",
    "?mkdirat",
    "fallocate",
    "write",
    "pwrite64",
    "?copy_file_range",
    "?sendfile",
    "fsync",
    "fdatasync",
    "?rename",
    "?renameat",
    "?renameat2",
    "?unlink",
    "unlinkat",
    "?rmdir",
];

/// The job under `strace` with these faults: whether one came, and what the job said.
pub fn faulted(folder: &Path, calls: &str, fault: &str, place: usize) -> (bool, String) {
    let log = folder.join("in").join(".trace");
    let mut traced = Command::new("strace");
    traced.args(["-f", "-o"]).arg(&log).args(["-e", &format!("trace={calls}")]);
    traced.args(["-e", &format!("inject={calls}:{fault}:when={place}")]);
    traced.arg(std::env::current_exe().unwrap());
    let output = dress(&mut traced, folder).output().unwrap();
    let trace = fs::read_to_string(&log).unwrap();
    fs::remove_file(&log).unwrap();
    let came = trace.contains("INJECTED") || trace.contains("killed by SIGKILL");
    (came, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Whether faults can be planted here.
pub fn can_be_faulted() -> bool {
    run(Command::new("strace").args(["-f", "-e", "inject=fsync:error=EIO", "true"]))
}

#[test]
fn killed_before_any_call_it_goes_on_to_the_same_bytes() {
    if !can_be_faulted() {
        return;
    }
    let truth = Truth::new();
    let mut kills = 0;
    for call in CALLS {
        let mut place = 1;
        while faulted(truth.path(), call, "signal=KILL", place).0 {
            truth.goes_on(truth.path(), &format!("killed before {call} {place}"));
            place += 1;
        }
        truth.goes_on(truth.path(), "not killed");
        kills += place - 1;
    }
    say(&format!("the job was killed before each of its {kills} calls"));
    assert!(kills > 60, "{kills}");
}

/// The same where the output's folder is there, so that files come to their places one by one: the
/// configuration is there only with all others.
#[test]
fn killed_among_its_renames_it_goes_on_to_the_same_bytes() {
    if !can_be_faulted() {
        return;
    }
    let truth = Truth::new();
    let out = truth.path().join("out");
    let (mut kills, mut parts) = (0, 0);
    let mut calls = ["?rename", "?renameat", "?renameat2", "?unlink", "unlinkat"].into_iter();
    let (mut call, mut place) = (calls.next().unwrap(), 1);
    loop {
        fs::create_dir(&out).unwrap();
        fs::write(out.join("mine"), "mine").unwrap();
        let (came, _) = faulted(truth.path(), call, "signal=KILL", place);
        place += 1;
        if !came {
            fs::remove_dir_all(&out).unwrap();
            let Some(next) = calls.next() else { break };
            (call, place) = (next, 1);
            continue;
        }
        kills += 1;
        let mut found = files(&out);
        assert_eq!(found.remove("mine").unwrap(), b"mine");
        let whole = found == truth.files;
        assert!(whole || !found.contains_key("config.json"), "kill {kills}: {:?}", found.keys());
        assert!(found.iter().all(|(name, bytes)| truth.files[name] == *bytes), "kill {kills}");
        parts += usize::from(!whole && !found.is_empty());
        let unfinished = truth.path().join("out.unfinished");
        let goes_on = unfinished.join(".secateur-job").exists();
        assert!(goes_on || whole, "kill {kills}");
        assert_eq!(super::job(truth.path()).is_ok(), goes_on, "kill {kills}");
        fs::remove_file(out.join("mine")).unwrap();
        truth.check(&out, true, &format!("kill {kills}"));
        fs::remove_dir_all(&out).unwrap();
        assert!(!unfinished.exists(), "kill {kills}");
    }
    say(&format!("{kills} kills, {parts} of them between two files"));
    assert!(parts >= 4, "{parts} of {kills}");
}

/// One job that is killed again and again, until it is done.
#[test]
fn killed_at_any_time_it_goes_on_to_the_same_bytes() {
    let truth = Truth::new();
    let mut random = ChaCha8Rng::seed_from_u64(20);
    let (mut kills, mut blocks) = (0, 0);
    while kills < 40 {
        let (mut child, said) = start(truth.path());
        // From a microsecond to 131 ms, so that fast machines and slow ones are met within the job.
        let power = (random.next_u64() % 1_700) as f64 / 100.0;
        sleep(Duration::from_micros(power.exp2() as u64));
        child.kill().unwrap();
        kills += usize::from(!child.wait().unwrap().success());
        let said: Vec<String> = said.collect();
        assert!(said.iter().all(|line| !line.starts_with("failed")), "{said:?}");
        blocks += said.iter().filter(|line| line.starts_with("done")).count();
        truth.check(&truth.path().join("out"), false, "killed");
        if truth.path().join("out").exists() {
            truth.goes_on(truth.path(), "killed at its end");
        }
    }
    truth.goes_on(truth.path(), "after all kills");
    say(&format!("{kills} kills; {blocks} blocks done under way"));
    assert!(blocks > 0);
}
