//! Which scalars a run writes for TensorBoard, and when: first at once, then by clock or steps, and at the end.
use std::path::Path;
use std::time::Instant;

use super::event::StepEvent;
use super::histogram::Histogram;
use super::summary::{EventWriter, SummaryWriter};
use crate::Result;

/// The event file of a run.
pub(super) struct Scalars {
    writer: EventWriter,
    /// Prefix of the pruning's tags, as upstream's.
    prefix: String,
    written: Option<(u64, Instant)>,
}

impl Scalars {
    /// An event file whose first step is `start_step`.
    pub(super) fn create(logdir: &Path, start_step: u64, pruning: &str) -> Result<Self> {
        let mut writer = EventWriter::create(logdir)?;
        writer.start(start_step)?;
        Ok(Self { writer, prefix: format!("{pruning}_summaries"), written: None })
    }

    /// Writes the scalars of `event` if they are due. Mask updates are always written.
    pub(super) fn step(
        &mut self,
        event: &StepEvent,
        every_seconds: f64,
        every_steps: Option<u64>,
    ) -> Result<()> {
        self.masks(event)?;
        let by_clock = |(_, at): (u64, Instant)| {
            every_seconds > 0.0 && at.elapsed().as_secs_f64() >= every_seconds
        };
        let by_steps = every_steps.is_some_and(|n| event.step.is_multiple_of(n));
        if by_steps || self.written.is_none_or(by_clock) { self.write(event) } else { Ok(()) }
    }

    /// Writes the distributions of what was saved at `step`.
    pub(super) fn histograms(&mut self, step: u64, all: &[(String, Histogram)]) -> Result<()> {
        all.iter().try_for_each(|(tag, histogram)| self.writer.histogram(tag, step, histogram))
    }

    /// Writes the scalars of the last step, and the end of the run at `global_step`.
    pub(super) fn close(mut self, last: Option<&StepEvent>, global_step: u64) -> Result<()> {
        let unwritten = |event: &&StepEvent| self.written.is_none_or(|(s, _)| s != event.step);
        if let Some(event) = last.filter(unwritten) {
            self.write(event)?;
        }
        self.writer.close(global_step)
    }

    fn write(&mut self, event: &StepEvent) -> Result<()> {
        let step = event.step;
        self.writer.scalar("loss", step, event.loss)?;
        self.writer.scalar("accuracy", step, event.accuracy as f32)?;
        self.writer.scalar("learning_rate", step, event.learning_rate)?;
        let now = Instant::now();
        if let Some((before, at)) = self.written {
            let rate = (step - before) as f64 / (now - at).as_secs_f64().max(f64::MIN_POSITIVE);
            self.writer.scalar("steps_per_second", step, rate as f32)?;
        }
        self.written = Some((step, now));
        self.writer.flush()
    }

    fn masks(&mut self, event: &StepEvent) -> Result<()> {
        let Some(masks) = &event.masks else { return Ok(()) };
        let (step, prefix) = (event.step, &self.prefix);
        self.writer.scalar(&format!("{prefix}/sparsity"), step, masks.asked as f32)?;
        self.writer.scalar(&format!("{prefix}/last_mask_update_step"), step, step as f32)?;
        let (mut pruned, mut total) = (0.0, 0.0);
        for mask in &masks.tensors {
            pruned += mask.sparsity * f64::from(mask.len);
            total += f64::from(mask.len);
            let tag = |what| format!("{prefix}/{}/{what}", mask.name);
            self.writer.scalar(&tag("mask/sparsity"), step, mask.sparsity as f32)?;
            self.writer.scalar(&tag("threshold"), step, mask.threshold)?;
        }
        self.writer.scalar(&format!("{prefix}/mask_sparsity"), step, (pruned / total) as f32)
    }
}
