//! One step as a Chrome trace: host phases, and every launch with the device's own timestamps.
use std::path::Path;
use std::time::Instant;

use super::timeline::{Timeline, Track};
use crate::Result;
use crate::gpu::{Gpu, Timestamps};

/// A step being traced.
#[derive(Debug)]
pub(super) struct Trace {
    /// `None` where the adapter has none; then only the host is traced.
    pub(super) timestamps: Option<Timestamps>,
    origin: Instant,
    /// Host phases: name and begin; each lasts until the next.
    marks: Vec<(&'static str, Instant)>,
}

impl Trace {
    /// Begins a trace with room for `launches`; `origin` is the time 0 of the run's traces.
    pub(super) fn new(gpu: &Gpu, launches: usize, origin: Instant) -> Result<Self> {
        let timestamps = Timestamps::new(gpu, launches, origin)?;
        Ok(Self { timestamps, origin, marks: Vec::new() })
    }

    /// The host phase `name` begins, and the one before it ends.
    pub(super) fn mark(&mut self, name: &'static str) {
        self.marks.push((name, Instant::now()));
    }

    /// Waits for the step and writes `path`.
    pub(super) fn write(mut self, gpu: &Gpu, step: u64, path: &Path) -> Result<()> {
        self.mark("wait");
        gpu.wait()?;
        let end = Instant::now();
        let mut timeline = Timeline::default();
        let report = gpu.report();
        timeline.note("global_step", step);
        timeline.note("adapter", report.name.as_str());
        timeline.note("driver", report.driver.as_str());
        let ends = self.marks[1..].iter().map(|&(_, begin)| begin).chain([end]);
        let mut submit = None;
        for (&(name, begin), end) in self.marks.iter().zip(ends) {
            let start = (begin - self.origin).as_nanos() as u64;
            let span =
                timeline.span(Track::Host, name, start, (end - begin).as_nanos() as u64, &[]);
            if name == "submit" {
                submit = Some(span);
            }
        }
        let Some(timestamps) = &mut self.timestamps else {
            timeline.note("gpu", "this adapter has no timestamps");
            return timeline.write(path);
        };
        timeline.note("clock_uncertainty_ns", timestamps.uncertainty_ns());
        timeline.note("cost", "a traced step runs each launch in a pass of its own and waits");
        for (i, span) in timestamps.read(gpu)?.into_iter().enumerate() {
            let args = [("phase", span.phase.into()), ("launch", i.into())];
            let (start, duration) = (span.start_ns, span.duration_ns);
            let kernel = timeline.span(Track::Gpu, span.kernel, start, duration, &args);
            if let (0, Some(submit)) = (i, submit) {
                timeline.flow(submit, kernel);
            }
        }
        timeline.write(path)
    }
}
