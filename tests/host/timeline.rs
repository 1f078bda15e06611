//! Timelines: valid JSON, whatever the names; sorted, paired, exact to the nanosecond.
use std::fs;

use secateur::Error;
use secateur::train::timeline::{Timeline, Track};
use serde_json::{Value, json};

fn written(timeline: &Timeline) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("timeline-5.json");
    fs::write(&path, "an older one").unwrap();
    timeline.write(&path).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn of<'a>(trace: &'a Value, ph: &'a str) -> Vec<&'a Value> {
    let events = trace["traceEvents"].as_array().unwrap();
    events.iter().filter(|event| event["ph"] == ph).collect()
}

/// Process and thread.
fn row(event: &Value) -> (u64, u64) {
    (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap())
}

fn sample() -> Timeline {
    let mut timeline = Timeline::default();
    let kernel = timeline.span(Track::Gpu, "matmul \"a\"\n\\", 5_000_007, 1, &[]);
    let submit = timeline.span(Track::Host, "submit", 2_001, 999, &[("pass", json!(3))]);
    timeline.span(Track::Host, "step", 2_001, 6_000_000, &[]);
    let other = timeline.span(Track::Gpu, "relu", 5_000_008, 40, &[]);
    timeline.span(Track::Checkpoint, "write", 2_500, 9_000_000, &[]);
    timeline.flow(submit, kernel);
    timeline.overlapping("readback", 2_100, 2_000_000, &[("bytes", json!(16))]);
    timeline.overlapping("readback", 1_002_100, 2_000_000, &[]);
    timeline.flow(submit, other);
    timeline.overlapping("at once", 2_002_100, 0, &[]);
    timeline.note("adapter", "l\"l\nvmpipe");
    timeline.note("steps", 1);
    timeline.note("steps", 2);
    timeline
}

#[test]
fn spans_survive_sorted() {
    let trace = written(&sample());
    assert_eq!(trace["displayTimeUnit"], "ns");
    assert_eq!(trace["otherData"], json!({"adapter": "l\"l\nvmpipe", "steps": 2}));
    let spans: Vec<_> = of(&trace, "X")
        .iter()
        .map(|s| (s["name"].as_str().unwrap(), row(s), s["ts"].as_f64(), s["dur"].as_f64()))
        .collect();
    assert_eq!(
        spans,
        [
            ("step", (0, 0), Some(2.001), Some(6_000.0)),
            ("submit", (0, 0), Some(2.001), Some(0.999)),
            ("write", (0, 1), Some(2.5), Some(9_000.0)),
            ("matmul \"a\"\n\\", (1, 0), Some(5_000.007), Some(0.001)),
            ("relu", (1, 0), Some(5_000.008), Some(0.04)),
        ]
    );
    assert_eq!(of(&trace, "X")[1]["args"], json!({"pass": 3}));
    assert!(trace["traceEvents"].as_array().unwrap().is_sorted_by_key(|e| e["ts"].as_f64()));
}

#[test]
fn rows_are_named_once() {
    let trace = written(&Timeline::default());
    let names: Vec<_> = of(&trace, "M")
        .iter()
        .map(|event| {
            let name = event["args"]["name"].as_str().unwrap();
            (event["name"].as_str().unwrap(), row(event), name)
        })
        .collect();
    assert_eq!(
        names,
        [
            ("process_name", (0, 0), "host"),
            ("thread_name", (0, 0), "training loop"),
            ("thread_name", (0, 1), "checkpoint"),
            ("process_name", (1, 0), "GPU"),
            ("thread_name", (1, 0), "queue"),
        ]
    );
    assert_eq!(names.len(), trace["traceEvents"].as_array().unwrap().len());
}

#[test]
fn overlapping_spans_are_paired_by_ids_of_their_own() {
    let trace = written(&sample());
    let events = trace["traceEvents"].as_array().unwrap();
    let mut spans = Vec::new();
    for begin in of(&trace, "b") {
        let id = &begin["id2"]["local"];
        assert!(id.is_string(), "{id}");
        let same: Vec<_> = events.iter().filter(|e| e["id2"]["local"] == *id).collect();
        let [first, end] = same[..] else { panic!("{} events have the id {id}", same.len()) };
        assert_eq!((first, &end["ph"]), (begin, &json!("e")));
        for key in ["name", "cat", "pid", "tid"] {
            assert_eq!(begin[key], end[key], "{key}");
        }
        assert_eq!((&begin["cat"], row(begin)), (&json!("readback"), (0, 0)));
        spans.push((begin["name"].as_str().unwrap(), begin["ts"].as_f64(), end["ts"].as_f64()));
    }
    assert_eq!(
        spans,
        [
            ("readback", Some(2.1), Some(2_002.1)),
            ("readback", Some(1_002.1), Some(3_002.1)),
            ("at once", Some(2_002.1), Some(2_002.1)),
        ]
    );
    assert_eq!(of(&trace, "e").len(), spans.len());
    assert_eq!(of(&trace, "b")[0]["args"], json!({"bytes": 16}));
    let mut last = Timeline::default();
    last.overlapping("late", u64::MAX, 1, &[]);
    assert_eq!(of(&written(&last), "e").len(), 1);
}

#[test]
fn flows_are_paired() {
    let trace = written(&sample());
    let (starts, ends) = (of(&trace, "s"), of(&trace, "f"));
    assert_eq!((starts.len(), ends.len()), (2, 2));
    assert_ne!(starts[0]["id"], starts[1]["id"]);
    for start in starts {
        let end = ends.iter().find(|end| end["id"] == start["id"]).unwrap();
        assert_eq!((start["pid"].as_u64(), end["pid"].as_u64()), (Some(0), Some(1)));
        assert_eq!(start["ts"], 2.001);
        assert_eq!(end["bp"], "e");
        let target = of(&trace, "X").into_iter().find(|span| span["ts"] == end["ts"]).unwrap();
        assert_eq!(target["pid"], 1);
    }
}

#[test]
fn nanoseconds_are_exact_for_months() {
    let mut timeline = Timeline::default();
    let days_100 = 100 * 86_400 * 1_000_000_000 + 1;
    timeline.span(Track::Host, "late", days_100, u64::MAX, &[]);
    let trace = written(&timeline);
    let ts = of(&trace, "X")[0]["ts"].as_f64().unwrap();
    assert_eq!((ts * 1e3).round() as u64, days_100);
}

#[test]
fn refusals_leave_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing").join("timeline-1.json");
    assert!(matches!(sample().write(&missing), Err(Error::Io { .. })));
    // A folder of that name is refused before anything is written.
    let taken = dir.path().join("timeline-2.json");
    fs::create_dir(&taken).unwrap();
    assert!(matches!(sample().write(&taken), Err(Error::File { .. })));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert!(matches!(sample().write("..".as_ref()), Err(Error::File { .. })));
    let no_name = dir.path().join("missing").join("..");
    assert!(matches!(sample().write(&no_name), Err(Error::Argument { .. })));
}
