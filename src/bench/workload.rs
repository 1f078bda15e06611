//! What is measured: by name, with the work that it cannot do without, and ready to run.
use std::fmt;
use std::time::Duration;

use super::replay::Replay;
use super::sampling::{Effort, Sampled, sample};
use super::{CausalAttention, TrainStep, Work};
use crate::Result;
use crate::gpu::{Gpu, Phase, PlanBuilder, Slot};
use crate::kernels::{
    Add, F16Begin, F16Copy, F16Matmul, F16Operand, Form, MASK_STATE_WORDS, MagnitudePeak, Matmul,
    RandomScore, Ranked, Selection, mask_words,
};

/// A workload of one size.
#[derive(Debug, Clone)]
pub enum Workload {
    /// A product of f32 matrices, dense.
    Matmul {
        /// Which operands are stored transposed.
        form: Form,
        /// Rows, columns and terms.
        size: [u32; 3],
    },
    /// A product of copies in halves, as mixed precision has it; what makes the copies is not
    /// measured.
    F16Matmul {
        /// Which operands are stored transposed.
        form: Form,
        /// Rows, columns and terms.
        size: [u32; 3],
    },
    /// The sum of two vectors.
    Add {
        /// Elements.
        len: u32,
    },
    /// The exact selection of 90 % of the weights by magnitude, as one ranking, with its masks
    /// written.
    MaskUpdate {
        /// Weights.
        len: u32,
        /// Tensors of as many weights each, which this many divides.
        tensors: u32,
        /// How they are spread.
        weights: Weights,
    },
    /// Attention of one sequence, or its gradients.
    Attention(CausalAttention),
    /// A step of `train`.
    TrainStep(TrainStep),
}

/// How weights are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weights {
    /// Evenly between 0 and 1.
    #[default]
    Even,
    /// Normally around 0.
    Normal,
    /// Half of them 0, the others evenly.
    HalfZeros,
    /// Sixteen values: as many ties as there can be.
    Levels,
    /// All the same.
    Equal,
}

/// A workload on a device. What it repeats is as training has it: many launches in a submission,
/// and no wait between.
pub struct Prepared(Box<dyn FnMut(u64) -> Result<Duration>>);

impl Workload {
    /// The selection of 90 % of `len` weights, evenly spread, in one tensor.
    pub fn mask_update(len: u32) -> Self {
        Self::MaskUpdate { len, tensors: 1, weights: Weights::Even }
    }

    /// What it has to do; `None` where nobody has counted.
    pub fn work(&self) -> Option<Work> {
        Some(match *self {
            Self::Matmul { size, .. } => {
                let [m, n, k] = size.map(f64::from);
                Work { flops: 2.0 * m * n * k, bytes: 4.0 * (m * k + k * n + m * n) }
            }
            Self::F16Matmul { size, .. } => {
                let [m, n, k] = size.map(f64::from);
                Work { flops: 2.0 * m * n * k, bytes: 2.0 * (m * k + k * n) + 4.0 * m * n }
            }
            Self::Add { len } => Work { flops: len.into(), bytes: 12.0 * f64::from(len) },
            Self::MaskUpdate { len, tensors, .. } => {
                let words = f64::from(len) + f64::from(tensors * mask_words(len / tensors));
                Work { flops: len.into(), bytes: 4.0 * words }
            }
            Self::Attention(attention) => attention.work(),
            Self::TrainStep(ref step) => return step.work,
        })
    }

    /// Units of throughput that are done once in each repetition, and their name.
    pub fn units(&self) -> (f64, &'static str) {
        match *self {
            Self::Matmul { .. } | Self::F16Matmul { .. } | Self::Attention(_) => {
                (self.work().map_or(0.0, |w| w.flops) / 1e9, "GFLOP/s")
            }
            Self::Add { .. } => {
                let bytes = self.work().map_or(0.0, |w| w.bytes);
                (bytes / f64::from(1 << 30), "GiB/s")
            }
            Self::MaskUpdate { len, .. } => (f64::from(len) / 1e6, "million weights/s"),
            Self::TrainStep(_) => (1.0, "steps/s"),
        }
    }

    /// The longest of its tensors in bytes.
    pub fn largest_tensor(&self) -> u64 {
        match *self {
            Self::Matmul { size: [m, n, k], .. } | Self::F16Matmul { size: [m, n, k], .. } => {
                let bytes = |x: u32, y: u32| 4 * u64::from(x) * u64::from(y);
                bytes(m, n).max(bytes(m, k)).max(bytes(k, n))
            }
            Self::Add { len } => 4 * u64::from(len),
            Self::MaskUpdate { len, tensors, .. } => 4 * u64::from(len / tensors),
            Self::Attention(attention) => attention.largest_tensor(),
            Self::TrainStep(_) => 0,
        }
    }

    /// Memory, pipelines and contents on `gpu`.
    ///
    /// # Errors
    /// Those of [`PlanBuilder::build`]: tensors that are too large among them.
    pub fn prepare(&self, gpu: &Gpu) -> Result<Prepared> {
        let mut weights = Vec::new();
        let (mut replay, contents) = match *self {
            Self::TrainStep(ref step) => {
                let (step, gpu) = (step.clone(), gpu.clone());
                return Ok(Prepared(Box::new(move |steps| step.time(&gpu, steps))));
            }
            Self::Matmul { form, size } => Replay::new(gpu, |plan| matmul(plan, form, size)),
            Self::F16Matmul { form, size } => Replay::new(gpu, |plan| f16_matmul(plan, form, size)),
            Self::Add { len } => Replay::new(gpu, |plan| {
                let [x, y, out] = ["x", "y", "out"].map(|name| plan.persistent(name, len));
                plan.push(Add { x, y, out, len, period: len })?;
                fill(plan, &[x, y])
            }),
            Self::Attention(attention) => Replay::new(gpu, |plan| attention.push(plan)),
            Self::MaskUpdate { len, tensors, .. } => {
                let (replay, (contents, counts, slots)) =
                    Replay::new(gpu, |plan| mask_update(plan, len, tensors))?;
                replay.program.upload(gpu, counts, &[prune(len)]);
                weights = slots;
                Ok((replay, contents))
            }
        }?;
        replay.run(contents)?;
        if let Self::MaskUpdate { weights: spread, .. } = *self {
            for slot in weights.into_iter().filter(|_| spread != Weights::Even) {
                let even: Vec<f32> = replay.program.download(gpu, slot)?;
                replay.program.upload(gpu, slot, &spread.of(&even));
            }
        }
        Ok(Prepared(Box::new(move |repetitions| replay.time(repetitions))))
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Matmul { form, size } => write!(f, "matmul {form:?} {}", extents(*size)),
            Self::F16Matmul { form, size } => {
                write!(f, "f16 matmul {form:?} {}", extents(*size))
            }
            Self::Add { len } => write!(f, "add {}", power(*len)),
            Self::MaskUpdate { len, tensors, weights } => {
                write!(f, "mask update {}{weights}", power(*len))?;
                if *tensors > 1 { write!(f, " in {tensors} tensors") } else { Ok(()) }
            }
            Self::Attention(CausalAttention { length, gradients, .. }) => {
                let what = if *gradients { "attention gradients" } else { "attention" };
                write!(f, "{what} {length}")
            }
            Self::TrainStep(step) => write!(f, "train step {step}"),
        }
    }
}

impl Weights {
    /// So many weights, from as many that are even.
    fn of(self, even: &[f32]) -> Vec<f32> {
        let next = even.iter().cycle().skip(1);
        even.iter()
            .zip(next)
            .map(|(&x, &y)| match self {
                Self::Even => x,
                Self::Normal => (-2.0 * x.ln()).sqrt() * (y * std::f32::consts::TAU).cos(),
                Self::HalfZeros => (x - 0.5).max(0.0),
                Self::Levels => (x * 16.0).floor(),
                Self::Equal => 0.25,
            })
            .collect()
    }
}

impl fmt::Display for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Even => "",
            Self::Normal => ", normal",
            Self::HalfZeros => ", half zeros",
            Self::Levels => ", 16 values",
            Self::Equal => ", all equal",
        })
    }
}

impl Prepared {
    /// Wall time of `repetitions`.
    ///
    /// # Errors
    /// What the device says.
    pub fn time(&mut self, repetitions: u64) -> Result<Duration> {
        (self.0)(repetitions)
    }

    /// The median of samples of it.
    ///
    /// # Errors
    /// What the device says.
    pub fn sample(&mut self, effort: &Effort) -> Result<Sampled> {
        sample(&mut self.0, effort)
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prepared")
    }
}

/// A phase that fills `slots` with what no kernel could profit from: the same numbers between 0 and
/// 1 each time.
pub(super) fn fill(plan: &mut PlanBuilder, slots: &[Slot]) -> Result<Phase> {
    let phase = plan.phase("fill");
    let seeds = plan.persistent("seeds", 1);
    for &score in slots {
        plan.push(RandomScore { seeds, selection: 0, score, len: score.words })?;
    }
    Ok(phase)
}

pub(super) fn matmul(plan: &mut PlanBuilder, form: Form, [m, n, k]: [u32; 3]) -> Result<Phase> {
    let [a, b, c] =
        [("a", m * k), ("b", k * n), ("c", m * n)].map(|(name, len)| plan.persistent(name, len));
    Matmul::new(form, [a, b, c], [m, n, k]).push(plan)?;
    fill(plan, &[a, b])
}

/// The copies are made in the phase that fills.
pub(super) fn f16_matmul(plan: &mut PlanBuilder, form: Form, [m, n, k]: [u32; 3]) -> Result<Phase> {
    let stored = [
        ("a", if form == Form::TN { [k, m] } else { [m, k] }),
        ("b", if form == Form::NT { [n, k] } else { [k, n] }),
    ];
    let [x, y] = stored.map(|(name, [rows, columns])| plan.persistent(name, rows * columns));
    let peaks = plan.persistent("peaks", 2);
    let mut copy = |(name, [rows, columns]): (&str, [u32; 2]), at| {
        // The largest product that is measured has no more words than its f32 operands.
        let words = F16Copy::words(rows, columns).unwrap_or(u32::MAX);
        F16Operand { copy: plan.persistent(format!("f16/{name}"), words), at }
    };
    let [a, b] = [copy(stored[0], 0), copy(stored[1], 1)];
    let c = plan.persistent("c", m * n);
    F16Matmul::new(form, [a, b], [peaks, c], [m, n, k]).push(plan)?;
    let phase = fill(plan, &[x, y])?;
    plan.push(F16Begin { peaks })?;
    for ((values, half), (_, [rows, columns])) in [(x, a), (y, b)].into_iter().zip(stored) {
        let (mask, F16Operand { copy: out, at }) = (None, half);
        plan.push(MagnitudePeak::new([values, peaks], at, rows * columns))?;
        plan.push(F16Copy { mask, ..F16Copy::new([values, peaks, out], at, [rows, columns]) })?;
    }
    Ok(phase)
}

pub(super) type MaskUpdateSlots = (Phase, Slot, Vec<Slot>);

pub(super) fn mask_update(
    plan: &mut PlanBuilder,
    len: u32,
    tensors: u32,
) -> Result<MaskUpdateSlots> {
    let counts = plan.persistent("counts", 1);
    let histogram = plan.persistent("histogram", Selection::HISTOGRAM_WORDS);
    let state = plan.persistent("state", Selection::STATE_WORDS);
    let len = len / tensors;
    let ranked = |_| {
        let (values, mask) =
            (plan.persistent("weights", len), plan.persistent("mask", mask_words(len)));
        let mask_state = plan.persistent("mask_state", MASK_STATE_WORDS);
        Ranked { values, protect: None, scores: true, mask_state, mask, len }
    };
    let ranked: Vec<Ranked> = (0..tensors).map(ranked).collect();
    Selection { counts, selection: 0, histogram, state }.push(plan, "w", &ranked)?;
    let weights: Vec<Slot> = ranked.iter().map(|tensor| tensor.values).collect();
    Ok((fill(plan, &weights)?, counts, weights))
}

fn prune(len: u32) -> u32 {
    (u64::from(len) * 9 / 10) as u32
}

fn extents([m, n, k]: [u32; 3]) -> String {
    if m == n && n == k { n.to_string() } else { format!("{m}x{n}x{k}") }
}

/// 10^6 rather than 1000000.
fn power(len: u32) -> String {
    let exponent = len.max(1).ilog10();
    if exponent >= 4 && len == 10_u32.pow(exponent) {
        format!("10^{exponent}")
    } else {
        len.to_string()
    }
}
