//! Power cuts: the job goes on from what is on the disk at one moment.
use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use super::{Truth, start};
use crate::mount::{Mount, run};
use crate::needs::say;

const CUTS: u64 = 12;

#[test]
fn cut_off_it_goes_on_to_the_same_bytes() {
    let truth = Truth::new();
    let dir = tempfile::tempdir().unwrap();
    let (disk, copy) = (dir.path().join("disk"), dir.path().join("copy"));
    fs::File::create(&disk).unwrap().set_len(32 << 20).unwrap();
    if !run(Command::new("mkfs.ext4").arg("-q").arg(&disk)) {
        return;
    }
    let mount = |image: &std::path::Path| Mount::new(&["-o", "loop", image.to_str().unwrap()]);
    let Some(live) = mount(&disk) else { return };
    let input = live.path().join("in");
    assert!(run(Command::new("cp").arg("-r").arg(truth.path().join("in")).arg(&input)));
    assert!(run(Command::new("sync").arg("-f").arg(&input)));
    let mut halves = 0;
    for cut in 1..=CUTS {
        let (mut child, _) = start(live.path());
        sleep(Duration::from_millis(cut * 4));
        // The copy takes a moment in which the disk must not move on.
        assert!(run(Command::new("kill").args(["-STOP", &child.id().to_string()])));
        fs::copy(&disk, &copy).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();

        let after = mount(&copy).expect("it mounted before");
        let unfinished = after.path().join("out.unfinished").exists();
        halves += usize::from(unfinished);
        truth.goes_on(after.path(), &format!("cut {cut}"));
        fs::remove_dir_all(live.path().join("out")).ok();
        fs::remove_dir_all(live.path().join("out.unfinished")).ok();
    }
    say(&format!("{CUTS} cuts, {halves} of them within the job"));
    assert!(halves > 0);
}
