//! TensorBoard's event files, read back: scalars, histograms, and what was replaced by a later
//! history left out.
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use prost::Message;

use crate::{Error, Result};

/// What the event files of a logdir say, by tag; steps ascend.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::report) struct Events {
    pub(in crate::report) scalars: BTreeMap<String, Vec<(u64, f64)>>,
    pub(in crate::report) histograms: BTreeMap<String, Vec<(u64, Distribution)>>,
    /// Seconds since 1970 of the first and the last record.
    pub(in crate::report) from_to: Option<(f64, f64)>,
    /// The run said that it ended well, and nothing came after.
    pub(in crate::report) ended: bool,
    /// Files that end in damage, each with what is wrong.
    pub(in crate::report) damaged: Vec<String>,
}

/// How values are distributed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::report) struct Distribution {
    /// Smallest value.
    pub(in crate::report) min: f64,
    /// Right edge of each bin, and the values in it.
    pub(in crate::report) bins: Vec<(f64, f64)>,
}

impl Events {
    /// Reads all event files of `logdir`, oldest first. A file that is damaged counts up to there.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder or a file cannot be read.
    pub(in crate::report) fn read(logdir: &Path) -> Result<Self> {
        let entries = fs::read_dir(logdir).map_err(Error::io("list", logdir))?;
        let is_events = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("events.out.tfevents.")
        };
        let mut paths: Vec<_> = entries.flatten().map(|e| e.path()).filter(is_events).collect();
        paths.sort();
        let mut events = Self::default();
        for path in paths {
            let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
            if let Err(what) = events.take(&bytes) {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                events.damaged.push(format!("{name}: {what}"));
            }
        }
        Ok(events)
    }

    /// The curve `tag`, empty where there is none.
    pub(in crate::report) fn curve(&self, tag: &str) -> &[(u64, f64)] {
        self.scalars.get(tag).map_or(&[], Vec::as_slice)
    }

    /// The last value of the curve `tag`.
    pub(in crate::report) fn last(&self, tag: &str) -> Option<f64> {
        self.curve(tag).last().map(|&(_, value)| value)
    }

    /// Takes the records of a file: length, its checksum, an event, its checksum.
    fn take(&mut self, mut rest: &[u8]) -> Result<(), String> {
        let whole = rest.len();
        while !rest.is_empty() {
            let at = whole - rest.len();
            let (event, after) = record(rest).ok_or(format!("damaged from byte {at} on"))?;
            let event = Event::decode(event).map_err(|e| format!("at byte {at}: {e}"))?;
            self.add(event);
            rest = after;
        }
        Ok(())
    }

    fn add(&mut self, event: Event) {
        let step = event.step as u64;
        let time = event.wall_time;
        if time.is_finite() && time > 0.0 {
            let (from, _) = *self.from_to.get_or_insert((time, time));
            self.from_to = Some((from, time.max(from)));
        }
        if let Some(session) = &event.session_log {
            match session.status {
                START => self.forget(step),
                STOP => self.ended = true,
                _ => {}
            }
        }
        for value in event.summary.unwrap_or_default().value {
            let Value { tag, simple_value, histo, .. } = value;
            if let Some(number) = simple_value {
                push(self.scalars.entry(tag).or_default(), step, f64::from(number));
            } else if let Some(histo) = histo {
                let bins = histo.limits.into_iter().zip(histo.counts).collect();
                let distribution = Distribution { min: histo.min, bins };
                push(self.histograms.entry(tag).or_default(), step, distribution);
            }
        }
    }

    /// Values from `step` on are of a history that is replaced.
    fn forget(&mut self, step: u64) {
        self.ended = false;
        self.scalars.values_mut().for_each(|curve| curve.retain(|(s, _)| *s < step));
        self.histograms.values_mut().for_each(|curve| curve.retain(|(s, _)| *s < step));
    }
}

/// Adds a value behind those before it; one that comes again at a step replaces the first.
fn push<T>(curve: &mut Vec<(u64, T)>, step: u64, value: T) {
    let at = curve.partition_point(|(before, _)| *before < step);
    curve.truncate(at);
    curve.push((step, value));
}

/// The first record of `bytes`, and what comes after it; `None` where it is damaged.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let word = |bytes: &[u8]| Some(u32::from_le_bytes(bytes.try_into().ok()?));
    let (length, rest) = bytes.split_at_checked(8)?;
    let (sum, rest) = rest.split_at_checked(4)?;
    if word(sum)? != masked_crc(length) {
        return None;
    }
    let length = usize::try_from(u64::from_le_bytes(length.try_into().ok()?)).ok()?;
    let (event, rest) = rest.split_at_checked(length)?;
    let (sum, rest) = rest.split_at_checked(4)?;
    (word(sum)? == masked_crc(event)).then_some((event, rest))
}

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

const START: i32 = 1;
const STOP: i32 = 2;

/// TensorFlow's messages, as far as runs write them.
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
    #[prost(message, optional, tag = "5")]
    histo: Option<Histo>,
}

#[derive(Clone, PartialEq, Message)]
struct Histo {
    #[prost(double, tag = "1")]
    min: f64,
    #[prost(double, repeated, tag = "6")]
    limits: Vec<f64>,
    #[prost(double, repeated, tag = "7")]
    counts: Vec<f64>,
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}
