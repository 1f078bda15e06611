//! Launches that are replayed as training replays them: many in a submission, several submissions
//! in flight.
use std::time::{Duration, Instant};

use crate::Result;
use crate::gpu::{Encoder, Gpu, Phase, PlanBuilder, Program};

/// Drivers stop devices whose submissions take seconds.
const SUBMISSION: Duration = Duration::from_millis(20);
/// Most repetitions in a submission.
const MOST: u64 = 64;
/// Submissions after which the host waits for the device.
const IN_FLIGHT: u64 = 16;

/// A program, the phase of it that is measured, and how much of it fits into a submission.
#[derive(Debug)]
pub(super) struct Replay {
    gpu: Gpu,
    pub(super) program: Program,
    phase: Phase,
    per_submission: u64,
}

impl Replay {
    /// The launches that `push` appends up to the next phase that it begins, and what it returns.
    pub(super) fn new<T>(
        gpu: &Gpu,
        push: impl FnOnce(&mut PlanBuilder) -> Result<T>,
    ) -> Result<(Self, T)> {
        let mut plan = PlanBuilder::new(gpu.target());
        let phase = plan.phase("measured");
        let pushed = push(&mut plan)?;
        let program = plan.build(gpu)?;
        Ok((Self { gpu: gpu.clone(), program, phase, per_submission: 1 }, pushed))
    }

    /// Runs another phase once.
    pub(super) fn run(&self, phase: Phase) -> Result<()> {
        let mut encoder = Encoder::new(&self.gpu);
        self.program.encode(phase, &mut encoder);
        encoder.submit()?;
        self.gpu.wait()
    }

    /// Wall time of `repetitions`, to the end of the last.
    pub(super) fn time(&mut self, repetitions: u64) -> Result<Duration> {
        let begin = Instant::now();
        let (mut left, mut submissions) = (repetitions, 0);
        while left > 0 {
            let mut encoder = Encoder::new(&self.gpu);
            let here = left.min(self.per_submission);
            (0..here).for_each(|_| self.program.encode(self.phase, &mut encoder));
            encoder.submit()?;
            (left, submissions) = (left - here, submissions + 1);
            if submissions % IN_FLIGHT == 0 {
                self.gpu.wait()?;
            }
        }
        self.gpu.wait()?;
        let taken = begin.elapsed();
        let fit = SUBMISSION.as_secs_f64() * repetitions as f64 / taken.as_secs_f64().max(1e-9);
        self.per_submission = (fit as u64).clamp(1, MOST);
        Ok(taken)
    }

    /// What the host pays for a submission of one repetition, the wait for it left out.
    pub(super) fn host(&self) -> Result<Duration> {
        let begin = Instant::now();
        let mut encoder = Encoder::new(&self.gpu);
        self.program.encode(self.phase, &mut encoder);
        encoder.submit()?;
        let taken = begin.elapsed();
        self.gpu.wait()?;
        Ok(taken)
    }
}
