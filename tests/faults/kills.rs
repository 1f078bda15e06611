//! SIGKILL at any time during saves.
use std::thread::sleep;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use secateur::checkpoint;

use crate::child::Process;
use crate::fixture::{leftovers, newest};
use crate::needs::say;

#[test]
fn fifty_kills_lose_nothing() {
    kills(50);
}

#[test]
#[ignore = "slow: 500 kills"]
fn five_hundred_kills_lose_nothing() {
    kills(500);
}

/// After each kill the newest checkpoint is whole, none is damaged, and no acknowledged save is
/// lost.
fn kills(count: usize) {
    let dir = tempfile::tempdir().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(count as u64);
    let (mut acknowledged, mut last, mut half) = (0, 0, 0);
    for i in 0..count as u64 {
        let saver = Process::start("saver", dir.path());
        // On a machine that is slow at the time, until the first save comes to its end.
        let most = if acknowledged > 0 { 20_000 } else { 20_000 + 4_000 * i };
        sleep(Duration::from_micros(random.next_u64() % most));
        let acks = saver.kill();
        acknowledged += acks.len();
        last = acks.last().copied().unwrap_or(last);
        half += usize::from(!leftovers(dir.path()).is_empty());
        checkpoint::sweep(dir.path()).unwrap();
        assert_eq!(leftovers(dir.path()), [""; 0]);
        let found = newest(dir.path());
        assert!(found >= last, "newest is {found}, {last} was acknowledged");
        last = found;
    }
    say(&format!("{count} kills, {half} of them during a save; {acknowledged} saves acknowledged"));
    // Else the kills came at no interesting time, and this test says nothing.
    assert!(half > 0 && acknowledged > 0);
}
