//! One step as a Chrome trace: host phases, readbacks, the checkpoint under way, and every launch with
//! the device's own timestamps.
use std::path::Path;
use std::time::Instant;

use super::timeline::{Span, Timeline, Track};
use crate::Result;
use crate::gpu::{Gpu, GpuSpan, Timestamps};

/// A step being traced.
#[derive(Debug)]
pub(super) struct Trace {
    origin: Instant,
    /// Seconds of a step before this one: what it takes when it is not traced.
    untraced: Option<f64>,
    /// Host phases: name and begin; each lasts until the next. Never empty.
    marks: Vec<(&'static str, Instant)>,
    parts: Vec<Part>,
}

/// One submission of the step.
#[derive(Debug)]
struct Part {
    /// `None` where the adapter has none; then only the host is traced.
    timestamps: Option<Timestamps>,
    /// Its place among the marks, once submitted.
    submit: Option<usize>,
}

/// Work of another thread: name, begin, and end unless it goes on.
pub(super) type Work = (&'static str, Instant, Option<Instant>);

impl Trace {
    /// Begins a trace; `origin` is the time 0 of the run's traces, `untraced` the seconds that a
    /// step before this one took.
    pub(super) fn new(origin: Instant, untraced: Option<f64>) -> Self {
        Self { origin, untraced, marks: vec![("begin", Instant::now())], parts: Vec::new() }
    }

    /// The host phase `name` begins, and the one before it ends.
    pub(super) fn mark(&mut self, name: &'static str) {
        if self.marks.last().is_none_or(|&(last, _)| last != name) {
            self.marks.push((name, Instant::now()));
        }
    }

    /// A submission of at most `launches` is about to be recorded. Waits for the device, to relate
    /// the clocks.
    pub(super) fn begin_part(&mut self, gpu: &Gpu, launches: usize) -> Result<()> {
        self.mark("relate clocks");
        let timestamps = Timestamps::new(gpu, launches, self.origin)?;
        self.parts.push(Part { timestamps, submit: None });
        Ok(())
    }

    /// Timestamps of the submission being recorded.
    pub(super) fn timestamps(&mut self) -> Option<&mut Timestamps> {
        self.parts.last_mut().and_then(|part| part.timestamps.as_mut())
    }

    /// What is recorded is about to be submitted.
    pub(super) fn submit(&mut self) {
        self.mark("submit");
        if let Some(part) = self.parts.last_mut() {
            part.submit = Some(self.marks.len() - 1);
        }
    }

    /// Writes `path`, once the device is done with the step. `others` is the work of the checkpoint
    /// thread; what of it lies within the step is shown.
    pub(super) fn write(
        mut self,
        gpu: &Gpu,
        step: u64,
        others: &[Work],
        path: &Path,
    ) -> Result<()> {
        let end = Instant::now();
        let mut timeline = Timeline::default();
        let report = gpu.report();
        timeline.note("global_step", step);
        timeline.note("adapter", report.name.as_str());
        timeline.note("driver", report.driver.as_str());
        timeline.note("cost", "a traced step runs each launch in a pass of its own, and waits");
        let milliseconds = |seconds: f64| (seconds * 1e6).round() / 1e3;
        timeline.note("traced_step_ms", milliseconds((end - self.marks[0].1).as_secs_f64()));
        timeline.note("step_before_ms", self.untraced.map(milliseconds));
        let ns = |at: Instant| at.saturating_duration_since(self.origin).as_nanos() as u64;
        let ends = self.marks[1..].iter().map(|&(_, begin)| begin).chain([end]);
        let mut spans = Vec::new();
        for (&(name, begin), end) in self.marks.iter().zip(ends) {
            let (start, duration) = (ns(begin), ns(end) - ns(begin));
            spans.push(timeline.span(Track::Host, name, start, duration, &[]));
        }
        let first = self.marks[0].1;
        for &(name, begun, done) in others {
            let (from, to) = (begun.max(first), done.unwrap_or(end).min(end));
            if from < to {
                let cut = [("goes on", done.is_none_or(|d| d > end).into())];
                let cut = if done.is_some_and(|d| d <= end) { &[] } else { &cut[..] };
                timeline.span(Track::Checkpoint, name, ns(from), ns(to) - ns(from), cut);
            }
        }
        for part in &mut self.parts {
            let Some(submit) = part.submit else { continue };
            let (from, to) = (ns(self.marks[submit].1), ns(end));
            timeline.overlapping("readback", from, to - from, &[("global_step", step.into())]);
            match &mut part.timestamps {
                None => timeline.note("gpu", "this adapter has no timestamps"),
                Some(timestamps) => {
                    timeline.note("clock_uncertainty_ns", timestamps.uncertainty_ns());
                    kernels(&mut timeline, timestamps.read(gpu)?, spans[submit]);
                }
            }
        }
        timeline.write(path)
    }
}

/// The launches of one submission, under the phases that they belong to.
fn kernels(timeline: &mut Timeline, launches: Vec<GpuSpan>, submit: Span) {
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
