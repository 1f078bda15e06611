//! Chrome traces: what host and GPU did when, for Perfetto and chrome://tracing.
use std::cmp::Reverse;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{Error, Result};

/// Spans of time on two tracks, collected in memory and written as one JSON file.
///
/// Times are nanoseconds since any instant that host and GPU share; below 2^53 (104 days) they come
/// out exact. Spans of one track must nest or be apart.
#[derive(Debug, Default)]
pub struct Timeline {
    /// Each with its start and the duration that puts parents before children.
    events: Vec<(u64, Reverse<u64>, Value)>,
    flows: u64,
    notes: Map<String, Value>,
}

/// A row of the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Track {
    /// The training loop.
    Host,
    /// The device's queue.
    Gpu,
}

/// Names a span for [`Timeline::flow`].
#[derive(Debug, Clone, Copy)]
pub struct Span {
    track: Track,
    start_ns: u64,
    duration_ns: u64,
}

impl Timeline {
    /// Adds a span of `duration_ns` from `start_ns`, both in nanoseconds; `args` show on selection.
    pub fn span(
        &mut self,
        track: Track,
        name: &str,
        start_ns: u64,
        duration_ns: u64,
        args: &[(&str, Value)],
    ) -> Span {
        let args: Map<_, _> = args.iter().map(|(key, v)| (key.to_string(), v.clone())).collect();
        let event = json!({
            "ph": "X", "name": name, "pid": track.pid(), "tid": 0,
            "ts": microseconds(start_ns), "dur": microseconds(duration_ns), "args": args,
        });
        self.events.push((start_ns, Reverse(duration_ns), event));
        Span { track, start_ns, duration_ns }
    }

    /// Draws an arrow from one span to another, such as from a submission to its first kernel.
    pub fn flow(&mut self, from: Span, to: Span) {
        for (ph, end) in [("s", from), ("f", to)] {
            // An arrow end binds to the span around its time ("bp": "e").
            let event = json!({
                "ph": ph, "bp": "e", "name": "flow", "cat": "flow", "id": self.flows,
                "pid": end.track.pid(), "tid": 0, "ts": microseconds(end.start_ns),
            });
            self.events.push((end.start_ns, Reverse(end.duration_ns), event));
        }
        self.flows += 1;
    }

    /// Adds a fact about the whole trace, such as the adapter's name; a later one of this key wins.
    pub fn note(&mut self, key: &str, value: impl Into<Value>) {
        self.notes.insert(key.into(), value.into());
    }

    /// Writes the trace to `path` through a temporary file next to it, replacing an older trace.
    ///
    /// # Errors
    /// [`Error::Argument`] for a path without file name, [`Error::Io`] otherwise; then no temporary
    /// file is left and an older trace is as it was.
    pub fn write(&self, path: &Path) -> Result<()> {
        let name = path.file_name().ok_or_else(|| {
            Error::argument("path", format!("`{}` names no file to write", path.display()))
        })?;
        let temp = format!(".tmp-{}-{}", name.to_string_lossy(), std::process::id());
        let temp = path.with_file_name(temp);
        let written = self
            .write_json(&temp)
            .map_err(Error::io("write", &temp))
            .and_then(|()| fs::rename(&temp, path).map_err(Error::io("rename", &temp)));
        if written.is_err() {
            fs::remove_file(&temp).ok();
        }
        written
    }

    fn write_json(&self, path: &Path) -> std::io::Result<()> {
        let mut sorted: Vec<_> = self.events.iter().collect();
        sorted.sort_by_key(|(start, duration, _)| (*start, *duration));
        let names: Vec<Value> = Track::ALL.iter().flat_map(|track| track.names()).collect();
        let trace = Trace {
            trace_events: names.iter().chain(sorted.iter().map(|(.., event)| event)).collect(),
            other_data: &self.notes,
            display_time_unit: "ns",
        };
        let mut out = BufWriter::new(File::create(path)?);
        serde_json::to_writer(&mut out, &trace)?;
        out.flush()
    }
}

/// The file, as the Chrome trace format names its parts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Trace<'a> {
    trace_events: Vec<&'a Value>,
    other_data: &'a Map<String, Value>,
    display_time_unit: &'static str,
}

impl Track {
    const ALL: [Self; 2] = [Self::Host, Self::Gpu];

    fn pid(self) -> u32 {
        match self {
            Self::Host => 0,
            Self::Gpu => 1,
        }
    }

    /// Metadata events that name the row.
    fn names(self) -> [Value; 2] {
        let (process, thread) = match self {
            Self::Host => ("host", "training loop"),
            Self::Gpu => ("GPU", "queue"),
        };
        [("process_name", process), ("thread_name", thread)].map(|(kind, name)| {
            json!({
                "ph": "M", "name": kind, "pid": self.pid(), "tid": 0, "ts": 0,
                "args": {"name": name},
            })
        })
    }
}

fn microseconds(ns: u64) -> f64 {
    ns as f64 / 1e3
}
