//! Steps under way: recorded, submitted in one part or several, and what they left as it arrives.
use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;

use super::Session;
use super::gradients::Measured;
use super::trace::Trace;
use crate::Result;
use crate::data::Batch;
use crate::gpu::{Encoder, Gpu, Phase, ReadbackRing, Slot, Ticket};
use crate::kernels::{MASK_STATE_WORDS, MaskState, Step};
use crate::nn::Metric;

/// Submissions that the host may be ahead of the device.
pub(super) const STEPS_IN_FLIGHT: usize = 3;

/// What a step left behind; it arrives a few steps later.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StepResult {
    /// Global step, counted from 1.
    pub step: u64,
    /// Mean loss over the step's rows, each before the update that it led to.
    pub loss: f32,
    /// What the network is measured by first, over the step's rows; `None` where it has no metric.
    pub metric: Option<(Metric, f64)>,
    /// The mask update after it, if one was due: sparsity asked for, and what it did to each pruned
    /// variable.
    pub mask_update: Option<(f64, Vec<Selected>)>,
    /// When the host submitted the last of the step.
    pub submitted: Instant,
}

/// What a mask update did to one variable.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Selected {
    /// Counts and threshold.
    pub state: MaskState,
    /// Sum of the squared weights that it left, and of those that it found.
    pub energy: [f32; 2],
}

/// Words of a [`Selected`].
const SELECTED_WORDS: usize = MASK_STATE_WORDS as usize + 2;

/// Bytes that a step with `outputs` numbers and `pruned` pruned variables is read back through.
pub(super) fn results_bytes(outputs: usize, pruned: usize) -> u64 {
    4 * (outputs as u64 + pruned as u64 * SELECTED_WORDS as u64)
}

/// The steps of a session. A step that reads one batch is one submission; each further batch is
/// one more, as the batch's slots are written between them.
#[derive(Debug)]
pub(super) struct Steps {
    /// Of the step in hand, where it is traced.
    pub(super) trace: Option<Trace>,
    ring: ReadbackRing,
    open: Option<Part>,
    in_flight: VecDeque<InFlight>,
    /// What has arrived of the step in hand.
    partial: Partial,
    /// What the run has said of the step in hand, of batches here and elsewhere.
    reported: Partial,
    /// The first metric, and how many answers of a row its sum counts.
    metric: Option<(Metric, usize)>,
    arrived: Vec<StepResult>,
    /// A part that changes weights is submitted, and the step is not complete.
    torn: bool,
}

/// Commands not submitted yet.
#[derive(Debug)]
struct Part {
    encoder: Encoder,
    /// Outputs of the batch that they read, and its rows.
    batch: Option<(Vec<Slot>, usize)>,
    /// Whether they change weights.
    updates: bool,
}

#[derive(Debug)]
struct InFlight {
    rows: usize,
    /// On the last part of a step.
    end: Option<StepEnd>,
}

#[derive(Debug)]
struct StepEnd {
    step: u64,
    asked: Option<f64>,
    loss: Option<f32>,
    reported: Partial,
    submitted: Instant,
}

#[derive(Debug, Clone, Copy, Default)]
struct Partial {
    rows: f64,
    /// Sum over the rows.
    loss: f64,
    /// Of the metric, likewise.
    metric: f64,
}

impl Partial {
    fn add(&mut self, rows: usize, loss: f32, metric: Option<(Metric, f32)>) {
        if rows > 0 {
            self.rows += rows as f64;
            self.loss += f64::from(loss) * rows as f64;
            self.metric += metric.map_or(0.0, |(metric, value)| summed(metric, value, rows));
        }
    }

    /// With `other` behind it.
    fn and(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            loss: self.loss + other.loss,
            metric: self.metric + other.metric,
        }
    }

    /// Exact for one batch: the product of loss and rows fits an f64.
    fn loss(&self) -> f32 {
        (self.loss / self.rows.max(1.0)) as f32
    }
}

/// The sum over `rows` rows of what a batch left of `metric`.
pub(super) fn summed(metric: Metric, value: f32, rows: usize) -> f64 {
    if metric.is_mean() { f64::from(value) * rows as f64 } else { value.into() }
}

impl Steps {
    /// For a session with `pruned` pruned variables, measured by `metric`, whose sum counts so many
    /// answers of a row.
    pub(super) fn new(gpu: &Gpu, pruned: usize, metric: Option<(Metric, usize)>) -> Result<Self> {
        Ok(Self {
            trace: None,
            ring: ReadbackRing::new(gpu, results_bytes(2, pruned), STEPS_IN_FLIGHT)?,
            open: None,
            in_flight: VecDeque::new(),
            partial: Partial::default(),
            reported: Partial::default(),
            metric,
            arrived: Vec::new(),
            torn: false,
        })
    }

    fn take(&mut self, arrived: Vec<(Ticket, Vec<u8>)>) {
        for (_, bytes) in arrived {
            let InFlight { rows, end } =
                self.in_flight.pop_front().expect("one entry for each ticket");
            let words: Vec<u32> = bytemuck::pod_collect_to_vec(&bytes);
            let outputs = 1 + usize::from(self.metric.is_some());
            let value = |at: usize| f32::from_bits(words[at]);
            self.partial.add(rows, value(0), self.metric.map(|(metric, _)| (metric, value(1))));
            let Some(StepEnd { step, asked, loss, reported, submitted }) = end else { continue };
            let partial = std::mem::take(&mut self.partial).and(reported);
            let selected = |w: &[u32]| {
                let (state, energy) = w.split_at(MASK_STATE_WORDS as usize);
                let state = bytemuck::pod_read_unaligned(bytemuck::cast_slice(state));
                Selected { state, energy: [energy[0], energy[1]].map(f32::from_bits) }
            };
            let all = || words[outputs..].chunks_exact(SELECTED_WORDS).map(selected).collect();
            self.arrived.push(StepResult {
                step,
                loss: loss.unwrap_or_else(|| partial.loss()),
                metric: self.metric.map(|(metric, of_a_row)| {
                    (metric, partial.metric / (partial.rows * of_a_row as f64).max(1.0))
                }),
                mask_update: asked.map(|sparsity| (sparsity, all())),
                submitted,
            });
        }
    }
}

impl Session {
    /// Writes `batch` for the commands recorded next, which train on `objective`.
    pub(crate) fn feed(&mut self, batch: &Batch, scalars: Step, objective: usize) -> Result<()> {
        if self.steps.open.as_ref().is_some_and(|part| part.batch.is_some()) {
            // What is recorded reads the batch before.
            self.flush()?;
        }
        self.has_seen_batches = true;
        self.mark("upload");
        self.upload_batch(batch, scalars);
        let outputs = self.trains_on(objective)?.outputs.clone();
        self.part()?.batch = Some((outputs, batch.rows));
        Ok(())
    }

    /// Records `phase`; `updates` says whether it changes weights.
    pub(super) fn record(&mut self, phase: Phase, updates: bool) -> Result<()> {
        self.mark("encode");
        self.part()?;
        let Steps { open, trace, .. } = &mut self.steps;
        let part = open.as_mut().expect("made above");
        part.updates |= updates;
        match trace.as_mut().and_then(Trace::timestamps) {
            Some(timestamps) => self.program.encode_timed(phase, &mut part.encoder, timestamps),
            None => self.program.encode(phase, &mut part.encoder),
        }
        Ok(())
    }

    /// Takes what is recorded, to be submitted in pieces that report nothing; with the rows of the
    /// batch that is fed.
    pub(super) fn take_part(&mut self) -> Result<(Encoder, usize)> {
        self.mark("encode");
        self.part()?;
        let part = self.steps.open.take().expect("made above");
        Ok((part.encoder, part.batch.map_or(0, |(_, rows)| rows)))
    }

    /// Encodes some launches of `phase` into a piece.
    pub(super) fn encode_part(&mut self, phase: Phase, part: Range<usize>, encoder: &mut Encoder) {
        self.mark("encode");
        match self.steps.trace.as_mut().and_then(Trace::timestamps) {
            Some(timestamps) => {
                self.program.encode_part_timed(phase, part, encoder, timestamps);
            }
            None => self.program.encode_part(phase, part, encoder),
        }
    }

    /// Submits a piece and begins the next.
    pub(super) fn submit_piece(&mut self, encoder: Encoder) -> Result<Encoder> {
        if let Some(trace) = &mut self.steps.trace {
            trace.submit();
        }
        encoder.submit().map(|()| Encoder::new(&self.gpu))
    }

    /// Submits the last piece; a trace has one set of timestamps for all of them.
    pub(super) fn submit_last_piece(&mut self, mut encoder: Encoder) -> Result<()> {
        if let Some(timestamps) = self.steps.trace.as_mut().and_then(Trace::timestamps) {
            timestamps.resolve(&mut encoder);
        }
        if let Some(trace) = &mut self.steps.trace {
            trace.submit();
        }
        encoder.submit()
    }

    /// What a batch of `rows` rows was measured by.
    pub(super) fn measured(&self, rows: usize, loss: f32, metric: Option<f32>) -> Measured {
        let first = self.steps.metric.zip(metric);
        let metric = first.map_or(0.0, |((metric, _), value)| summed(metric, value, rows));
        Measured { rows, loss, metric }
    }

    /// Counts a batch, of this rank or another, in what the step in hand reports.
    #[doc(hidden)]
    pub fn report(&mut self, batch: Measured) {
        if batch.rows > 0 {
            let rows = batch.rows as f64;
            let (loss, metric) = (f64::from(batch.loss) * rows, batch.metric);
            self.steps.reported = self.steps.reported.and(Partial { rows, loss, metric });
        }
    }

    /// Records copies of `slots` as they are now, into a readback of their own.
    pub(crate) fn stage(&mut self, readback: &mut ReadbackRing, slots: &[Slot]) -> Result<()> {
        self.part()?;
        let part = self.steps.open.as_mut().expect("made above");
        readback.copy(&self.gpu, &mut part.encoder, &self.program, slots).map(|_| ())
    }

    /// Submits what is recorded, as a part of the step in hand.
    pub(crate) fn flush(&mut self) -> Result<()> {
        match self.steps.open {
            Some(_) => self.submit(&[], None),
            None => Ok(()),
        }
    }

    /// Submits the rest of the step that makes `global_step`, with the mask update to sparsity
    /// `asked` when one is due. Does not wait, but when too many submissions are in flight.
    /// `loss` is reported in place of the device's.
    pub(crate) fn finish_step(
        &mut self,
        global_step: u64,
        asked: Option<f64>,
        loss: Option<f32>,
    ) -> Result<()> {
        let mut states = Vec::new();
        if let (Some(sparsity), Some((phase, update))) = (asked, &self.mask_update) {
            self.program.upload(&self.gpu, update.counts(), &update.words(global_step, sparsity));
            let settle = self.settle.filter(|_| update.settles(global_step));
            self.record(*phase, true)?;
            if let Some(settle) = settle {
                self.record(settle, true)?;
            }
            states = self.pruned().flat_map(|v| [v.state, v.energy]).collect();
        }
        let asked = asked.filter(|_| !states.is_empty());
        self.global_step = global_step;
        let reported = std::mem::take(&mut self.steps.reported);
        let end = StepEnd { step: global_step, asked, loss, reported, submitted: Instant::now() };
        self.submit(&states, Some(end))
    }

    fn submit(&mut self, states: &[Slot], end: Option<StepEnd>) -> Result<()> {
        self.part()?;
        let Steps { ring, open, in_flight, trace, torn, .. } = &mut self.steps;
        let Part { mut encoder, batch, updates } = open.take().expect("made above");
        if let Some(timestamps) = trace.as_mut().and_then(Trace::timestamps) {
            timestamps.resolve(&mut encoder);
        }
        let of_own = || self.objectives.first().map_or(&[][..], |own| &own.outputs).to_vec();
        let (outputs, rows) = batch.unwrap_or_else(|| (of_own(), 0));
        let readback: Vec<Slot> = outputs.iter().chain(states).copied().collect();
        ring.copy(&self.gpu, &mut encoder, &self.program, &readback)?;
        if let Some(trace) = trace {
            trace.submit();
        }
        encoder.submit()?;
        *torn = end.is_none() && (*torn || updates);
        in_flight.push_back(InFlight { rows, end });
        Ok(())
    }

    /// Results that have arrived, oldest first; never blocks.
    pub(crate) fn ready(&mut self) -> Result<Vec<StepResult>> {
        let arrived = self.steps.ring.ready(&self.gpu)?;
        self.steps.take(arrived);
        Ok(self.results())
    }

    /// Results of all steps submitted; blocks until they have arrived.
    pub(crate) fn drain(&mut self) -> Result<Vec<StepResult>> {
        self.await_parts()?;
        Ok(self.results())
    }

    /// What has arrived, in the units of the data.
    fn results(&mut self) -> Vec<StepResult> {
        let mut arrived = std::mem::take(&mut self.steps.arrived);
        for (metric, value) in arrived.iter_mut().filter_map(|result| result.metric.as_mut()) {
            *value *= self.unit_of(*metric);
        }
        arrived
    }

    /// Mean loss over the batches of the step in hand; waits for them.
    pub(crate) fn partial_loss(&mut self) -> Result<f32> {
        self.flush()?;
        self.await_parts()?;
        Ok(self.steps.partial.and(self.steps.reported).loss())
    }

    fn await_parts(&mut self) -> Result<()> {
        let arrived = self.steps.ring.wait(&self.gpu)?;
        self.steps.take(arrived);
        Ok(())
    }

    /// The part being recorded, begun if there is none.
    fn part(&mut self) -> Result<&mut Part> {
        if self.steps.open.is_none() {
            if let Some(trace) = &mut self.steps.trace {
                trace.begin_part(&self.gpu, self.program.launches())?;
            }
            let encoder = Encoder::new(&self.gpu);
            self.steps.open = Some(Part { encoder, batch: None, updates: false });
        }
        Ok(self.steps.open.as_mut().expect("made above"))
    }

    /// Whether the weights are between two steps: part of a step has reached them.
    pub(crate) fn torn(&self) -> bool {
        self.steps.torn
    }

    /// Forgets what is recorded and not submitted.
    pub(crate) fn abandon(&mut self) {
        self.steps.open = None;
        self.steps.reported = Partial::default();
    }
}
