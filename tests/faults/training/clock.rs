//! A wall clock that is set, forward and back, while a run trains: saves keep to the monotonic
//! clock, and none is deleted that `max_to_keep` alone would have kept.
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use secateur::checkpoint::{Checkpoint, load};
use tempfile::TempDir;

use super::trainee::{Job, Said, Trainee, adapter};
use crate::fixture::leftovers;
use crate::needs::{TOOLS, missing, say};

/// Seconds between saves.
const INTERVAL: f64 = 0.5;
/// What the wall clock is off by, one after the other; two saves each.
const OFFSETS: [i64; 6] = [0, HOUR, 2 * HOUR, YEAR, -HOUR, -YEAR];
const HOUR: i64 = 3600;
const YEAR: i64 = 365 * 24 * HOUR;

/// libfaketime, or `None` with a line on stderr.
fn library() -> Option<PathBuf> {
    let multiarch = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|e| e.path());
    let folders = multiarch.chain(["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from));
    let found = folders.map(|f| f.join("faketime/libfaketime.so.1")).find(|file| file.exists());
    if found.is_none() {
        missing(TOOLS, "this needs libfaketime (Debian's package faketime)");
    }
    found
}

/// A run whose wall clock the test sets.
struct Clocked {
    dir: TempDir,
    clock: PathBuf,
    trainee: Trainee,
    begun: Instant,
}

impl Clocked {
    fn start(max_to_keep: usize, keep_every_n_hours: Option<f64>) -> Option<Self> {
        let library = if adapter() { library()? } else { return None };
        let dir = tempfile::tempdir().unwrap();
        let clock = dir.path().join("clock");
        set(&clock, 0);
        let job = Job {
            // More than 12 saves take, so that a test ends if there are fewer.
            steps: 4000,
            save_every_n_steps: None,
            save_interval_secs: INTERVAL,
            max_to_keep,
            keep_every_n_hours,
            ..Job::new(&dir.path().join("logdir"))
        };
        let begun = Instant::now();
        let trainee = Trainee::start_with(&job, |command| {
            command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", &clock);
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_NO_CACHE", "1");
        });
        Some(Self { dir, clock, trainee, begun })
    }

    /// Waits for the next save; when it was told, in seconds, and its checkpoint.
    fn save(&mut self) -> (f64, Checkpoint) {
        let saved = self.trainee.find(|said| matches!(said, Said::Saved(_)));
        let Some(Said::Saved(step)) = saved else { panic!("no more saves: {saved:?}") };
        let path = self.logdir().join(format!("ckpt-{step:012}"));
        (self.begun.elapsed().as_secs_f64(), load(&path).unwrap())
    }

    fn logdir(&self) -> PathBuf {
        self.dir.path().join("logdir")
    }

    /// Steps of the checkpoints that are there.
    fn present(&self) -> Vec<u64> {
        let names = fs::read_dir(self.logdir()).unwrap().map(|e| e.unwrap().file_name());
        let step = |name: &str| name.strip_prefix("ckpt-").map(|step| step.parse().unwrap());
        let mut steps: Vec<u64> = names.filter_map(|n| step(n.to_str().unwrap())).collect();
        steps.sort_unstable();
        steps
    }
}

/// Sets the clock `offset` seconds off.
fn set(clock: &Path, offset: i64) {
    let new = clock.with_extension("new");
    fs::write(&new, format!("{offset:+}")).unwrap();
    fs::rename(new, clock).unwrap();
}

#[test]
fn saves_keep_to_the_monotonic_clock() {
    let Some(mut run) = Clocked::start(5, None) else { return };
    let (mut times, mut steps) = (Vec::new(), Vec::new());
    for offset in OFFSETS {
        set(&run.clock, offset);
        for _ in 0..2 {
            let (time, found) = run.save();
            times.push(time);
            steps.push(found.manifest.global_step);
            let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
            let off = found.manifest.created_unix as i64 - wall;
            assert!((off - offset).abs() < 600, "off by {off} s instead of {offset} s");
            assert_eq!(run.present(), steps[steps.len().saturating_sub(5)..]);
        }
    }
    for (i, time) in times.iter().enumerate() {
        let least = INTERVAL * (i + 1) as f64;
        assert!(*time >= least, "save {} came at {time:.2} s: {times:.2?}", i + 1);
    }
    let mut gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_unstable_by(f64::total_cmp);
    let (median, most) = (gaps[gaps.len() / 2], gaps[gaps.len() - 1]);
    say(&format!("{} saves, {median:.3} s apart (median), {most:.3} s at most", times.len()));
    assert_eq!(leftovers(&run.logdir()).iter().filter(|n| n.starts_with('.')).count(), 0);
}

#[test]
fn what_stays_for_its_hour_stays_whatever_the_clock_does() {
    let Some(mut run) = Clocked::start(2, Some(1.0)) else { return };
    let (mut steps, mut stay) = (Vec::new(), Vec::new());
    for offset in OFFSETS {
        set(&run.clock, offset);
        for first in [true, false] {
            steps.push(run.save().1.manifest.global_step);
            // The first of each hour that the clock moves on to.
            if first && offset > 0 {
                stay.push(steps[steps.len() - 1]);
            }
            let newest = &steps[steps.len().saturating_sub(2)..];
            let mut expected = [&stay[..], newest].concat();
            expected.sort_unstable();
            expected.dedup();
            assert_eq!(run.present(), expected, "{offset} s off");
        }
    }
    say(&format!("{} saves, of which stay: {:?}", steps.len(), run.present()));
}
