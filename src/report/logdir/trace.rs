//! A traced step, read back from its Chrome trace.
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Error, Result};

/// What one step took, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::report) struct Trace {
    pub(in crate::report) step: u64,
    /// What the training loop did, in order.
    pub(in crate::report) host: Vec<(String, f64)>,
    /// Phases of the device's queue: the sum of their launches.
    pub(in crate::report) phases: Vec<(String, f64)>,
    /// Kernels: launches and their sum, the longest first.
    pub(in crate::report) kernels: Vec<(String, u64, f64)>,
    /// The step as it was traced, each launch on its own.
    pub(in crate::report) traced: Option<f64>,
    /// The step before it, which was not traced.
    pub(in crate::report) before: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    trace_events: Vec<Span>,
    #[serde(default)]
    other_data: Map<String, Value>,
}

#[derive(Deserialize)]
struct Span {
    ph: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    pid: u64,
    #[serde(default)]
    tid: u64,
    #[serde(default)]
    dur: f64,
    #[serde(default)]
    args: Map<String, Value>,
}

impl Trace {
    /// The traces of a logdir, by step. One that cannot be read is left out, and named.
    pub(in crate::report) fn all(logdir: &Path) -> (Vec<Self>, Vec<String>) {
        let (mut traces, mut damaged) = (Vec::new(), Vec::new());
        for path in fs::read_dir(logdir).into_iter().flatten().flatten().map(|e| e.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let number = name.strip_prefix("timeline-").and_then(|n| n.strip_suffix(".json"));
            let Some(step) = number.and_then(|n| n.parse().ok()) else { continue };
            match Self::read(&path, step) {
                Ok(trace) => traces.push(trace),
                Err(e) => damaged.push(format!("{name}: {e}")),
            }
        }
        traces.sort_by_key(|trace| trace.step);
        damaged.sort();
        (traces, damaged)
    }

    fn read(path: &Path, step: u64) -> Result<Self> {
        let bytes = fs::read(path).map_err(Error::io("read", path))?;
        let file: File = serde_json::from_slice(&bytes)
            .map_err(|e| Error::file(path, format!("is no trace: {e}")))?;
        let note = |key: &str| file.other_data.get(key).and_then(Value::as_f64);
        let mut trace = Self {
            step,
            traced: note("traced_step_ms"),
            before: note("step_before_ms"),
            ..Self::default()
        };
        let finite = |span: &&Span| span.ph == "X" && span.dur.is_finite();
        for span in file.trace_events.iter().filter(finite) {
            let ms = span.dur / 1e3;
            match (span.pid, span.tid) {
                (0, 0) => add(&mut trace.host, &span.name, ms),
                (1, _) => {
                    // A phase is around its launches.
                    let Some(phase) = span.args.get("phase").and_then(Value::as_str) else {
                        continue;
                    };
                    add(&mut trace.phases, phase, ms);
                    match trace.kernels.iter_mut().find(|(name, ..)| *name == span.name) {
                        Some((_, launches, sum)) => (*launches, *sum) = (*launches + 1, *sum + ms),
                        None => trace.kernels.push((span.name.clone(), 1, ms)),
                    }
                }
                _ => {}
            }
        }
        trace.kernels.sort_by(|a, b| b.2.total_cmp(&a.2));
        Ok(trace)
    }
}

fn add(all: &mut Vec<(String, f64)>, name: &str, ms: f64) {
    match all.iter_mut().find(|(known, _)| known == name) {
        Some((_, sum)) => *sum += ms,
        None => all.push((name.to_owned(), ms)),
    }
}
