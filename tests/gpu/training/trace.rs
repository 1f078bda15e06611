//! What a traced run writes: every span in its place.
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use secateur::kernels::Pruned;
use secateur::optim::Optimizer;
use secateur::train::{StepReturn, train};
use serde_json::Value;

use super::{pruning, steps, train_op};
use crate::common::gpu;

const HOST: [u64; 2] = [0, 0];
const CHECKPOINT: [u64; 2] = [0, 1];
const GPU: [u64; 2] = [1, 0];

struct Event {
    kind: String,
    row: [u64; 2],
    name: String,
    /// In nanoseconds, as is the end.
    begin: i64,
    end: i64,
    args: Value,
}

/// The events of a step's trace, in the order of the file, and its uncertainty in nanoseconds.
fn trace(logdir: &Path, step: u64) -> (Vec<Event>, i64) {
    let text = fs::read(logdir.join(format!("timeline-{step}.json"))).unwrap();
    let trace: Value = serde_json::from_slice(&text).unwrap();
    let event = |event: &Value| {
        let text = |key: &str| event[key].as_str().unwrap().to_owned();
        let ns = |key: &str| (event[key].as_f64().unwrap_or(0.0) * 1e3).round() as i64;
        let row = ["pid", "tid"].map(|key| event[key].as_u64().unwrap());
        let (begin, end) = (ns("ts"), ns("ts") + ns("dur"));
        Event { kind: text("ph"), row, name: text("name"), begin, end, args: event["args"].clone() }
    };
    let events = trace["traceEvents"].as_array().unwrap().iter().map(event).collect();
    (events, trace["otherData"]["clock_uncertainty_ns"].as_i64().unwrap_or(0))
}

fn spans(events: &[Event], row: [u64; 2]) -> Vec<&Event> {
    events.iter().filter(|e| e.kind == "X" && e.row == row).collect()
}

/// How many events there are of each kind, row and name.
fn counts(events: &[Event]) -> impl Fn(&str, [u64; 2], &str) -> usize {
    let mut counts = BTreeMap::new();
    for Event { kind, row, name, .. } in events {
        *counts.entry((kind.clone(), *row, name.clone())).or_insert(0) += 1;
    }
    move |kind, row, name| {
        counts.get(&(kind.to_owned(), row, name.to_owned())).copied().unwrap_or(0)
    }
}

/// A trace has rows for the loop, the checkpoint thread and the queue, and readbacks between.
#[test]
fn a_trace_shows_the_checkpoint_and_the_readback() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = steps(12).save_every_n_steps(Some(1)).trace_every_n_steps(Some(1));
    let op = train_op(gpu, Optimizer::adam(0.01));
    train(op, Some(folder.path()), pruning(Pruned::Zero), options).unwrap();
    let mut before = 0;
    let mut all = Vec::new();
    for step in 1..=12 {
        let (events, uncertainty) = trace(folder.path(), step);
        let host = spans(&events, HOST);
        assert!(
            host.windows(2).all(|w| w[0].end == w[1].begin),
            "step {step}: one after the other"
        );
        let (begin, end) = (host[0].begin, host.last().unwrap().end);
        assert!(begin >= before, "step {step}: all traces have one time 0");
        before = end;
        for work in spans(&events, CHECKPOINT) {
            assert!(begin <= work.begin && work.end <= end, "step {step}: {}", work.name);
            assert!(work.args["goes on"] != true || work.end == end, "step {step}: {}", work.name);
        }
        let wait = host.iter().find(|e| e.name == "wait").unwrap();
        for launch in spans(&events, GPU) {
            assert!(begin - uncertainty <= launch.begin, "step {step}: {}", launch.name);
            assert!(launch.end <= wait.end + uncertainty, "step {step}: {}", launch.name);
        }
        let submit = host.iter().find(|e| e.name == "submit").unwrap().begin;
        let readback = events.iter().find(|e| e.kind == "b").unwrap();
        assert_eq!(readback.begin, submit, "step {step}");
        all.extend(events);
    }
    // The first copies travel with step 2, and are looked for in step 3.
    let (events, _) = trace(folder.path(), 2);
    let copy = spans(&events, CHECKPOINT)[0];
    assert_eq!((copy.name.as_str(), &copy.args["goes on"]), ("copy to the host", &true.into()));
    let (events, _) = trace(folder.path(), 3);
    let names: Vec<&str> = spans(&events, CHECKPOINT).iter().map(|e| e.name.as_str()).collect();
    assert_eq!(names, ["copy to the host", "write checkpoint"]);

    let count = counts(&all);
    for name in ["next batch", "upload", "encode", "submit", "wait", "results", "checkpoint"] {
        assert_eq!(count("X", HOST, name), 12, "{name}");
    }
    assert_eq!((count("b", HOST, "readback"), count("e", HOST, "readback")), (12, 12));
    if gpu.report().timestamps {
        assert_eq!(count("X", GPU, "train"), 12);
        assert_eq!(count("X", GPU, "mask_update"), 4, "at steps 3, 6, 9, 12");
        assert_eq!((count("s", HOST, "flow"), count("f", GPU, "flow")), (12, 12));
        assert!(spans(&all, GPU).iter().any(|e| e.end > e.begin), "launches take time");
    }
}

/// Each batch is a submission of its own, and the update with the mask update one more.
#[test]
fn a_traced_step_of_several_batches_shows_each() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = steps(4).trace_step(Some(2)).train_step_fn(Some(Box::new(|step| {
        for _ in 0..4 {
            step.accumulate()?;
        }
        step.loss()?;
        step.apply().map(|()| StepReturn::default())
    })));
    let op = train_op(gpu, Optimizer::adam(0.01)).accumulate_gradients();
    train(op, Some(folder.path()), pruning(Pruned::Zero), options).unwrap();
    assert!(!folder.path().join("timeline-4.json").exists());
    let (events, _) = trace(folder.path(), 3);
    let count = counts(&events);
    assert_eq!((count("X", HOST, "submit"), count("b", HOST, "readback")), (5, 5));
    if gpu.report().timestamps {
        let phases = ["accumulate", "apply", "mask_update"].map(|name| count("X", GPU, name));
        assert_eq!(phases, [4, 1, 1]);
        assert_eq!((count("s", HOST, "flow"), count("f", GPU, "flow")), (5, 5));
    }
}

#[test]
fn a_trace_that_cannot_be_written_ends_nothing() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("timeline-1.json/in the way")).unwrap();
    let options = steps(3).trace_every_n_steps(Some(1));
    let op = train_op(gpu, Optimizer::adam(0.01));
    train(op, Some(folder.path()), pruning(Pruned::Zero), options).unwrap();
    assert!(folder.path().join("timeline-2.json").is_file());
}
