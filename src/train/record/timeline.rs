//! Chrome traces: what host and GPU did when, for Perfetto and chrome://tracing.
use std::cmp::Reverse;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::storage::Replace;
use crate::{Error, Result};

/// Spans of time on a few tracks, collected in memory and written as one JSON file.
///
/// Times are nanoseconds since any instant that host and GPU share; below 2^53 (104 days) they come
/// out exact. Spans of one track must nest or be apart; others are
/// [`overlapping`](Self::overlapping).
#[derive(Debug, Default)]
pub struct Timeline {
    /// Each with its start and the duration that puts parents before children.
    events: Vec<(u64, Reverse<u64>, Value)>,
    /// Flows and overlapping spans so far: their ids are of one count, so that none meet.
    paired: u64,
    notes: Map<String, Value>,
}

/// A row of the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Track {
    /// The training loop.
    Host,
    /// The thread that writes checkpoints.
    Checkpoint,
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
        let (pid, tid) = track.row();
        let event = json!({
            "ph": "X", "name": name, "pid": pid, "tid": tid,
            "ts": microseconds(start_ns), "dur": microseconds(duration_ns), "args": object(args),
        });
        self.events.push((start_ns, Reverse(duration_ns), event));
        Span { track, start_ns, duration_ns }
    }

    /// Adds a span that may overlap any other, such as a readback under way while the next begins;
    /// it gets a row of its own in the host process.
    pub fn overlapping(
        &mut self,
        name: &str,
        start_ns: u64,
        duration_ns: u64,
        args: &[(&str, Value)],
    ) {
        // Local to the process: viewers put a global one outside of all.
        let id = format!("{:#x}", self.next_id());
        let end_ns = start_ns.saturating_add(duration_ns);
        let (pid, tid) = Track::Host.row();
        let mut event = |ph: &str, at_ns, rest_ns, args| {
            let event = json!({
                "ph": ph, "cat": "readback", "id2": {"local": id}, "name": name, "pid": pid, "tid": tid,
                "ts": microseconds(at_ns), "args": args,
            });
            self.events.push((at_ns, Reverse(rest_ns), event));
        };
        event("b", start_ns, duration_ns, object(args));
        event("e", end_ns, 0, Map::new());
    }

    /// Draws an arrow from one span to another, such as from a submission to its first kernel.
    pub fn flow(&mut self, from: Span, to: Span) {
        let id = self.next_id();
        for (ph, end) in [("s", from), ("f", to)] {
            let (pid, tid) = end.track.row();
            // An arrow end binds to the span around its time ("bp": "e").
            let event = json!({
                "ph": ph, "bp": "e", "name": "flow", "cat": "flow", "id": id,
                "pid": pid, "tid": tid, "ts": microseconds(end.start_ns),
            });
            self.events.push((end.start_ns, Reverse(end.duration_ns), event));
        }
    }

    /// Adds a fact about the whole trace, such as the adapter's name; a later one of this key wins.
    pub fn note(&mut self, key: &str, value: impl Into<Value>) {
        self.notes.insert(key.into(), value.into());
    }

    /// Writes the trace to `path` through a temporary file next to it, replacing an older trace.
    ///
    /// # Errors
    /// [`Error::Argument`] for a path without file name, [`Error::File`] where something else than
    /// a plain file is in the way, [`Error::Io`] otherwise; then no temporary file is left and an
    /// older trace is as it was.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut out = Replace::create(path)?;
        self.write_json(&mut out).map_err(Error::io("write", path))?;
        out.finish()
    }

    fn next_id(&mut self) -> u64 {
        self.paired += 1;
        self.paired
    }

    fn write_json(&self, out: &mut Replace) -> std::io::Result<()> {
        let mut sorted: Vec<_> = self.events.iter().collect();
        sorted.sort_by_key(|(start, duration, _)| (*start, *duration));
        let names: Vec<Value> = Track::ALL.iter().flat_map(|track| track.names()).collect();
        let trace = Trace {
            trace_events: names.iter().chain(sorted.iter().map(|(.., event)| event)).collect(),
            other_data: &self.notes,
            display_time_unit: "ns",
        };
        Ok(serde_json::to_writer(out, &trace)?)
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
    const ALL: [Self; 3] = [Self::Host, Self::Checkpoint, Self::Gpu];

    /// Process and thread, as the format calls a group of rows and a row.
    fn row(self) -> (u32, u32) {
        match self {
            Self::Host => (0, 0),
            Self::Checkpoint => (0, 1),
            Self::Gpu => (1, 0),
        }
    }

    /// Metadata events that name the row, and its process where it is the first.
    fn names(self) -> Vec<Value> {
        let (process, thread) = match self {
            Self::Host => ("host", "training loop"),
            Self::Checkpoint => ("host", "checkpoint"),
            Self::Gpu => ("GPU", "queue"),
        };
        let (pid, tid) = self.row();
        let of_process = (tid == 0).then_some(("process_name", process));
        of_process
            .into_iter()
            .chain([("thread_name", thread)])
            .map(|(kind, name)| {
                json!({
                    "ph": "M", "name": kind, "pid": pid, "tid": tid, "ts": 0,
                    "args": {"name": name},
                })
            })
            .collect()
    }
}

fn object(args: &[(&str, Value)]) -> Map<String, Value> {
    args.iter().map(|(key, value)| (key.to_string(), value.clone())).collect()
}

fn microseconds(ns: u64) -> f64 {
    ns as f64 / 1e3
}
