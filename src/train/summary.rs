//! TensorBoard event files.
use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::histogram::Histogram;
use crate::{Error, Result};

/// Writes one event file; TensorBoard reads it while it grows.
///
/// Dropping it writes out what is buffered but hides errors; [`EventWriter::close`] reports them.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    out: BufWriter<File>,
}

impl EventWriter {
    /// Creates `events.out.tfevents.<seconds>.<host>.<process>.<n>` in `logdir`.
    ///
    /// `start_step` is the first step that will be written: TensorBoard drops the values that earlier
    /// files have from that step on. A run that resumes after step 60 passes 61.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be created or written.
    pub fn create(logdir: &Path, start_step: u64) -> Result<Self> {
        let stem = format!(
            "events.out.tfevents.{:010}.{}.{}",
            now() as u64,
            hostname(),
            std::process::id()
        );
        let mut n = 0;
        let (path, file) = loop {
            let path = logdir.join(format!("{stem}.{n}"));
            match File::create_new(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => n += 1,
                result => break (path.clone(), result.map_err(Error::io("create", path))?),
            }
        };
        let mut writer = Self { path, out: BufWriter::new(file) };
        writer.event(0, |event| event.bytes(field::EVENT_FILE_VERSION, b"brain.Event:2"))?;
        writer.session(start_step, status::START)?;
        writer.flush()?;
        Ok(writer)
    }

    /// Adds one value of the curve `tag`; NaN and infinities are kept.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be written.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f32) -> Result<()> {
        let bits = value.to_le_bytes();
        self.value(tag, step, |entry| entry.fixed32(field::VALUE_SIMPLE_VALUE, bits))
    }

    /// Adds the distribution `histogram` under `tag`.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be written.
    pub fn histogram(&mut self, tag: &str, step: u64, histogram: &Histogram) -> Result<()> {
        let count: u64 = histogram.counts.iter().sum();
        let numbers = [
            (field::HISTOGRAM_MIN, histogram.min),
            (field::HISTOGRAM_MAX, histogram.max),
            (field::HISTOGRAM_NUM, count as f64),
            (field::HISTOGRAM_SUM, histogram.sum),
            (field::HISTOGRAM_SUM_SQUARES, histogram.sum_squares),
        ];
        let mut histo = Message::default();
        for (field, number) in numbers {
            histo.fixed64(field, number.to_le_bytes());
        }
        let packed = |numbers: &mut dyn Iterator<Item = f64>| {
            numbers.flat_map(f64::to_le_bytes).collect::<Vec<u8>>()
        };
        let limits = packed(&mut histogram.limits.iter().copied());
        histo.bytes(field::HISTOGRAM_BUCKET_LIMIT, &limits);
        let counts = packed(&mut histogram.counts.iter().map(|&n| n as f64));
        histo.bytes(field::HISTOGRAM_BUCKET, &counts);
        self.value(tag, step, |entry| entry.bytes(field::VALUE_HISTO, &histo.0))
    }

    /// Hands all records to the system, for readers to see.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be written.
    pub fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(Error::io("write", &self.path))
    }

    /// Marks the end of the run at `step` and flushes.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be written.
    pub fn close(mut self, step: u64) -> Result<()> {
        self.session(step, status::STOP)?;
        self.flush()
    }

    /// Writes a summary of the one value that `fill` adds under `tag`.
    fn value(&mut self, tag: &str, step: u64, fill: impl FnOnce(&mut Message)) -> Result<()> {
        let mut entry = Message::default();
        entry.bytes(field::VALUE_TAG, tag.as_bytes());
        fill(&mut entry);
        let mut values = Message::default();
        values.bytes(field::SUMMARY_VALUE, &entry.0);
        self.event(step, |event| event.bytes(field::EVENT_SUMMARY, &values.0))
    }

    fn session(&mut self, step: u64, status: u64) -> Result<()> {
        let mut log = Message::default();
        log.varint(field::SESSION_LOG_STATUS, status);
        self.event(step, |event| event.bytes(field::EVENT_SESSION_LOG, &log.0))
    }

    /// Writes one record: length, its checksum, the event, its checksum; numbers little-endian.
    fn event(&mut self, step: u64, fill: impl FnOnce(&mut Message)) -> Result<()> {
        let mut event = Message::default();
        event.fixed64(field::EVENT_WALL_TIME, now().to_le_bytes());
        event.varint(field::EVENT_STEP, step);
        fill(&mut event);
        let length = (event.0.len() as u64).to_le_bytes();
        [&length[..], &masked_crc(&length), &event.0, &masked_crc(&event.0)]
            .iter()
            .try_for_each(|part| self.out.write_all(part))
            .map_err(Error::io("write", &self.path))
    }
}

/// Field numbers of TensorFlow's `Event`, `Summary`, `Summary.Value`, `HistogramProto` and `SessionLog`.
mod field {
    pub const EVENT_WALL_TIME: u64 = 1;
    pub const EVENT_STEP: u64 = 2;
    pub const EVENT_FILE_VERSION: u64 = 3;
    pub const EVENT_SUMMARY: u64 = 5;
    pub const EVENT_SESSION_LOG: u64 = 7;
    pub const SUMMARY_VALUE: u64 = 1;
    pub const VALUE_TAG: u64 = 1;
    pub const VALUE_SIMPLE_VALUE: u64 = 2;
    pub const VALUE_HISTO: u64 = 5;
    pub const HISTOGRAM_MIN: u64 = 1;
    pub const HISTOGRAM_MAX: u64 = 2;
    pub const HISTOGRAM_NUM: u64 = 3;
    pub const HISTOGRAM_SUM: u64 = 4;
    pub const HISTOGRAM_SUM_SQUARES: u64 = 5;
    pub const HISTOGRAM_BUCKET_LIMIT: u64 = 6;
    pub const HISTOGRAM_BUCKET: u64 = 7;
    pub const SESSION_LOG_STATUS: u64 = 1;
}

/// `SessionLog.SessionStatus`.
mod status {
    pub const START: u64 = 1;
    pub const STOP: u64 = 2;
}

/// A protocol buffer message under construction.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, field: u64, value: u64) {
        self.raw_varint(field << 3);
        self.raw_varint(value);
    }

    fn fixed64(&mut self, field: u64, bytes: [u8; 8]) {
        self.raw_varint(field << 3 | 1);
        self.0.extend(bytes);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.raw_varint(field << 3 | 2);
        self.raw_varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn fixed32(&mut self, field: u64, bytes: [u8; 4]) {
        self.raw_varint(field << 3 | 5);
        self.0.extend(bytes);
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// CRC-32C rotated and shifted, as TFRecord wants it.
fn masked_crc(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

fn hostname() -> String {
    let mut name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.retain(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.');
    if name.is_empty() { "localhost".into() } else { name }
}
