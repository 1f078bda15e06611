//! The rows that `secateur bench` prints, in sizes that fit the adapter.
use serde::Serialize;

use super::sampling::{Effort, Sampled};
use super::{CausalAttention, Ceilings, Limit, TrainStep, Weights, Workload};
use crate::gpu::{Gpu, Precision};
use crate::kernels::Form;
use crate::{Error, Result};

/// A workload, measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Workload and size.
    pub name: String,
    /// Median time of one repetition.
    pub seconds: f64,
    /// Samples that it is the median of.
    pub samples: usize,
    /// In `unit`.
    pub throughput: f64,
    /// Unit of the throughput.
    pub unit: &'static str,
    /// Operations that it cannot do without.
    pub flops: f64,
    /// Bytes that it cannot do without.
    pub bytes: f64,
    /// Operations a byte.
    pub intensity: f64,
    /// Operations a second.
    pub flops_per_second: f64,
    /// The ceiling over it.
    pub limit: Limit,
    /// Operations a second under that ceiling.
    pub attainable_flops_per_second: f64,
    /// Share of that; see [`Ceilings::share`].
    pub share: f64,
}

impl Row {
    /// `workload` in `sampled`, under `ceilings`; `None` where nobody has counted its work.
    pub fn new(workload: &Workload, sampled: Sampled, ceilings: &Ceilings) -> Option<Self> {
        let work = workload.work()?;
        let Sampled { seconds, samples } = sampled;
        let (units, unit) = workload.units();
        Some(Self {
            name: workload.to_string(),
            seconds,
            samples,
            throughput: units / seconds,
            unit,
            flops: work.flops,
            bytes: work.bytes,
            intensity: work.intensity(),
            flops_per_second: work.flops / seconds,
            limit: ceilings.limit(work),
            attainable_flops_per_second: ceilings.attainable(work),
            share: ceilings.share(work, seconds),
        })
    }
}

/// A workload that was not measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Workload and size.
    pub name: String,
    /// Why not.
    pub reason: String,
}

/// Ceilings and rows of an adapter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// The ceilings.
    pub ceilings: Ceilings,
    /// In the order measured.
    pub rows: Vec<Row>,
    /// What limits, memory or time did not allow.
    pub left_out: Vec<LeftOut>,
}

/// Measures the ceilings of `gpu` and then workloads against them; `progress` hears what comes
/// next.
///
/// # Errors
/// [`Error::Device`] and its like. What the adapter has no room for is left out instead.
pub fn measure(gpu: &Gpu, effort: &Effort, progress: &mut dyn FnMut(&str)) -> Result<Measured> {
    progress("ceilings");
    let ceilings = Ceilings::measure(gpu, effort)?;
    let measured = Measured { ceilings, rows: Vec::new(), left_out: Vec::new() };
    let mut suite = Suite { gpu, effort, progress, measured };
    suite.products()?;
    let positions: &[u32] = if effort.tiny { &[20] } else { &[512, 2048] };
    for gradients in [false, true] {
        let attention = |&n: &u32| Workload::Attention(CausalAttention::small(n, gradients));
        suite.growing(positions.iter().map(attention), 16.0)?;
    }
    let lengths: &[u32] = match effort.tiny {
        true => &[1_000],
        false => &[100_000, 1_000_000, 10_000_000, 100_000_000],
    };
    suite.growing(lengths.iter().map(|&len| Workload::Add { len }), 10.0)?;
    // As many tensors as fit, all of one ranking.
    let limit = gpu.report().max_binding.min(gpu.report().max_buffer).max(1);
    let parts = |len: u32| (4 * u64::from(len)).div_ceil(limit).next_power_of_two() as u32;
    let weights = Weights::Even;
    let mask_update = |&len: &u32| Workload::MaskUpdate { len, tensors: parts(len), weights };
    suite.growing(lengths.iter().map(mask_update), 10.0)?;
    let (hidden, batch): (&[u32], _) = if effort.tiny { (&[8], 4) } else { (&[300, 100], 128) };
    for optimizer in ["sgd", "adam"] {
        let step = TrainStep::mlp(hidden, batch, optimizer)?;
        for step in [step.clone(), step.masked()] {
            suite.row(&Workload::TrainStep(step), 0.0)?;
        }
    }
    Ok(suite.measured)
}

/// A product of a form in one size.
type Product = fn(Form, u32) -> Workload;

struct Suite<'a> {
    gpu: &'a Gpu,
    effort: &'a Effort,
    progress: &'a mut dyn FnMut(&str),
    measured: Measured,
}

impl Suite<'_> {
    /// A b in growing sizes, and the other forms in the two largest of them; over halves too where
    /// products read such.
    fn products(&mut self) -> Result<()> {
        let sizes: &[u32] =
            if self.effort.tiny { &[16, 32] } else { &[256, 512, 1024, 2048, 4096, 8192] };
        let full: Product = |form, n| Workload::Matmul { form, size: [n; 3] };
        let halves: Product = |form, n| Workload::F16Matmul { form, size: [n; 3] };
        let mixed = self.gpu.precision() == Precision::Mixed;
        for product in [full].into_iter().chain(mixed.then_some(halves)) {
            let fit = self.growing(sizes.iter().map(|&n| product(Form::NN, n)), 8.0)?;
            for &n in &sizes[fit.saturating_sub(2)..fit] {
                for form in [Form::NT, Form::TN] {
                    self.row(&product(form, n), 0.0)?;
                }
            }
        }
        // A row alone, as of a text that is written token by token: all of it is reading weights.
        let side = if self.effort.tiny { 64 } else { 4096 };
        for form in [Form::NT, Form::NN] {
            self.row(&Workload::Matmul { form, size: [1, side, side] }, 0.0)?;
        }
        Ok(())
    }

    /// One workload in growing sizes, each `factor` times as much work as the one before, until one
    /// takes too long or does not fit; how many were measured.
    fn growing(&mut self, sizes: impl Iterator<Item = Workload>, factor: f64) -> Result<usize> {
        let (mut fit, mut expected) = (0, 0.0);
        for workload in sizes {
            let seconds = self.row(&workload, expected)?;
            fit += usize::from(seconds.is_some());
            expected = seconds.unwrap_or(expected) * factor;
        }
        Ok(fit)
    }

    /// Measures one row that is `expected` to take so many seconds; its time, or none where there
    /// is no room or time for it.
    fn row(&mut self, workload: &Workload, expected: f64) -> Result<Option<f64>> {
        (self.progress)(&workload.to_string());
        let limit = self.gpu.report().max_binding.min(self.gpu.report().max_buffer);
        let (bytes, longest) = (workload.largest_tensor(), self.effort.longest.as_secs_f64());
        if bytes > limit {
            let reason = format!("a tensor of {bytes} bytes, this adapter's limit is {limit}");
            return Ok(self.left_out(workload, reason));
        }
        if expected > longest {
            let reason = format!("once would take about {expected:.1} s, more than {longest} s");
            return Ok(self.left_out(workload, reason));
        }
        match workload.prepare(self.gpu).and_then(|mut p| p.sample(self.effort)) {
            Ok(sampled) => {
                self.measured.rows.extend(Row::new(workload, sampled, &self.measured.ceilings));
                Ok(Some(sampled.seconds))
            }
            Err(
                e @ (Error::OutOfMemory { .. }
                | Error::MemoryBudget { .. }
                | Error::TensorTooLarge { .. }),
            ) => Ok(self.left_out(workload, e.to_string())),
            Err(e) => Err(e),
        }
    }

    fn left_out(&mut self, workload: &Workload, reason: String) -> Option<f64> {
        self.measured.left_out.push(LeftOut { name: workload.to_string(), reason });
        None
    }
}
