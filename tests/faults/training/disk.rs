//! Disks that fail a run under way: it trains on, and saves again once it can.
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use secateur::checkpoint::newest;

use super::trainee::{Job, Said, Trainee, adapter, files, straight, temporary};
use crate::mount::{self, Mount};
use crate::needs::say;

/// Takes all the room that there is.
fn fill(disk: &Path) {
    let mut filler = File::create_new(disk.join("filler")).unwrap();
    while filler.write_all(&[0; 4096]).is_ok() {}
}

fn empty(disk: &Path) {
    fs::remove_file(disk.join("filler")).unwrap();
}

/// 120 steps, each with summaries and a trace.
fn job(logdir: &Path) -> Job {
    Job { steps: 120, trace_every_n_steps: Some(1), ..Job::new(logdir) }
}

/// A disk of a size that holds all of [`job`], and its run, which has just saved.
fn saved() -> Option<(Mount, Trainee)> {
    if !adapter() {
        return None;
    }
    let disk = Mount::tmpfs("size=32m")?;
    let mut trainee = Trainee::start(&job(disk.path()));
    trainee.find(|said| matches!(said, Said::Saved(_))).unwrap();
    Some((disk, trainee))
}

/// Lets three saves fail, and then one work, once `repair` has been at it.
fn outlasts(trainee: &mut Trainee, why: &str, repair: impl FnOnce()) {
    let mut steps = 0;
    for _ in 0..3 {
        let outcome = trainee.find(|said| {
            steps += u32::from(matches!(said, Said::Step(_)));
            matches!(said, Said::Saved(_) | Said::SaveFailed(..))
        });
        let Some(Said::SaveFailed(_, message)) = outcome else { panic!("{outcome:?}") };
        assert!(message.contains(why), "{message}");
    }
    assert!(steps >= 14, "{steps} steps, though each save is of 7 more");
    repair();
    let saved = trainee.find(|said| matches!(said, Said::Saved(_)));
    let Some(Said::Saved(saved)) = saved else { panic!("no more saves") };
    say(&format!("{why}: 3 saves failed in {steps} steps; that of step {saved} did not"));
}

#[test]
fn a_disk_that_is_full_for_a_while() {
    let Some((disk, mut trainee)) = saved() else { return };
    fill(disk.path());
    outlasts(&mut trainee, "No space left on device", || {
        assert_eq!(temporary(disk.path()), [""; 0]);
        empty(disk.path());
    });
    assert_eq!(trainee.end().last(), Some(&Said::Done(120)));
    assert_eq!(temporary(disk.path()), [""; 0]);
    assert!(files(disk.path(), 120) == straight(120));
}

#[test]
fn a_disk_that_is_still_full_at_the_end() {
    let Some((disk, trainee)) = saved() else { return };
    fill(disk.path());
    let said = trainee.end();
    let Some(Said::Failed(error)) = said.last() else { panic!("{said:?}") };
    assert!(error.contains("No space left on device"), "{error}");
    assert!(said.contains(&Said::Step(120)), "{said:?}");
    let found = newest(disk.path()).unwrap().unwrap();
    assert!(found.skipped.is_empty() && found.manifest.global_step >= 7, "{:?}", found.manifest);
    assert_eq!(temporary(disk.path()), [""; 0]);
    empty(disk.path());
    let said = Trainee::start(&job(disk.path())).end();
    assert_eq!(said.first(), Some(&Said::Start(found.manifest.global_step)));
    assert!(files(disk.path(), 120) == straight(120));
}

/// The folder as nobody can write to it, over itself. What is open stays so, as with a disk that
/// turns read-only after an error; to remount it so is refused while a run has files open.
struct ReadOnly<'a>(&'a Path);

impl<'a> ReadOnly<'a> {
    fn new(folder: &'a Path) -> Self {
        assert!(mount::run(Command::new("mount").args(["-o", "bind,ro"]).args([folder, folder])));
        Self(folder)
    }
}

impl Drop for ReadOnly<'_> {
    fn drop(&mut self) {
        mount::run(Command::new("umount").arg(self.0));
    }
}

#[test]
fn a_disk_that_is_read_only_for_a_while() {
    let Some((disk, mut trainee)) = saved() else { return };
    let read_only = ReadOnly::new(disk.path());
    outlasts(&mut trainee, "Read-only file system", || drop(read_only));
    assert_eq!(trainee.end().last(), Some(&Said::Done(120)));
    assert!(files(disk.path(), 120) == straight(120));
    // A save that was cut off could not clean up after itself; the next start does.
    assert_eq!(Trainee::start(&job(disk.path())).end().last(), Some(&Said::Done(120)));
    assert_eq!(temporary(disk.path()), [""; 0]);
}
