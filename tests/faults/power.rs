//! Power cuts: what is on the disk at one moment, without what the system still meant to write.
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::child::Process;
use crate::fixture::newest;
use crate::mount::{Mount, run};
use crate::needs::say;

const CUTS: usize = 50;

#[test]
#[ignore = "slow: 50 power cuts, needs root"]
fn fifty_power_cuts_lose_no_acknowledged_save() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, copy) = (dir.path().join("disk"), dir.path().join("copy"));
    fs::File::create(&disk).unwrap().set_len(64 << 20).unwrap();
    if !run(Command::new("mkfs.ext4").arg("-q").arg(&disk)) {
        return;
    }
    let Some(live) = mount(&disk) else { return };
    let saver = Process::start("saver", live.path());
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let (mut last, mut acknowledged) = (0, 0);
    for cut in 0..CUTS {
        sleep(Duration::from_micros(100_000 + random.next_u64() % 100_000));
        // The copy takes a moment in which the disk must not move on.
        signal("STOP", saver.id());
        let seen = saver.acknowledged();
        fs::copy(&disk, &copy).unwrap();
        signal("CONT", saver.id());
        acknowledged += usize::from(seen.is_some());
        last = seen.unwrap_or(last);

        let after = mount(&copy).expect("it mounted before");
        let found = newest(after.path());
        assert!(found >= last, "cut {cut}: newest is {found}, {last} was acknowledged");
    }
    say(&format!(
        "{CUTS} cuts, {acknowledged} of them after a new save; {last} saves acknowledged"
    ));
    assert!(acknowledged > CUTS / 2, "the child saves too slowly for this to say anything");
}

fn mount(image: &Path) -> Option<Mount> {
    Mount::new(&["-o", "loop", image.to_str().unwrap()])
}

fn signal(name: &str, pid: u32) {
    assert!(run(Command::new("kill").args([format!("-{name}"), pid.to_string()])));
}
