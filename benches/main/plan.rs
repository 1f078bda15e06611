//! A program with one phase, submitted and waited for once a repetition.
use std::time::{Duration, Instant};

use secateur::Result;
use secateur::gpu::{Encoder, Gpu, Phase, PlanBuilder, Program};

pub struct Plan<'g> {
    pub gpu: &'g Gpu,
    pub program: Program,
    phase: Phase,
}

impl<'g> Plan<'g> {
    /// Launches of `push`, on slots that it declares.
    pub fn new(gpu: &'g Gpu, push: impl FnOnce(&mut PlanBuilder) -> Result<()>) -> Result<Self> {
        let mut plan = PlanBuilder::new(gpu.target());
        let phase = plan.phase("bench");
        push(&mut plan)?;
        Ok(Self { gpu, program: plan.build(gpu)?, phase })
    }

    pub fn submit(&self) -> Result<()> {
        let mut encoder = Encoder::new(self.gpu);
        self.program.encode(self.phase, &mut encoder);
        encoder.submit()
    }

    /// One submission and one wait a repetition.
    pub fn time(&self, repetitions: u64) -> Result<Duration> {
        let begin = Instant::now();
        for _ in 0..repetitions {
            self.submit()?;
            self.gpu.wait()?;
        }
        Ok(begin.elapsed())
    }

    /// What the host pays for the submissions by `clock`, the waits left out.
    pub fn host_time(&self, repetitions: u64, clock: fn() -> Duration) -> Result<Duration> {
        let mut taken = Duration::ZERO;
        for _ in 0..repetitions {
            let begin = clock();
            self.submit()?;
            taken += clock() - begin;
            self.gpu.wait()?;
        }
        Ok(taken)
    }
}

/// Values in -1..1 without a pattern that a selection could profit from.
pub fn noise(len: u32) -> Vec<f32> {
    let hash = |i: u32| i.wrapping_mul(0x9e37_79b9).rotate_left(15).wrapping_mul(0x85eb_ca6b);
    (0..len).map(|i| (hash(i) >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
}
