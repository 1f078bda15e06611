//! Disks that are full or refuse a call: an error by name, and the job goes on afterwards.
use std::fs;

use secateur::storage::{Folder, Patch};

use super::kills::{can_be_faulted, faulted};
use super::{BLOCKS, CONFIG, Truth, files};
use crate::mount::Mount;

/// Each write once, each call that reserves room or copies, each new file and each rename.
#[test]
fn a_disk_that_is_full_at_any_call() {
    let calls = ["?mkdir", "?mkdirat", "fallocate", "pwrite64", "?copy_file_range", "?rename"];
    refused_at_any(&calls, "ENOSPC", 25);
}

#[test]
fn a_disk_that_fails_to_sync() {
    refused_at_any(&["fsync", "fdatasync"], "EIO", 15);
}

fn refused_at_any(calls: &[&str], error: &str, least: usize) {
    if !can_be_faulted() {
        return;
    }
    let truth = Truth::new();
    let (mut faults, mut refused) = (0, 0);
    for call in calls {
        for place in 1.. {
            let (came, said) = faulted(truth.path(), call, &format!("error={error}"), place);
            let what = format!("{error} at {call} {place}");
            let failed = said.lines().find(|line| line.starts_with("failed: cannot"));
            // Folders that cannot be synced are put up with.
            assert!(failed.is_some() || said.contains("finished"), "{what}: {said}");
            if let Some(failed) = failed {
                assert!(failed.contains(&*truth.path().to_string_lossy()), "{failed}");
                assert!(failed.contains("os error"), "{failed}");
            }
            assert_eq!(truth.goes_on(truth.path(), &what), failed.is_some(), "{what}");
            refused += usize::from(failed.is_some());
            faults += usize::from(came);
            if !came {
                break;
            }
        }
    }
    assert!(refused >= least, "{refused} of {faults}");
}

#[test]
fn a_disk_too_small_is_known_before_the_work() {
    let truth = Truth::new();
    let input = Folder::open(&truth.path().join("in")).unwrap();
    let Some(disk) = Mount::tmpfs("size=16k") else { return };
    let out = disk.path().join("deep").join("out");
    let error = Patch::begin(&input, &out, false, "job").unwrap_err().to_string();
    assert!(
        error.contains("cannot reserve room for") && error.contains("2.safetensors"),
        "{error}"
    );
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0, "nothing is left");
}

/// What others write meanwhile can take the room that the last file needs.
#[test]
fn a_disk_that_fills_up_meanwhile() {
    let truth = Truth::new();
    let input = Folder::open(&truth.path().join("in")).unwrap();
    let Some(disk) = Mount::tmpfs("size=128k") else { return };
    let out = disk.path().join("out");
    let begin = || Patch::begin(&input, &out, false, "job").unwrap();
    let mut patch = begin();
    let ballast = disk.path().join("ballast");
    let room = fs::write(&ballast, vec![1; 1 << 20]);
    assert!(room.is_err(), "the disk must be full");
    // The room for values and notes was taken at the beginning.
    for block in 0..BLOCKS {
        let name = format!("{block}.weight");
        let values = patch.read(&name).unwrap();
        patch.put(&name, &values).unwrap();
        patch.mark_done(&block.to_string(), "a remark").unwrap();
    }
    let error = patch.finish(Some(&[b' '; 5000])).unwrap_err().to_string();
    assert!(error.contains("config.json") && error.contains("No space left"), "{error}");
    assert!(!out.exists());
    fs::remove_file(ballast).unwrap();
    let patch = begin();
    assert_eq!(patch.done().len(), BLOCKS);
    patch.finish(Some(CONFIG)).unwrap();
    assert_eq!(files(&out).keys().collect::<Vec<_>>(), truth.files.keys().collect::<Vec<_>>());
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 1);
}
