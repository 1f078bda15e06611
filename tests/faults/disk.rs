//! Disks with no room: a clear error, nothing left behind, and on it goes once there is room.
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use secateur::Error;

use crate::child;
use crate::fixture::{leftovers, newest, save};
use crate::mount::Mount;

/// A save of `step` fails in its way, and the checkpoints before it are as they were.
fn refused(logdir: &Path, step: u64, kind: ErrorKind, doing: &str) {
    for _ in 0..3 {
        let error = save(logdir, step, usize::MAX).unwrap_err();
        let Error::Io { action, source, .. } = &error else { panic!("{error}") };
        assert_eq!((source.kind(), *action), (kind, doing), "{error}");
        assert_eq!(leftovers(logdir), [""; 0]);
        assert_eq!(newest(logdir), step - 1);
    }
}

/// A save of `step` works.
fn accepted(logdir: &Path, step: u64) {
    save(logdir, step, usize::MAX).unwrap();
    assert_eq!(newest(logdir), step);
}

#[test]
fn a_full_disk() {
    let Some(disk) = Mount::tmpfs("size=8m") else { return };
    let mut step = 1;
    while save(disk.path(), step, usize::MAX).is_ok() {
        step += 1;
    }
    assert_eq!(step, 8, "1 MB and a little each");
    refused(disk.path(), step, ErrorKind::StorageFull, "reserve room for");
    fs::remove_dir_all(disk.path().join("ckpt-000000000001")).unwrap();
    accepted(disk.path(), step);
}

#[test]
fn no_more_files() {
    // The root, and four for each checkpoint: its folder and three files.
    let Some(disk) = Mount::tmpfs("nr_inodes=12") else { return };
    accepted(disk.path(), 1);
    accepted(disk.path(), 2);
    refused(disk.path(), 3, ErrorKind::StorageFull, "create");
    fs::remove_dir_all(disk.path().join("ckpt-000000000001")).unwrap();
    accepted(disk.path(), 3);
}

#[test]
fn a_disk_that_turns_read_only() {
    let Some(disk) = Mount::tmpfs("size=8m") else { return };
    accepted(disk.path(), 1);
    disk.remount("ro");
    refused(disk.path(), 2, ErrorKind::ReadOnlyFilesystem, "create");
    disk.remount("rw");
    accepted(disk.path(), 2);
}

/// The limit's signal is ignored, as a program does that would rather hear of it than die.
#[test]
fn files_that_may_not_grow() {
    let dir = tempfile::tempdir().unwrap();
    accepted(dir.path(), 1);
    let script = r#"trap "" XFSZ; ulimit -f 256; exec "$0" "$@""#;
    let mut limited = Command::new("sh");
    limited.args(["-c", script]).arg(std::env::current_exe().unwrap());
    child::dress(&mut limited, "saver", dir.path(), Some(1));
    let output = limited.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("failed: cannot reserve room for"), "{said}");
    assert!(said.contains("model.safetensors: File too large"), "{said}");
    assert!(output.status.success(), "{}", output.status);
    assert_eq!(leftovers(dir.path()), [""; 0]);
    accepted(dir.path(), 2);
}
