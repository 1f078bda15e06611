//! The order of system calls: a name appears only once what it names is on the disk.
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::child;
use crate::mount::run;

#[test]
fn a_save_syncs_before_it_renames() {
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    let logdir = dir.path().join("logdir");
    fs::create_dir(&logdir).unwrap();
    let strace = || {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-y", "-s0", "-e", "trace=desc,file", "-o"]).arg(&trace);
        strace
    };
    if !run(strace().arg("true")) {
        return;
    }
    let mut traced = strace();
    traced.arg(std::env::current_exe().unwrap());
    child::dress(&mut traced, "saver", &logdir, Some(1));
    let output = traced.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let trace = fs::read_to_string(&trace).unwrap();
    let mut calls: Vec<_> = trace.lines().filter_map(|line| call(line, &logdir)).collect();
    calls.dedup();
    let wanted = [
        "mkdir .tmp",
        "fallocate model.safetensors",
        "write model.safetensors",
        "fsync model.safetensors",
        "fallocate optimizer.safetensors",
        "write optimizer.safetensors",
        "fsync optimizer.safetensors",
        "write manifest.json",
        "fsync manifest.json",
        "fsync .tmp",
        "rename .tmp ckpt-000000000001",
        "fsync logdir",
    ];
    assert_eq!(calls, wanted);
}

/// What a line of the trace does to the logdir, but for its lock: the call, and the last part of
/// each path, temporary names cut short.
fn call(line: &str, logdir: &Path) -> Option<String> {
    const CALLS: [&str; 5] = ["mkdir", "fallocate", "write", "fsync", "rename"];
    let (_, line) = line.split_once(' ')?;
    let name = CALLS.iter().find(|&name| line.trim_start().starts_with(name))?;
    let paths = line.split(['"', '<', '>']).filter(|part| Path::new(part).starts_with(logdir));
    let last = paths.map(|path| path.rsplit('/').next().unwrap_or_default());
    let short = last.map(|name| if name.starts_with(".tmp-") { ".tmp" } else { name });
    let short: Vec<_> = short.filter(|name| *name != "LOCK").collect();
    (!short.is_empty()).then(|| format!("{name} {}", short.join(" ")))
}
