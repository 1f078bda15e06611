//! One step as a Chrome trace: host phases, readbacks, the checkpoint under way, and every launch
//! with the device's own timestamps.
use std::path::Path;
use std::time::Instant;

use super::timeline::{Span, Timeline, Track};
use crate::Result;
use crate::gpu::{AdapterReport, GpuSpan};
use crate::session::Traced;

/// Work of another thread: name, begin, and end unless it goes on.
pub(in crate::train) type Work = (&'static str, Instant, Option<Instant>);

/// Writes the trace of a step to `path`. `others` is the work of the checkpoint thread; what of it
/// lies within the step is shown.
pub(in crate::train) fn write(
    traced: &Traced,
    report: &AdapterReport,
    step: u64,
    others: &[Work],
    path: &Path,
) -> Result<()> {
    let end = traced.end;
    let mut timeline = Timeline::default();
    timeline.note("global_step", step);
    timeline.note("adapter", report.name.as_str());
    timeline.note("driver", report.driver.as_str());
    timeline.note("cost", "a traced step runs each launch in a pass of its own, and waits");
    let milliseconds = |seconds: f64| (seconds * 1e6).round() / 1e3;
    timeline.note("traced_step_ms", milliseconds((end - traced.marks[0].1).as_secs_f64()));
    timeline.note("step_before_ms", traced.untraced.map(milliseconds));
    let ns = |at: Instant| at.saturating_duration_since(traced.origin).as_nanos() as u64;
    let ends = traced.marks[1..].iter().map(|&(_, begin)| begin).chain([end]);
    let mut spans = Vec::new();
    for (&(name, begin), end) in traced.marks.iter().zip(ends) {
        let (start, duration) = (ns(begin), ns(end) - ns(begin));
        spans.push(timeline.span(Track::Host, name, start, duration, &[]));
    }
    let first = traced.marks[0].1;
    for &(name, begun, done) in others {
        let (from, to) = (begun.max(first), done.unwrap_or(end).min(end));
        if from < to {
            let cut = [("goes on", done.is_none_or(|d| d > end).into())];
            let cut = if done.is_some_and(|d| d <= end) { &[] } else { &cut[..] };
            timeline.span(Track::Checkpoint, name, ns(from), ns(to) - ns(from), cut);
        }
    }
    for part in &traced.parts {
        let (from, to) = (ns(traced.marks[part.submit].1), ns(end));
        timeline.overlapping("readback", from, to - from, &[("global_step", step.into())]);
        match &part.launches {
            None => timeline.note("gpu", "this adapter has no timestamps"),
            Some((uncertainty_ns, launches)) => {
                timeline.note("clock_uncertainty_ns", *uncertainty_ns);
                kernels(&mut timeline, launches, spans[part.submit]);
            }
        }
    }
    timeline.write(path)
}

/// The launches of one submission, under the phases that they belong to.
fn kernels(timeline: &mut Timeline, launches: &[GpuSpan], submit: Span) {
    let mut first = true;
    for phase in launches.chunk_by(|a, b| a.phase == b.phase) {
        let start = phase.iter().map(|l| l.start_ns).min().unwrap_or(0);
        let end = phase.iter().map(|l| l.start_ns + l.duration_ns).max().unwrap_or(start);
        let span = timeline.span(Track::Gpu, &phase[0].phase, start, end - start, &[]);
        if std::mem::take(&mut first) {
            timeline.flow(submit, span);
        }
        for (i, launch) in phase.iter().enumerate() {
            let args = [("phase", launch.phase.as_str().into()), ("launch", i.into())];
            let (start, duration) = (launch.start_ns, launch.duration_ns);
            timeline.span(Track::Gpu, launch.kernel, start, duration, &args);
        }
    }
}
