//! Which checkpoints stay: by step, and one for good of every so many hours, whatever the clock
//! does.
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use proptest::collection::vec;
use proptest::prelude::*;
use secateur::checkpoint::{self, Retention};
use serde_json::json;

use super::{MANIFEST_FILE, damage::seal, manifest, model, names, newest, optimizer};

const BEGUN: u64 = 1_700_000_000;
const HOUR: u64 = 3600;

fn every(hours: f64, max_to_keep: usize) -> Retention {
    Retention { max_to_keep, keep_every_n_hours: Some(hours) }
}

/// Minutes after the start, for steps 1, 2, 3, ...
fn at_minutes(minutes: &[u64]) -> Vec<(u64, u64)> {
    (1..).zip(minutes.iter().map(|m| BEGUN + m * 60)).collect()
}

#[test]
fn the_first_of_every_later_stretch_stays() {
    let saved = at_minutes(&[0, 30, 59, 60, 90, 119, 200, 239, 240, 250]);
    assert_eq!(every(1.0, 1).outdated(BEGUN, &saved), [8, 6, 5, 3, 2, 1]);
    // Among the newest the rule does not look at the clock.
    assert_eq!(every(1.0, 4).outdated(BEGUN, &saved), [6, 5, 3, 2, 1]);
    assert_eq!(every(0.5, 1).outdated(BEGUN, &saved), [6, 3, 1]);
    assert_eq!(every(2.0, 1).outdated(BEGUN, &saved), [8, 6, 5, 4, 3, 2, 1]);
    assert_eq!(Retention::newest(8).outdated(BEGUN, &saved), [2, 1]);
    for keep in [10, 11, usize::MAX] {
        assert_eq!(every(1.0, keep).outdated(BEGUN, &saved), [0; 0]);
    }
    assert_eq!(every(1.0, 0).outdated(BEGUN, &[]), [0; 0]);
}

#[test]
fn the_order_of_the_list_says_nothing() {
    let saved = at_minutes(&[0, 70, 80, 130, 140]);
    let mut shuffled = saved.clone();
    shuffled.rotate_left(2);
    shuffled.swap(0, 1);
    let retention = every(1.0, 1);
    assert_eq!(retention.outdated(BEGUN, &shuffled), retention.outdated(BEGUN, &saved));
    assert_eq!(retention.outdated(BEGUN, &saved), [3, 1]);
}

#[test]
fn an_interval_that_is_none_keeps_the_newest_only() {
    let saved = at_minutes(&[0, 70, 140, 210]);
    for hours in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(every(hours, 2).outdated(BEGUN, &saved), [2, 1], "{hours}");
    }
    // So short that every time is beyond the last number.
    assert_eq!(every(f64::MIN_POSITIVE, 1).outdated(BEGUN, &saved), [3, 1]);
    assert_eq!(every(f64::MAX, 1).outdated(0, &[(1, u64::MAX), (2, 0), (3, 5)]), [2, 1]);
}

#[test]
fn a_save_keeps_by_the_times_in_the_manifests() {
    let dir = tempfile::tempdir().unwrap();
    let save = |step, created_unix| {
        let manifest = manifest(step).begun_unix(BEGUN).created_unix(created_unix);
        checkpoint::save(dir.path(), manifest, &model(), &optimizer(), every(1.0, 2)).unwrap();
    };
    for (step, created) in at_minutes(&[10, 50, 70, 100, 130, 150, 190, 200]) {
        save(step, created);
    }
    let steps = [3, 5, 7, 8].map(|step| format!("ckpt-{step:012}"));
    assert_eq!(names(dir.path()), steps);

    // One whose time cannot be read is no reason to fail, and goes when its turn comes.
    std::fs::write(dir.path().join(&steps[2]).join(MANIFEST_FILE), "damaged").unwrap();
    save(9, BEGUN + 201 * 60);
    save(10, BEGUN + 202 * 60);
    let steps = [3, 5, 8, 9, 10].map(|step| format!("ckpt-{step:012}"));
    assert_eq!(names(dir.path()), steps);
}

#[test]
fn manifests_say_when() {
    let dir = tempfile::tempdir().unwrap();
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let unset = manifest(3).created_unix(0);
    let before = now();
    let path =
        checkpoint::save(dir.path(), unset, &model(), &optimizer(), Retention::newest(5)).unwrap();
    let found = newest(dir.path()).manifest;
    assert!((before..=now()).contains(&found.created_unix), "{}", found.created_unix);
    assert_eq!(found.begun_unix, manifest(3).begun_unix);

    // Files of earlier versions do not say.
    let mut older = serde_json::to_value(&found).unwrap();
    let fields = older.as_object_mut().unwrap();
    assert_eq!(fields.remove("begun_unix"), Some(json!(found.begun_unix)));
    assert_eq!(fields.remove("created_unix"), Some(json!(found.created_unix)));
    seal(&path, &older.to_string());
    let older = newest(dir.path()).manifest;
    assert_eq!(older, found.begun_unix(0).created_unix(0));
}

proptest! {
    /// Saves of a run whose clock steps an hour, a day or a year either way between any two.
    #[test]
    fn no_clock_deletes_more(
        gaps in vec((0..3 * HOUR, -2i64..=2), 1..60),
        jump in prop::sample::select(vec![HOUR, 24 * HOUR, 365 * 24 * HOUR]),
        max_to_keep in 0usize..6,
        hours in 0.1f64..6.0,
    ) {
        let retention = every(hours, max_to_keep);
        let (mut clock, mut present) = (BEGUN, BTreeMap::new());
        let (mut settled, mut step) = (Vec::new(), 0);
        for (gap, jumps) in gaps {
            step += 10;
            clock = clock.saturating_add_signed(gap as i64 + jumps * jump as i64);
            present.insert(step, clock);
            let saved: Vec<_> = present.iter().map(|(&step, &time)| (step, time)).collect();
            let gone = retention.outdated(BEGUN, &saved);
            let alone = Retention::newest(max_to_keep).outdated(BEGUN, &saved);
            prop_assert!(gone.iter().all(|step| alone.contains(step)), "{gone:?}, {alone:?}");
            prop_assert!(gone.iter().all(|step| !settled.contains(step)), "{gone:?}, {settled:?}");
            present.retain(|step, _| !gone.contains(step));
            settled = alone.into_iter().filter(|step| present.contains_key(step)).collect();
        }
    }

    /// With a clock that only goes forward, of the older ones each stretch but the first has one.
    #[test]
    fn a_steady_clock_keeps_one_a_stretch(
        gaps in vec(0..3 * HOUR, 1..60),
        max_to_keep in 1usize..6,
        hours in 1u64..6,
    ) {
        let retention = every(hours as f64, max_to_keep);
        let (mut clock, mut present, mut all) = (BEGUN, BTreeMap::new(), Vec::new());
        for (step, gap) in (1..).zip(gaps) {
            clock += gap;
            all.push((step, clock));
            present.insert(step, clock);
            let saved: Vec<_> = present.iter().map(|(&step, &time)| (step, time)).collect();
            let gone = retention.outdated(BEGUN, &saved);
            present.retain(|step, _| !gone.contains(step));
        }
        let older = all.len().saturating_sub(max_to_keep);
        let mut first_of = BTreeMap::new();
        for &(step, time) in &all[..older] {
            first_of.entry((time - BEGUN) / (hours * HOUR)).or_insert(step);
        }
        first_of.remove(&0);
        let newest = all[older..].iter().map(|&(step, _)| step);
        let wanted: Vec<u64> = first_of.into_values().chain(newest).collect();
        prop_assert_eq!(present.into_keys().collect::<Vec<_>>(), wanted);
    }
}
