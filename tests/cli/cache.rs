//! Compiled pipelines between runs: a cache that is damaged or cannot be written is no cache.
use std::fs;
use std::path::PathBuf;

use crate::folder::Folder;
use crate::needs::{FEATURES, missing};

/// Runs the self-test with the cache folder `cache`.
fn check(folder: &Folder, cache: &str) {
    let mut command = folder.command("devices --check --json");
    command.env("XDG_CACHE_HOME", folder.path(cache));
    crate::folder::Run::of(&mut command).ok();
}

/// The one file of pipelines in `cache`, where the adapter has such a thing.
fn file(folder: &Folder, cache: &str) -> Option<PathBuf> {
    let report = folder.run("devices --json").json();
    let adapters = report["adapters"].as_array().expect("an array");
    let chosen = adapters.iter().find(|a| a["name"] == report["chosen"]).expect("chosen");
    if chosen["pipeline_cache"] != true {
        missing(FEATURES, "this needs an adapter whose pipelines can be kept");
        return None;
    }
    let entries = fs::read_dir(folder.path(cache).join("secateur")).expect("a cache folder");
    let files: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    assert_eq!(files.len(), 1, "one file, and nothing temporary: {files:?}");
    files.into_iter().next()
}

#[test]
fn pipelines_are_kept_and_a_damaged_file_is_replaced() {
    let Some(folder) = Folder::with_gpu() else { return };
    check(&folder, "cache");
    let Some(path) = file(&folder, "cache") else { return };
    let whole = fs::read(&path).expect("the cache");
    check(&folder, "cache");
    assert_eq!(fs::read(&path).expect("the cache"), whole, "nothing new, nothing written");
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x40;
    fs::write(&path, &damaged).expect("writable");
    check(&folder, "cache");
    assert_ne!(fs::read(&path).expect("the cache"), damaged);
    fs::write(&path, b"short").expect("writable");
    check(&folder, "cache");
    assert!(fs::read(&path).expect("the cache").len() > 8);
}

#[test]
fn a_cache_that_cannot_be_written_is_no_error() {
    let Some(folder) = Folder::with_gpu() else { return };
    // A file where the folder should be.
    folder.write("blocked", "");
    check(&folder, "blocked");
}
