//! A full disk costs records, never the file: on a small disk of the test's own.
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use secateur::train::summary::{EventWriter, SummaryWriter};

use super::{decode, files};
use crate::needs::{TOOLS, missing};

/// Names the small disk to the process that may use it.
const DISK: &str = "SECATEUR_TEST_DISK";

#[test]
fn a_full_disk_tears_no_record() {
    if let Some(disk) = std::env::var_os(DISK) {
        return fill(disk.as_ref());
    }
    let dir = tempfile::tempdir().unwrap();
    // In namespaces of its own a process may mount, and what it mounted goes with it.
    let on_a_small_disk = |then: &str| {
        Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c"])
            .arg(format!("mount -t tmpfs -o size=256k tmpfs \"${DISK}\" && exec {then}"))
            .env(DISK, dir.path())
            .output()
    };
    let mounts = |output: Output| output.status.success();
    if !on_a_small_disk("true").is_ok_and(mounts) {
        return missing(TOOLS, "this machine lets a test mount no disk (`unshare`, `mount`)");
    }
    let test = std::env::current_exe().unwrap();
    let name = "summary::full_disk::a_full_disk_tears_no_record";
    let run = on_a_small_disk(&format!("\"{}\" --exact {name}", test.display())).unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
}

fn fill(disk: &Path) {
    let filler = disk.join("filler");
    fs::write(&filler, vec![0; 128 << 10]).unwrap();
    let logdir = disk.join("log");
    fs::create_dir(&logdir).unwrap();
    let mut writer = EventWriter::create(&logdir).unwrap();
    let mut write = |step: u64| {
        writer.scalar(&"x".repeat(step as usize % 500), step, 1.0).and_then(|()| writer.flush())
    };
    // 300 KB, far more than there is room for on the disk and in the writer.
    let lost = (0..1000).filter(|&step| write(step).is_err()).count();
    assert!((1..1000).contains(&lost), "{lost} of 1000 refused");
    fs::remove_file(filler).unwrap();
    (1000..1010).for_each(|step| write(step).unwrap());

    let events = decode(&files(&logdir)[0]);
    let steps: Vec<u64> = events.iter().skip(1).map(|event| event.step).collect();
    assert!(steps.len() < 1010 && steps.is_sorted_by(|a, b| a < b), "{steps:?}");
    assert!(steps.ends_with(&(1000..1010).collect::<Vec<_>>()), "{steps:?}");
}
