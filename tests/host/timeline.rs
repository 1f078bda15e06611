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

fn sample() -> Timeline {
    let mut timeline = Timeline::default();
    let kernel = timeline.span(Track::Gpu, "matmul \"a\"\n\\", 5_000_007, 1, &[]);
    let submit = timeline.span(Track::Host, "submit", 2_001, 999, &[("pass", json!(3))]);
    timeline.span(Track::Host, "step", 2_001, 6_000_000, &[]);
    let other = timeline.span(Track::Gpu, "relu", 5_000_008, 40, &[]);
    timeline.flow(submit, kernel);
    timeline.flow(submit, other);
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
        .map(|s| {
            (s["name"].as_str().unwrap(), s["pid"].as_u64(), s["ts"].as_f64(), s["dur"].as_f64())
        })
        .collect();
    assert_eq!(
        spans,
        [
            ("step", Some(0), Some(2.001), Some(6_000.0)),
            ("submit", Some(0), Some(2.001), Some(0.999)),
            ("matmul \"a\"\n\\", Some(1), Some(5_000.007), Some(0.001)),
            ("relu", Some(1), Some(5_000.008), Some(0.04)),
        ]
    );
    assert_eq!(of(&trace, "X")[1]["args"], json!({"pass": 3}));
}

#[test]
fn rows_are_named() {
    let trace = written(&Timeline::default());
    let names: Vec<_> = of(&trace, "M")
        .iter()
        .filter(|event| event["name"] == "process_name")
        .map(|event| (event["pid"].as_u64(), event["args"]["name"].as_str()))
        .collect();
    assert_eq!(names, [(Some(0), Some("host")), (Some(1), Some("GPU"))]);
    assert_eq!(of(&trace, "M").len(), trace["traceEvents"].as_array().unwrap().len());
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
    // A folder of that name: the rename fails, after the temporary file was written.
    let taken = dir.path().join("timeline-2.json");
    fs::create_dir(&taken).unwrap();
    assert!(matches!(sample().write(&taken), Err(Error::Io { .. })));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert!(matches!(sample().write("..".as_ref()), Err(Error::Argument { .. })));
}
