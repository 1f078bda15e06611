//! A full disk where the chief saves.
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::jobs::{Training, Way};
use crate::mount::Mount;

const STEPS: u64 = 400;

/// Takes all the room that there is.
fn fill(disk: &Path) {
    let mut filler = File::create_new(disk.join("filler")).unwrap();
    while filler.write_all(&[0; 4096]).is_ok() {}
}

#[test]
fn a_disk_that_is_full_to_the_end_is_an_error_of_the_job() {
    let Some(disk) = Mount::tmpfs("size=16m") else { return };
    for way in [Way::InStep, Way::Async] {
        let Some(training) = Training::new(way) else { return };
        let training = training.with(&format!("--steps {STEPS}"));
        let logdir = disk.path().join(format!("{way:?}"));
        fs::create_dir(&logdir).unwrap();
        symlink(&logdir, training.logdir()).unwrap();
        let Some(mut job) = training.start(2) else { return };
        job.says("saved ");
        fill(disk.path());
        let over = job.end().expect(2);
        over.says(&["global step 400"]).says(&["No space left on device", "training goes on"]);
        // In step the ranks part in order, each with this code.
        let last = if way == Way::InStep { "secateur: " } else { "ends the job with code 2" };
        over.says(&[last, "No space left on device"]);
        let newest = training.newest();
        assert!(newest > 0 && newest >= over.acknowledged() && newest < STEPS, "{over:?}");
        fs::remove_file(disk.path().join("filler")).unwrap();
        training.ends_as(None, 2, STEPS);
    }
}
