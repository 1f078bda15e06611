//! The order of calls: a block is noted once its bytes are on the disk, and a tensor is written
//! once it is noted that it will be.
use std::fs;
use std::process::Command;

use super::{dress, model};
use crate::mount::run;

#[test]
fn a_note_follows_what_it_says() {
    let dir = model();
    let trace = dir.path().join("trace");
    let strace = || {
        let mut strace = Command::new("strace");
        let calls = "trace=pwrite64,fsync,fdatasync,?rename,?renameat,?renameat2";
        strace.args(["-f", "-y", "-s0", "-e", calls, "-o"]).arg(&trace);
        strace
    };
    if !run(strace().arg("true")) {
        return;
    }
    let mut traced = strace();
    traced.arg(std::env::current_exe().unwrap());
    let output = dress(&mut traced, dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let trace = fs::read_to_string(&trace).unwrap();
    let mut calls: Vec<String> = trace.lines().filter_map(call).collect();
    calls.dedup();
    let noted = ["pwrite64 .secateur-job", "fdatasync .secateur-job"];
    let copies = [
        // Of what lies beside the weights.
        "fsync 1_Pooling",
        "fsync out.unfinished",
        "fsync 1.safetensors",
        "fsync 2.safetensors",
        "fsync out.unfinished",
        &format!("fsync {}", dir.path().file_name().unwrap().to_str().unwrap()),
    ];
    let mut wanted = noted.map(str::to_owned).to_vec();
    wanted.extend(copies.map(str::to_owned));
    wanted.extend(noted.map(str::to_owned));
    for block in 0..super::BLOCKS {
        let file = if block == 0 { "1.safetensors" } else { "2.safetensors" };
        for _ in ["weight", "bias"] {
            wanted.extend(noted.map(str::to_owned));
            wanted.push(format!("pwrite64 {file}"));
        }
        wanted.push(format!("fdatasync {file}"));
        wanted.extend(noted.map(str::to_owned));
    }
    wanted.extend(["fsync out.unfinished".to_owned()]);
    wanted.extend(noted.map(str::to_owned));
    wanted.push("rename out.unfinished out".to_owned());
    assert_eq!(calls[..wanted.len().min(calls.len())], wanted);
}

/// A call and the last parts of its paths; `None` for what lies beside the weights.
fn call(line: &str) -> Option<String> {
    let (_, line) = line.split_once(' ')?;
    let name = ["pwrite64", "fsync", "fdatasync", "rename"];
    let name = name.into_iter().find(|&name| line.trim_start().starts_with(name))?;
    let parts = line.split(['"', '<', '>']).filter(|part| part.starts_with('/'));
    let last: Vec<_> = parts.filter_map(|path| path.rsplit('/').next()).collect();
    let beside =
        last.iter().any(|name| name.ends_with(".json") || name.starts_with(".tmp-secateur"));
    (!beside && !last.is_empty()).then(|| format!("{name} {}", last.join(" ")))
}
