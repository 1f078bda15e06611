//! A layer with its weight dense and packed, each as it comes out of memory: what is in a cache from
//! the run before flatters the smaller one.
use std::time::{Duration, Instant};

use serde::Serialize;

use super::sampling::{Effort, median};
use crate::Result;
use crate::gpu::{Encoder, Gpu, Phase, PlanBuilder, Program, Slot};
use crate::graph::{Bindings, Graph, Mode, Tensor, lower};
use crate::kernels::{
    Activation, Layout, Packed, PackedForm, PackedMatrix, PackedValues, STEP_WORDS, Units,
};

/// A matrix of weights, and what multiplies with it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct PackedCase<'w> {
    /// Its extents, and how it lies in memory.
    pub of: Units,
    /// The weights.
    pub weights: &'w [f32],
    /// Rows.
    pub rows: u32,
    /// The layer that reads it, by the graph that has it; by itself a fully connected one.
    pub(super) reader: Option<(&'w Graph, Tensor)>,
}

/// What it took.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PackedTimes {
    /// Median time of the product with the dense weight.
    pub dense_seconds: f64,
    /// Bytes of the dense weight.
    pub dense_bytes: u64,
    /// With the weight packed, form by form.
    pub packed: Vec<PackedTime>,
}

/// What it took in one form.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PackedTime {
    /// The form.
    pub form: PackedForm,
    /// Median time of the product.
    pub seconds: f64,
    /// Bytes of the packed weight.
    pub bytes: u64,
    /// How many times as fast as dense it is.
    pub speedup: f64,
    /// How many times as fast it could be: with up to eight rows by the bytes of weights, inputs
    /// and outputs, with more by the terms of the sums.
    pub bound: f64,
}

impl PackedTimes {
    /// The fastest form, where it is faster than dense.
    pub fn fastest(&self) -> Option<&PackedTime> {
        let best = self.packed.iter().min_by(|x, y| x.seconds.total_cmp(&y.seconds));
        best.filter(|best| best.seconds < self.dense_seconds)
    }
}

/// Bytes that are read between two runs with the same copy of a weight: more than caches hold.
const FLUSH: [u64; 2] = [256 << 20, 64 << 20];
/// Most copies of a weight, and most runs through all of them in a submission.
const COPIES: u64 = 512;
const RUNS: u64 = 64;
/// Rows up to which bytes are what a product takes its time for.
const FEW: u32 = 8;

impl<'w> PackedCase<'w> {
    /// The weights of `of` with so many rows.
    pub fn new(of: Units, weights: &'w [f32], rows: u32) -> Self {
        Self { of, weights, rows, reader: None }
    }

    /// The weights of the first layer of `graph` that reads `weight`, a convolution or a recurrent
    /// layer for example, which is timed as a whole. Its products are of so many rows.
    pub fn in_graph(graph: &'w Graph, weight: Tensor, case: Self) -> Self {
        Self { reader: Some((graph, weight)), ..case }
    }

    /// Times the product by turns dense and in each of `forms`, on copies enough that none is in a
    /// cache when its turn comes.
    ///
    /// # Errors
    /// Of the plan and the device, and for weights that do not fit their extents.
    pub fn time(&self, gpu: &Gpu, forms: &[PackedForm], effort: &Effort) -> Result<PackedTimes> {
        let matrices =
            forms.iter().map(|&form| self.pack(form, gpu)).collect::<Result<Vec<_>>>()?;
        self.time_packed(gpu, &matrices.iter().collect::<Vec<_>>(), effort)
    }

    /// The weights in `form`.
    pub(super) fn pack(&self, form: PackedForm, gpu: &Gpu) -> Result<PackedMatrix> {
        let packed =
            PackedMatrix::pack(form, self.of, self.weights, PackedValues::F32, gpu.target());
        packed.map_err(|message| crate::Error::argument("weights", message))
    }

    /// As [`time`](Self::time), of weights that are packed already.
    pub(super) fn time_packed(
        &self,
        gpu: &Gpu,
        matrices: &[&PackedMatrix],
        effort: &Effort,
    ) -> Result<PackedTimes> {
        let dense_bytes = 4 * self.weights.len() as u64;
        let layer = match self.reader {
            Some((graph, weight)) => Layer::of(graph, weight)?,
            None => Layer::new(self.of, self.rows)?,
        };
        let mut plan = PlanBuilder::new(gpu.target());
        let mut bindings = layer.bindings(&mut plan);
        let flush = if effort.tiny { 0 } else { FLUSH[usize::from(gpu.target().software)] };
        let copies = |bytes: u64| flush.div_ceil(bytes.max(1)).clamp(1, COPIES);
        let mut turns = Vec::new();
        let mut dense: Vec<Slot> = Vec::new();
        let phase = plan.phase("dense");
        for _ in 0..copies(dense_bytes) {
            let slot = plan.persistent("weight", self.weights.len() as u32);
            dense.push(slot);
            bindings.set(layer.weight, slot);
            lower(&layer.graph, &mut plan, &bindings, &[layer.output], Mode::Evaluate)?;
        }
        turns.push((phase, dense.len() as u64));
        let mut packed: Vec<(usize, Packed)> = Vec::new();
        for (at, matrix) in matrices.iter().enumerate() {
            let phase = plan.phase(matrix.form().name());
            let count = copies(matrix.bytes());
            for _ in 0..count {
                let copy = matrix.declare(&mut plan, "weight");
                packed.push((at, copy));
                bindings.set(layer.weight, copy);
                lower(&layer.graph, &mut plan, &bindings, &[layer.output], Mode::Evaluate)?;
            }
            turns.push((phase, count));
        }
        let program = plan.build(gpu)?;
        dense.iter().for_each(|&slot| program.upload(gpu, slot, self.weights));
        packed.iter().for_each(|(at, copy)| copy.upload(gpu, &program, matrices[*at]));
        let mut seconds = by_turns(gpu, &program, &turns, effort)?.into_iter();
        let dense_seconds = seconds.next().unwrap_or(f64::NAN);
        let of = |(&matrix, seconds): (&&PackedMatrix, f64)| PackedTime {
            form: matrix.form(),
            seconds,
            bytes: matrix.bytes(),
            speedup: dense_seconds / seconds,
            bound: self.bound(matrix),
        };
        let packed = matrices.iter().zip(seconds).map(of).collect();
        Ok(PackedTimes { dense_seconds, dense_bytes, packed })
    }

    fn bound(&self, matrix: &PackedMatrix) -> f64 {
        let weights = self.of.len() as f64;
        if self.rows > FEW {
            return weights / f64::from(matrix.shape().kept.max(1));
        }
        let others = 4.0 * f64::from(self.rows) * f64::from(self.of.inputs + self.of.units);
        (4.0 * weights + others) / (matrix.bytes() as f64 + others)
    }
}

/// A graph of one layer.
struct Layer {
    graph: Graph,
    weight: Tensor,
    /// All other inputs, and the output.
    others: Vec<Tensor>,
    output: Tensor,
}

impl Layer {
    fn new(of: Units, rows: u32) -> Result<Self> {
        let mut graph = Graph::default();
        let features = graph.features(rows, of.inputs);
        let weight = match of.layout {
            Layout::InOut => graph.parameter("weight", [of.inputs, of.units])?,
            Layout::OutIn => {
                let weight = graph.parameter("weight", [of.units, of.inputs])?;
                graph.outputs_first(weight)?
            }
        };
        let output = graph.linear(features, weight, None, Activation::Identity)?;
        Ok(Self { graph, weight, others: vec![features, output], output })
    }

    /// The first layer of `graph` that reads `weight`.
    fn of(graph: &Graph, weight: Tensor) -> Result<Self> {
        let (graph, weight, output) = graph.alone(weight)?;
        let inputs = graph.parameters().iter().map(|p| p.tensor);
        let others = inputs.filter(|&input| input != weight).chain([output]).collect();
        Ok(Self { graph, weight, others, output })
    }

    /// All but the weight.
    fn bindings(&self, plan: &mut PlanBuilder) -> Bindings {
        let step = plan.persistent("step", STEP_WORDS);
        let mut bindings = Bindings::new(&self.graph, step);
        for &tensor in &self.others {
            let words = self.graph.shape(tensor).elements().unwrap_or(0);
            bindings.set(tensor, plan.persistent("operand", words));
        }
        bindings
    }
}

/// Median seconds of a launch of each phase, which has so many: one phase after the other, again
/// and again.
fn by_turns(
    gpu: &Gpu,
    program: &Program,
    turns: &[(Phase, u64)],
    effort: &Effort,
) -> Result<Vec<f64>> {
    let run = |phase: Phase, runs: u64| -> Result<Duration> {
        let begin = Instant::now();
        let mut encoder = Encoder::new(gpu);
        (0..runs).for_each(|_| program.encode(phase, &mut encoder));
        encoder.submit()?;
        gpu.wait()?;
        Ok(begin.elapsed())
    };
    let mut runs = Vec::new();
    for &(phase, _) in turns {
        run(phase, 1)?;
        let taken = run(phase, 1)?.as_secs_f64().max(1e-9);
        runs.push(((effort.sample.as_secs_f64() / taken).ceil() as u64).clamp(1, RUNS));
    }
    let mut seconds = vec![Vec::new(); turns.len()];
    for _ in 0..effort.samples[0] {
        for ((&(phase, count), &runs), seconds) in turns.iter().zip(&runs).zip(&mut seconds) {
            seconds.push(run(phase, runs)?.as_secs_f64() / (runs * count) as f64);
        }
    }
    Ok(seconds.iter_mut().map(|seconds| median(seconds)).collect())
}
