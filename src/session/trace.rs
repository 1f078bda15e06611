//! What a step that is traced leaves: the host's phases, its submissions, and the device's own
//! timestamps of each launch.
use std::time::Instant;

use super::Session;
use crate::Result;
use crate::gpu::{Gpu, GpuSpan, Timestamps};

/// A step being traced.
#[derive(Debug)]
pub(crate) struct Trace {
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

impl Trace {
    /// Begins a trace; `origin` is the time 0 of the run's traces, `untraced` the seconds that a
    /// step before this one took.
    pub(crate) fn new(origin: Instant, untraced: Option<f64>) -> Self {
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
            // Of several pieces the first: no launch comes before it.
            part.submit.get_or_insert(self.marks.len() - 1);
        }
    }

    /// Ends the trace, once the device is done with the step.
    pub(crate) fn end(mut self, gpu: &Gpu) -> Result<Traced> {
        let end = Instant::now();
        let read = |part: &mut Part| {
            let Some(submit) = part.submit else { return Ok(None) };
            let read = |t: &mut Timestamps| Ok((t.uncertainty_ns(), t.read(gpu)?));
            let launches = part.timestamps.as_mut().map(read).transpose()?;
            Ok::<_, crate::Error>(Some(Submitted { submit, launches }))
        };
        let parts = self.parts.iter_mut().map(read).collect::<Result<Vec<_>>>()?;
        let Self { origin, untraced, marks, .. } = self;
        Ok(Traced { origin, untraced, marks, end, parts: parts.into_iter().flatten().collect() })
    }
}

/// A step that was traced.
#[derive(Debug)]
pub(crate) struct Traced {
    /// Time 0 of the run's traces.
    pub(crate) origin: Instant,
    /// Seconds of a step before this one.
    pub(crate) untraced: Option<f64>,
    /// Host phases: name and begin; each lasts until the next. Never empty.
    pub(crate) marks: Vec<(&'static str, Instant)>,
    /// When the last of them ended.
    pub(crate) end: Instant,
    pub(crate) parts: Vec<Submitted>,
}

/// A submission of a traced step.
#[derive(Debug)]
pub(crate) struct Submitted {
    /// Its place among the marks.
    pub(crate) submit: usize,
    /// How exactly the clocks are related, in nanoseconds, and every launch; `None` where the
    /// adapter has no timestamps.
    pub(crate) launches: Option<(u64, Vec<GpuSpan>)>,
}

impl Session {
    /// Traces the step that is recorded next.
    pub(crate) fn begin_trace(&mut self, trace: Trace) {
        self.steps.trace = Some(trace);
    }

    /// Whether the step in hand is traced.
    pub(crate) fn is_traced(&self) -> bool {
        self.steps.trace.is_some()
    }

    /// What the step that was traced left, once the device is done with it.
    pub(crate) fn end_trace(&mut self) -> Result<Option<Traced>> {
        self.steps.trace.take().map(|trace| trace.end(&self.gpu)).transpose()
    }

    /// The host phase `name` begins, in a step that is traced.
    pub(crate) fn mark(&mut self, name: &'static str) {
        if let Some(trace) = &mut self.steps.trace {
            trace.mark(name);
        }
    }
}
