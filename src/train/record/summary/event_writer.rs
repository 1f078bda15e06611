//! TensorBoard event files.
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::proto::Message;
use super::{Hparam, SummaryWriter, hparams};
use crate::comm::host_name;
use crate::train::histogram::Histogram;
use crate::{Error, Result};

/// Writes one event file; TensorBoard reads it while it grows.
///
/// Dropping it writes out what is buffered but hides errors; [`SummaryWriter::close`] reports
/// them. Each method's error is [`Error::Io`], where the file cannot be written.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    out: BufWriter<File>,
    has_hparams: bool,
}

impl EventWriter {
    /// Creates `events.out.tfevents.<seconds>.<host>.<process>.<n>` in `logdir`.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be created or written.
    pub fn create(logdir: &Path) -> Result<Self> {
        let stem = format!(
            "events.out.tfevents.{:010}.{}.{}",
            now() as u64,
            host_name(),
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
        let mut writer =
            Self { path, out: BufWriter::with_capacity(BUFFER, file), has_hparams: false };
        writer.event(0, |event| event.bytes(field::EVENT_FILE_VERSION, b"brain.Event:2"))?;
        writer.flush()?;
        Ok(writer)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a summary of the one value that `fill` adds under `tag`.
    fn value(&mut self, tag: &str, step: u64, fill: impl FnOnce(&mut Message)) -> Result<()> {
        self.event(step, |event| {
            event.message(field::EVENT_SUMMARY, |summary| {
                summary.message(field::SUMMARY_VALUE, |value| {
                    value.bytes(field::VALUE_TAG, tag.as_bytes());
                    fill(value);
                });
            });
        })
    }

    /// Writes a `SessionLog` of this status, and what `fill` adds.
    fn session(&mut self, step: u64, status: u64, fill: impl FnOnce(&mut Message)) -> Result<()> {
        self.event(step, |event| {
            event.message(field::EVENT_SESSION_LOG, |log| {
                log.varint(field::SESSION_LOG_STATUS, status);
                fill(log);
            });
        })
    }

    /// Writes one record: length, its checksum, the event, its checksum; numbers little-endian.
    fn event(&mut self, step: u64, fill: impl FnOnce(&mut Message)) -> Result<()> {
        let event = Message::new(|event| {
            event.double(field::EVENT_WALL_TIME, now());
            event.varint(field::EVENT_STEP, step);
            fill(event);
        });
        let event = event.as_bytes();
        let length = (event.len() as u64).to_le_bytes();
        let record = [&length[..], &masked_crc(&length), event, &masked_crc(event)].concat();
        // In one piece: where the disk is full it is dropped whole, and later ones stay readable.
        self.out.write_all(&record).map_err(Error::io("write", &self.path))
    }
}

impl SummaryWriter for EventWriter {
    /// May come several times in one file: TensorBoard drops what this and earlier files have from
    /// `step` on, each time.
    fn start(&mut self, step: u64) -> Result<()> {
        self.session(step, status::START, |_| ())?;
        self.flush()
    }

    /// For TensorBoard's HParams dashboard, which keeps the first that it finds in a logdir: those
    /// of a resumed run change nothing. Of two with one name, the later counts. The dashboard has
    /// the scalars beside them when it is given the folder around the logdir.
    ///
    /// # Errors
    /// [`Error::Argument`] for a number that is NaN or infinite.
    fn hparams(&mut self, hparams: &[(&str, Hparam)]) -> Result<()> {
        hparams::check(hparams)?;
        self.has_hparams = true;
        self.value(hparams::START_TAG, 0, |value| {
            value.message(field::VALUE_METADATA, |metadata| {
                hparams::start_info(metadata, hparams, now());
            });
        })
    }

    fn scalar(&mut self, tag: &str, step: u64, value: f32) -> Result<()> {
        self.value(tag, step, |entry| entry.float(field::VALUE_SIMPLE_VALUE, value))
    }

    fn histogram(&mut self, tag: &str, step: u64, histogram: &Histogram) -> Result<()> {
        self.value(tag, step, |value| {
            value.message(field::VALUE_HISTO, |histo| {
                let count: u64 = histogram.counts.iter().sum();
                histo.double(field::HISTOGRAM_MIN, histogram.min);
                histo.double(field::HISTOGRAM_MAX, histogram.max);
                histo.double(field::HISTOGRAM_NUM, count as f64);
                histo.double(field::HISTOGRAM_SUM, histogram.sum);
                histo.double(field::HISTOGRAM_SUM_SQUARES, histogram.sum_squares);
                histo.doubles(field::HISTOGRAM_BUCKET_LIMIT, histogram.limits.iter().copied());
                let counts = histogram.counts.iter().map(|&n| n as f64);
                histo.doubles(field::HISTOGRAM_BUCKET, counts);
            });
        })
    }

    fn checkpoint(&mut self, step: u64, path: &Path) -> Result<()> {
        let path = path.to_string_lossy();
        self.session(step, status::CHECKPOINT, |log| {
            log.bytes(field::SESSION_LOG_CHECKPOINT_PATH, path.as_bytes());
        })
    }

    fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(Error::io("write", &self.path))
    }

    fn close(&mut self, step: u64) -> Result<()> {
        if self.has_hparams {
            self.value(hparams::END_TAG, 0, |value| {
                value.message(field::VALUE_METADATA, |out| hparams::end_info(out, now()));
            })?;
        }
        self.session(step, status::STOP, |_| ())?;
        self.flush()
    }
}

/// Bytes buffered, more than any record has: one that does not fit would be written in parts.
const BUFFER: usize = 1 << 16;

/// Field numbers of TensorFlow's `Event`, `Summary`, `Summary.Value`, `HistogramProto` and
/// `SessionLog`.
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
    pub const VALUE_METADATA: u64 = 9;
    pub const HISTOGRAM_MIN: u64 = 1;
    pub const HISTOGRAM_MAX: u64 = 2;
    pub const HISTOGRAM_NUM: u64 = 3;
    pub const HISTOGRAM_SUM: u64 = 4;
    pub const HISTOGRAM_SUM_SQUARES: u64 = 5;
    pub const HISTOGRAM_BUCKET_LIMIT: u64 = 6;
    pub const HISTOGRAM_BUCKET: u64 = 7;
    pub const SESSION_LOG_STATUS: u64 = 1;
    pub const SESSION_LOG_CHECKPOINT_PATH: u64 = 2;
}

/// `SessionLog.SessionStatus`.
mod status {
    pub const START: u64 = 1;
    pub const STOP: u64 = 2;
    pub const CHECKPOINT: u64 = 3;
}

/// CRC-32C rotated and shifted, as TFRecord wants it.
fn masked_crc(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}
