//! The ceilings of an adapter, measured.
use std::time::{Duration, Instant};

use super::replay::Replay;
use super::sampling::{Effort, Sampled, median, sample};
use super::{Ceilings, workload};
use crate::gpu::{Encoder, Gpu, MAX_LOOP_ITERATIONS};
use crate::kernels::{Add, CopyProbe, FmaProbe, fma_probe_reference};
use crate::{Error, Result};

/// Larger than the caches of any GPU that we know.
const COPY_BYTES: u64 = 256 << 20;
/// Launches of a submission whose cost to the host is measured.
const LAUNCHES: u32 = 40;
/// Samples of what takes microseconds.
const HOST_SAMPLES: usize = 101;

impl Ceilings {
    /// Measures them on `gpu`: the best variant's median each, of as many samples as `effort`
    /// allows; and the medians of 101 submissions.
    ///
    /// # Errors
    /// [`Error::Device`] where the adapter computes wrongly, or cannot be used.
    pub fn measure(gpu: &Gpu, effort: &Effort) -> Result<Self> {
        Ok(Self {
            copy_bytes_per_second: copy(gpu, effort)?,
            fma_flops_per_second: fma(gpu, effort)?,
            launch_seconds: launch(gpu)?,
            round_trip_seconds: round_trip(gpu)?,
        })
    }
}

fn copy(gpu: &Gpu, effort: &Effort) -> Result<f64> {
    let report = gpu.report();
    let largest = if effort.tiny { 1 << 20 } else { COPY_BYTES };
    let mut bytes = largest.min(report.max_binding).min(report.max_buffer) & !15;
    loop {
        match copy_of(gpu, bytes, effort) {
            Err(Error::OutOfMemory { .. } | Error::MemoryBudget { .. }) if bytes > 1 << 16 => {
                bytes = (bytes / 2) & !15;
            }
            rate => return rate,
        }
    }
}

fn copy_of(gpu: &Gpu, bytes: u64, effort: &Effort) -> Result<f64> {
    let mut best = 0.0_f64;
    for &vectors in if effort.tiny { &[4][..] } else { &[1, 4] } {
        let len = (bytes / 4) as u32;
        let (mut replay, fill) = Replay::new(gpu, |plan| {
            let [x, out] = ["x", "out"].map(|name| plan.persistent(name, len));
            plan.push(CopyProbe { x, out, len, vectors })?;
            workload::fill(plan, &[x])
        })?;
        replay.run(fill)?;
        let Sampled { seconds, .. } = sample(|n| replay.time(n), effort)?;
        best = best.max(2.0 * bytes as f64 / seconds);
    }
    Ok(best)
}

fn fma(gpu: &Gpu, effort: &Effort) -> Result<f64> {
    let mut best = 0.0_f64;
    for &chains in if effort.tiny { &[4][..] } else { &[2, 4, 8] } {
        for fused in [true, false] {
            best = best.max(fma_of(gpu, chains, fused, effort)?);
        }
    }
    Ok(best)
}

/// Operations a second of one variant, in launches that take as long as a sample.
fn fma_of(gpu: &Gpu, chains: u32, fused: bool, effort: &Effort) -> Result<f64> {
    let (len, mut iterations) = if effort.tiny { (1 << 12, 4) } else { (1 << 18, 16) };
    loop {
        let (mut replay, probe) = Replay::new(gpu, |plan| {
            let probe =
                FmaProbe { out: plan.persistent("out", len), len, iterations, chains, fused };
            plan.push(probe).map(|()| probe)
        })?;
        replay.time(1)?;
        let missing = effort.sample.as_secs_f64() / replay.time(1)?.as_secs_f64().max(1e-9);
        let more = f64::from(iterations) * missing.min(64.0);
        let enough = (more as u32).min(MAX_LOOP_ITERATIONS);
        if !effort.tiny && missing > 1.5 && enough > iterations {
            iterations = enough;
            continue;
        }
        let Sampled { seconds, .. } = sample(|n| replay.time(n), effort)?;
        let got: Vec<f32> = replay.program.download(gpu, probe.out)?;
        let want = fma_probe_reference(len, iterations, chains);
        let wrong = got.iter().zip(&want).filter(|(g, w)| f64::from(**g) != **w).count();
        if wrong > 0 {
            let message =
                format!("{wrong} of {len} sums of multiply-adds are wrong; see devices --check");
            return Err(Error::Device(message));
        }
        return Ok(probe.flops() / seconds);
    }
}

fn launch(gpu: &Gpu) -> Result<f64> {
    let (replay, ()) = Replay::new(gpu, |plan| {
        let [x, y, out] = ["x", "y", "out"].map(|name| plan.persistent(name, 64));
        (0..LAUNCHES).try_for_each(|_| plan.push(Add { x, y, out, len: 64, period: 64 }))
    })?;
    replay.host()?;
    Ok(medians(|| replay.host())? / f64::from(LAUNCHES))
}

fn round_trip(gpu: &Gpu) -> Result<f64> {
    medians(|| {
        let begin = Instant::now();
        Encoder::new(gpu).submit()?;
        gpu.wait()?;
        Ok(begin.elapsed())
    })
}

fn medians(mut time: impl FnMut() -> Result<Duration>) -> Result<f64> {
    let seconds = (0..HOST_SAMPLES).map(|_| Ok(time()?.as_secs_f64())).collect::<Result<Vec<_>>>();
    Ok(median(&mut seconds?))
}
