//! What an interrupted command leaves: nothing.
use std::fs::{File, OpenOptions};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use crate::folder::Folder;

/// One tensor of 48 MB: long enough in the writing to be interrupted.
fn large() -> Vec<u8> {
    let count = 12_000_000u32;
    let end = count * 4;
    let header = format!(
        "{{\"fc.weight\":{{\"dtype\":\"F32\",\"shape\":[3000,4000],\"data_offsets\":[0,{end}]}}}}"
    );
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    let value = |i: u32| (i.wrapping_mul(2_654_435_761) >> 8) as f32;
    (0..count).for_each(|i| bytes.extend(value(i).to_le_bytes()));
    bytes
}

fn temporaries(folder: &Folder, dir: &str) -> Vec<String> {
    if !folder.path(dir).is_dir() {
        return Vec::new();
    }
    let is_temporary = |name: &String| name.starts_with(".tmp-");
    folder.list(dir).into_iter().filter(is_temporary).collect()
}

/// A `prune` that has begun its output, in the folder `dir`.
fn pruning(folder: &Folder, args: &str, dir: &str) -> Child {
    pruning_as(folder.command(args), folder, dir)
}

fn pruning_as(mut command: Command, folder: &Folder, dir: &str) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let before = temporaries(folder, dir);
    let mut child = command.spawn().expect("the program starts");
    let begun = Instant::now();
    while temporaries(folder, dir).iter().all(|name| before.contains(name)) {
        assert!(child.try_wait().expect("a child").is_none(), "it was done before it was seen");
        assert!(begun.elapsed() < Duration::from_secs(60), "it never began its output");
        sleep(Duration::from_millis(1));
    }
    child
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

#[test]
fn an_interrupted_prune_leaves_nothing() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.write("m.safetensors", large());
    let index = "{\"weight_map\":{\"fc.weight\":\"m.safetensors\"}}";
    folder.write("m.safetensors.index.json", index);
    let before = folder.list(".");
    for (name, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        for (input, output, dir) in [
            ("m.safetensors", "p.safetensors", "."),
            ("m.safetensors.index.json", "out/in", "out/in"),
        ] {
            let args = format!("prune {input} -o {output} --sparsity 0.5");
            let mut child = pruning_as(folder.with_hangups("default", &args), &folder, dir);
            signal(&child, name);
            assert_eq!(child.wait().expect("it ends").code(), Some(code), "{name} {input}");
            let after: Vec<_> = folder.list(".").into_iter().filter(|n| n != "home").collect();
            assert_eq!(after, before, "{name} {input}");
        }
    }
}

#[test]
fn what_a_kill_left_is_swept_by_the_next_run() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.write("m.safetensors", large());
    let args = "prune m.safetensors -o p.safetensors --sparsity 0.5";
    let mut child = pruning(&folder, args, ".");
    child.kill().expect("a child");
    child.wait().expect("it ends");
    assert_eq!(temporaries(&folder, ".").len(), 1);
    // A process at work beside it keeps its own.
    let mut other = pruning(&folder, "prune m.safetensors -o q.safetensors --sparsity 0.5", ".");
    signal(&other, "-STOP");
    assert_eq!(temporaries(&folder, ".").len(), 1);
    folder.run("prune m.safetensors -o r.safetensors --sparsity 0.5").ok();
    assert_eq!(temporaries(&folder, ".").len(), 1, "that of the process that is held up");
    signal(&other, "-CONT");
    assert!(other.wait().expect("it ends").success());
    assert!(folder.read("q.safetensors") == folder.read("r.safetensors"));
    assert!(temporaries(&folder, ".").is_empty() && !folder.path("p.safetensors").exists());
}

#[test]
fn an_output_that_is_no_plain_file_is_refused() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.run("train --model mlp:4 --steps 2 --pruning none --logdir run").ok();
    folder.run("export run -o m.safetensors").ok();
    for (name, target) in [("l.safetensors", "t.safetensors"), ("l.csv", "t.csv")] {
        folder.write(target, "old");
        std::os::unix::fs::symlink(target, folder.path(name)).expect("a link");
    }
    for (name, kind) in [("p.safetensors", "mkfifo"), ("d.safetensors", "mkdir")] {
        let made = Command::new(kind).arg(folder.path(name)).status();
        assert!(made.expect("it runs").success());
    }
    let before = folder.list(".");
    for (args, part) in [
        ("prune m.safetensors -o l.safetensors --sparsity 0.5", "a symbolic link to t.safetensors"),
        ("prune m.safetensors -o p.safetensors --sparsity 0.5", "a pipe"),
        ("prune m.safetensors -o d.safetensors --sparsity 0.5", "a folder"),
        ("prune m.safetensors -o /dev/null --sparsity 0.5", "a device"),
        ("prune run -o l.safetensors --sparsity 0.5 --score wanda", "a symbolic link"),
        ("export run -o l.safetensors", "a symbolic link"),
        ("export run -o p.safetensors", "a pipe"),
        ("predict m.safetensors --data digits -o l.csv", "a symbolic link to t.csv"),
    ] {
        for force in ["", " --force"] {
            folder.run(&format!("{args}{force}")).fails(2, &[part, "is a", "name"]);
        }
    }
    assert_eq!(folder.list("."), before);
    assert!(folder.read("t.safetensors") == b"old" && folder.read("t.csv") == b"old");
}

/// Whoever opens the pipe finds it empty, so that this ends where it is opened after all.
#[test]
fn an_input_that_is_no_plain_file_is_refused() {
    let Some(folder) = Folder::with_gpu() else { return };
    for name in ["p.safetensors", "p.json"] {
        let path = folder.path(name);
        assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo runs").success());
        let done = Arc::new(AtomicBool::new(false));
        let (writer, seen) = (path.clone(), Arc::clone(&done));
        let writer = thread::spawn(move || {
            while !seen.load(Relaxed) {
                OpenOptions::new().write(true).open(&writer).expect("the pipe");
            }
        });
        for args in ["prune IT -o out --sparsity 0.5", "prune IT --dry-run", "inspect IT"] {
            let parts = [name, "is a pipe; copy what it gives into a plain file"];
            folder.run(&args.replace("IT", name)).fails(2, &parts);
        }
        done.store(true, Relaxed);
        File::open(&path).expect("the pipe");
        writer.join().expect("no panic");
    }
    folder.run("inspect /dev/zero").fails(2, &["/dev/zero: is a device"]);
}
