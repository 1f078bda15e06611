//! Which summaries a run writes, and when: first at once, then by clock or steps, and at the end.
use std::time::Instant;

use super::event::{Event, StepEvent};
use super::histogram::Histogram;
use super::stats::RankStats;
use super::summary::SummaryFn;
use super::summary::{Hparam, SummaryWriter};
use crate::session::Session;
use crate::train::guard::guarded;
use crate::{Error, Result};

/// The summaries of a run.
pub(in crate::train) struct Scalars<'a> {
    writer: Box<dyn SummaryWriter + 'a>,
    own: Option<SummaryFn<'a>>,
    /// Prefix of the pruning's tags, as upstream's.
    prefix: String,
    written: Option<(u64, Instant)>,
    started: bool,
    failed: bool,
}

/// When scalars are due.
#[derive(Debug, Clone, Copy)]
pub(in crate::train) struct When {
    /// 0 for never by the clock.
    pub(in crate::train) seconds: f64,
    pub(in crate::train) steps: Option<u64>,
}

impl<'a> Scalars<'a> {
    /// Summaries through `writer`; the pruning is called `pruning`, and `own` adds its own.
    pub(in crate::train) fn new(
        writer: Box<dyn SummaryWriter + 'a>,
        own: Option<SummaryFn<'a>>,
        pruning: &str,
    ) -> Self {
        let prefix = format!("{pruning}_summaries");
        Self { writer, own, prefix, written: None, started: false, failed: false }
    }

    /// Writes; that the disk does not take it is said once and ends nothing.
    pub(in crate::train) fn attempt(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        match write(self) {
            Err(e @ (Error::Io { .. } | Error::File { .. })) => {
                if !std::mem::replace(&mut self.failed, true) {
                    log::warn!("a summary could not be written, training goes on: {e}");
                }
                Ok(())
            }
            written => written,
        }
    }

    /// The run takes its next step as `step`.
    pub(in crate::train) fn start(
        &mut self,
        step: u64,
        hparams: &[(String, Hparam)],
    ) -> Result<()> {
        self.writer.start(step)?;
        if !std::mem::replace(&mut self.started, true) {
            let hparams: Vec<_> = hparams.iter().map(|(n, v)| (n.as_str(), v.clone())).collect();
            self.writer.hparams(&hparams)?;
        }
        self.writer.flush()
    }

    /// Writes the scalars of `event` if they are due. Mask updates are always written.
    pub(in crate::train) fn step(
        &mut self,
        session: &Session,
        event: &StepEvent,
        when: When,
        ranks: Option<&RankStats>,
    ) -> Result<()> {
        self.masks(event)?;
        let by_clock = |(_, at): (u64, Instant)| {
            when.seconds > 0.0 && at.elapsed().as_secs_f64() >= when.seconds
        };
        let by_steps = when.steps.is_some_and(|n| event.step.is_multiple_of(n));
        if by_steps || self.written.is_none_or(by_clock) {
            self.write(session, event)?;
            ranks.map_or(Ok(()), |ranks| self.ranks(event.step, ranks))?;
        }
        Ok(())
    }

    /// What each rank's step took, and what became of gradients that did not come in step.
    fn ranks(&mut self, step: u64, ranks: &RankStats) -> Result<()> {
        for (rank, seconds) in ranks.seconds.iter().enumerate() {
            for (what, seconds) in ["step_seconds", "wait_seconds"].into_iter().zip(seconds) {
                let tag = format!("replicas/{what}/rank_{rank}");
                self.writer.scalar(&tag, step, *seconds as f32)?;
            }
        }
        if let Some(dropped) = ranks.dropped {
            self.writer.scalar("replicas/dropped", step, dropped as f32)?;
        }
        let staleness = ranks.staleness.iter().flatten();
        let staleness = staleness.flat_map(|(&s, &n)| std::iter::repeat_n(s as f32, n as usize));
        if let Some(histogram) = Histogram::of(staleness) {
            self.writer.histogram("replicas/staleness", step, &histogram)?;
        }
        self.writer.flush()
    }

    /// Writes what a checkpoint took, and the distributions of what it holds.
    pub(in crate::train) fn checkpoint(
        &mut self,
        event: &Event,
        histograms: &[(String, Histogram)],
    ) -> Result<()> {
        let Event::Checkpoint { step, path, seconds, stall_seconds } = event else { return Ok(()) };
        for (tag, histogram) in histograms {
            self.writer.histogram(tag, *step, histogram)?;
        }
        self.writer.scalar("checkpoint/seconds", *step, *seconds as f32)?;
        self.writer.scalar("checkpoint/stall_seconds", *step, *stall_seconds as f32)?;
        self.writer.checkpoint(*step, path)
    }

    /// Writes how many saves have failed.
    pub(in crate::train) fn save_failed(&mut self, step: u64, failures: u64) -> Result<()> {
        self.writer.scalar("checkpoint/failures", step, failures as f32)
    }

    /// Writes the scalars of the last step, and the end of the run at `global_step`.
    pub(in crate::train) fn close(
        mut self,
        session: &Session,
        last: Option<&StepEvent>,
        global_step: u64,
    ) -> Result<()> {
        let unwritten = |event: &&StepEvent| self.written.is_none_or(|(s, _)| s != event.step);
        if let Some(event) = last.filter(unwritten) {
            self.write(session, event)?;
        }
        self.writer.close(global_step)
    }

    fn write(&mut self, session: &Session, event: &StepEvent) -> Result<()> {
        let step = event.step;
        self.writer.scalar("loss", step, event.loss)?;
        if let Some((metric, value)) = event.metric {
            self.writer.scalar(metric.name(), step, value as f32)?;
        }
        self.writer.scalar("learning_rate", step, event.learning_rate)?;
        let now = Instant::now();
        // After a lost device the steps before are taken again.
        if let Some((before, at)) = self.written.filter(|(before, _)| *before < step) {
            let rate = (step - before) as f64 / (now - at).as_secs_f64().max(f64::MIN_POSITIVE);
            self.writer.scalar("steps_per_second", step, rate as f32)?;
        }
        self.written = Some((step, now));
        if let Some(own) = &mut self.own {
            guarded("summary_op", || own(session, step, &mut *self.writer))?;
        }
        self.writer.flush()
    }

    fn masks(&mut self, event: &StepEvent) -> Result<()> {
        let Some(masks) = &event.masks else { return Ok(()) };
        let (step, prefix) = (event.step, &self.prefix);
        self.writer.scalar(&format!("{prefix}/sparsity"), step, masks.asked as f32)?;
        self.writer.scalar(&format!("{prefix}/last_mask_update_step"), step, step as f32)?;
        for mask in &masks.tensors {
            let tag = |what| format!("{prefix}/{}/{what}", mask.name);
            self.writer.scalar(&tag("mask/sparsity"), step, mask.sparsity as f32)?;
            self.writer.scalar(&tag("mask/churn"), step, mask.churn as f32)?;
            self.writer.scalar(&tag("mask/kept_energy"), step, mask.kept_energy as f32)?;
            self.writer.scalar(&tag("threshold"), step, mask.threshold)?;
        }
        self.writer.scalar(&format!("{prefix}/mask_sparsity"), step, masks.sparsity() as f32)
    }
}
