//! What is written beside its place: what it may replace, and what is left of it.
use std::fs::{self, File};
use std::path::Path;

use secateur::Error;
use secateur::checkpoint::{self, Lock, Manifest, Retention};
use secateur::storage::{MadeFolder, Replace, check_output, replace, sweep};

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn refused(path: &Path, parts: &[&str]) {
    for error in [replace(path, b"new").unwrap_err(), check_output(path, true).unwrap_err()] {
        assert!(matches!(error, Error::File { .. }), "{error:?}");
        for part in parts {
            assert!(error.to_string().contains(part), "no {part:?} in: {error}");
        }
    }
}

#[test]
fn a_plain_file_is_replaced_and_a_folder_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a");
    replace(&file, b"old").unwrap();
    assert!(check_output(&file, false).unwrap_err().to_string().contains("--force"));
    replace(&file, b"new").unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"new");
    fs::create_dir(dir.path().join("b")).unwrap();
    refused(&dir.path().join("b"), &["a folder", "name a file in it"]);
    assert_eq!(names(dir.path()), ["a", "b"]);
}

#[cfg(unix)]
#[test]
fn links_pipes_and_devices_stay() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("target"), "old").unwrap();
    symlink(at("target"), at("link")).unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap();
    assert!(made.success());
    refused(&at("link"), &["a symbolic link to", "target itself", "remove the link"]);
    refused(&at("dangling"), &["a symbolic link to", "nowhere"]);
    refused(&at("pipe"), &["a pipe", "copy it from there"]);
    refused(Path::new("/dev/null"), &["a device"]);
    assert_eq!(fs::read(at("target")).unwrap(), b"old");
    assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
    assert!(fs::symlink_metadata(at("pipe")).unwrap().file_type().is_fifo());
    // The files of a checkpoint keep to the same rule.
    symlink(at("target"), at("LOCK")).unwrap();
    let error = Lock::acquire(dir.path()).unwrap_err().to_string();
    assert!(error.contains("LOCK: is a symbolic link"), "{error}");
    symlink(at("target"), at("ckpt-000000000003")).unwrap();
    let manifest = Manifest::default().global_step(3);
    let saved = checkpoint::save(dir.path(), manifest, &[], &[], Retention::newest(1));
    assert!(saved.unwrap_err().to_string().contains("ckpt-000000000003: is a symbolic link"));
    assert_eq!(fs::read(at("target")).unwrap(), b"old");
    let left =
        ["LOCK", "ckpt-000000000003", "dangling", "link", "pipe", "target"].map(String::from);
    assert_eq!(names(dir.path()), left);
}

/// Only files of our names that nobody holds: not another's, not a living process's, no folder.
#[test]
fn what_killed_processes_left_is_swept() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let dead = [".tmp-secateur-a.safetensors-1-0", ".tmp-secateur-b-77"];
    let others = [".tmp-secateur-notes", ".tmp-secateur-", ".tmp-a-1", "tmp-secateur-a-1"];
    for name in dead.iter().chain(&others) {
        fs::write(at(name), "half").unwrap();
    }
    fs::create_dir(at(".tmp-secateur-folder-1")).unwrap();
    let held = File::create(at(".tmp-secateur-held-2-0")).unwrap();
    held.lock().unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(at("tmp-secateur-a-1"), at(".tmp-secateur-link-3")).unwrap();
    // A file that is being written by this process stays as well.
    let mut own = Replace::create(&at("own")).unwrap();
    own.write(b"own").unwrap();
    assert!(dead.iter().all(|name| !at(name).exists()), "{:?}", names(dir.path()));
    sweep(dir.path());
    assert!(others.iter().all(|name| at(name).exists()), "{:?}", names(dir.path()));
    assert!(at(".tmp-secateur-held-2-0").exists() && at(".tmp-secateur-folder-1").exists());
    #[cfg(unix)]
    assert!(fs::symlink_metadata(at(".tmp-secateur-link-3")).is_ok());
    own.finish().unwrap();
    assert_eq!(fs::read(at("own")).unwrap(), b"own");
    drop(held);
    replace(&at("own"), b"again").unwrap();
    assert!(!at(".tmp-secateur-held-2-0").exists());
}

#[test]
fn two_writers_of_one_name_are_whole_each() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let [mut first, mut second] = [(); 2].map(|()| Replace::create(&path).unwrap());
    first.write(b"first").unwrap();
    second.write(b"second").unwrap();
    second.finish().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"second");
    first.finish().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"first");
    assert_eq!(names(dir.path()), ["a"]);
}

#[test]
fn a_folder_that_was_made_in_vain_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("a").join("b");
    drop(MadeFolder::create(&inner).unwrap());
    assert_eq!(names(dir.path()), [""; 0]);
    let made = MadeFolder::create(&inner).unwrap();
    fs::write(inner.join("kept"), "").unwrap();
    drop(made);
    // One that was there is not this one's to remove.
    fs::remove_file(inner.join("kept")).unwrap();
    drop(MadeFolder::create(&inner).unwrap());
    assert_eq!(names(&dir.path().join("a")), ["b"]);
    fs::write(dir.path().join("file"), "").unwrap();
    let error = MadeFolder::create(&dir.path().join("file").join("c")).unwrap_err();
    assert!(error.to_string().contains("file: is a file; name a folder"), "{error}");
}
