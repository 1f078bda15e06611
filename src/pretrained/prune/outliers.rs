//! How many outliers each block of the dense model has: a pass over the rows before anything is
//! pruned.
use std::collections::BTreeMap;

use super::allocate::{Allocate, Allocation, Matrix, Measured, OutlierReport};
use super::inputs::Inputs;
use super::options::{Method, PruneOptions};
use super::tap::{Tap, inputs, push_taps};
use super::{PruneEvent, Sink, Told};
use crate::gpu::{Encoder, Gpu, Memory, Phase, PlanBuilder, Program, Slot, Target};
use crate::graph::{Bindings, Graph, Parameter};
use crate::kernels::{Outliers, STEP_WORDS, Units, Wanda, outliers_of};
use crate::pretrained::cut::{Cut, CutGraph};
use crate::pretrained::model::{Pretrained, Read};
use crate::pretrained::rows::Rows;
use crate::pretrained::stage::{Forward, Parameters, StagePlan, place};
use crate::pretrained::stream::Stream;
use crate::prune::Scope;
use crate::{Error, Result};

/// What a sink has the shares of the blocks as, beside the blocks that are done: none has this
/// name.
pub const ALLOCATION: &str = "(outliers)";

/// A dense block whose outliers are to be counted, before it is built.
pub(super) struct OutlierPlan {
    plan: PlanBuilder,
    of: Planned,
}

struct Planned {
    /// Also takes the statistics.
    forward: Forward,
    parameters: Parameters,
    taps: Vec<Slot>,
    /// Scores all weights, and compares them with the threshold.
    compare: Phase,
    threshold: Slot,
    /// Of each weight that is to be pruned.
    partials: Vec<Slot>,
    matrices: Vec<Matrix>,
}

impl OutlierPlan {
    /// Plans a block, of whose weights those called `dense` are left.
    pub(super) fn new(
        cut: CutGraph,
        (options, name): (&PruneOptions, &dyn Fn(&str) -> String),
        dense: &[String],
        target: Target,
    ) -> Result<Self> {
        let CutGraph { mut graph, sources, prefix, features, output, seen } = cut;
        let mut plan = PlanBuilder::new(target);
        let step = plan.persistent("step", STEP_WORDS);
        let inputs = inputs(&mut graph, seen, dense)?;
        let mut bindings = Bindings::new(&graph, step);
        let parameters =
            Parameters::place((&mut plan, &graph, &mut bindings), sources, prefix.clone());
        let input = place((&mut plan, &graph, &mut bindings), "features", features);
        let mut taps: BTreeMap<Inputs, Tap> = BTreeMap::new();
        let mut weights: Vec<(&Parameter, Slot, Slot)> = Vec::new();
        for (at, p) in graph.parameters().iter().enumerate() {
            let Some(&inputs) = inputs.get(&p.tensor) else { continue };
            let tap = taps.entry(inputs).or_insert_with(|| {
                Tap::new(&mut plan, (&p.name, p.units().inputs), Method::Wanda, options)
            });
            weights.push((p, parameters.slot(at), tap.statistics));
        }
        let look = plan.phase("look");
        let batch = graph.shape(output).dims()[0];
        let of = (&graph, &bindings);
        let at = push_taps(&mut plan, of, &taps, Some(output), (step, batch))?;
        let at = at.ok_or_else(|| Error::argument(&prefix, "nothing comes out of it"))?;
        let dims = graph.shape(output).dims();
        let forward = Forward::at((&mut plan, look), [input, step, at], dims, &prefix);
        let threshold = plan.persistent("threshold", 1);
        let partials: Vec<Slot> = weights
            .iter()
            .map(|(p, ..)| {
                let words = u32::try_from(p.units().len()).map_or(0, |n| 2 * Outliers::chunks(n));
                plan.persistent(format!("{}/outliers", p.name), words)
            })
            .collect();
        let compare = plan.phase("compare");
        for ((p, values, norm), &partials) in weights.iter().zip(&partials) {
            push_compare(&mut plan, p, [*values, *norm, threshold, partials])?;
        }
        let matrix = |(p, ..): &(&Parameter, Slot, Slot)| {
            let Units { units, .. } = p.units();
            let quantum = if options.scope == Scope::Unit { u64::from(units) } else { 1 };
            Matrix { name: name(&p.name), len: p.units().len(), quantum }
        };
        let matrices = weights.iter().map(matrix).collect();
        let taps = taps.into_values().map(|tap| tap.statistics).collect();
        let of = Planned { forward, parameters, taps, compare, threshold, partials, matrices };
        Ok(Self { plan, of })
    }

    pub(super) fn memory(&self) -> Memory {
        self.plan.memory()
    }

    /// Sends the rows of `stream` through the block, and gives the share of the weights' scores that
    /// are more than `above` times their mean, and the weights.
    ///
    /// # Errors
    /// [`Error::NonFinite`] names a weight with a score that is not finite.
    fn measure(
        self,
        gpu: &Gpu,
        model: &Pretrained,
        stream: &mut Stream,
        above: f64,
    ) -> Result<(f64, Vec<Matrix>)> {
        let Self { plan, of } = self;
        let program = plan.build(gpu)?;
        let read: Read<'_> = &|name| model.files().read_f32(name);
        of.parameters.upload((gpu, &program), model, read)?;
        for &norm in &of.taps {
            program.upload(gpu, norm, &vec![0.0_f32; norm.words as usize]);
        }
        of.forward.advance((gpu, &program), stream)?;
        let len: u64 = of.matrices.iter().map(|matrix| matrix.len).sum();
        let mut sum = 0.0;
        for (matrix, (of_one, _)) in of.matrices.iter().zip(of.compare(gpu, &program, f32::MAX)?) {
            if !of_one.is_finite() {
                return Err(Error::NonFinite { step: 0, tensor: matrix.name.clone() });
            }
            sum += of_one;
        }
        let threshold = (above * sum / len as f64) as f32;
        let counted = of.compare(gpu, &program, threshold)?;
        let outliers: u64 = counted.iter().map(|&(_, count)| count).sum();
        Ok((outliers as f64 / len as f64, of.matrices))
    }
}

/// Appends the scores of a weight, and how they compare with the threshold.
fn push_compare(
    plan: &mut PlanBuilder,
    p: &Parameter,
    [weights, norm, threshold, partials]: [Slot; 4],
) -> Result<()> {
    let of = p.units();
    // More than a slot has are refused where they are bound.
    let len = u32::try_from(of.len()).unwrap_or(u32::MAX);
    let scores = plan.scratch(format!("{}.score", p.name), len);
    plan.push(Wanda { weights, norm, score: scores, of })?;
    plan.push(Outliers { scores, threshold, partials, len })
}

impl Planned {
    /// The sum of the scores of each weight, and how many are above the threshold.
    fn compare(&self, gpu: &Gpu, program: &Program, threshold: f32) -> Result<Vec<(f64, u64)>> {
        program.upload(gpu, self.threshold, &[threshold]);
        let mut encoder = Encoder::new(gpu);
        program.encode(self.compare, &mut encoder);
        encoder.submit()?;
        let of = |&slot: &Slot| Ok(outliers_of(&program.download::<u32>(gpu, slot)?));
        self.partials.iter().map(of).collect()
    }
}

impl Pretrained {
    /// How many weights of each matrix go, where blocks with more outliers lose less; an interrupted
    /// work's, if `sink` has it.
    ///
    /// # Errors
    /// As [`prune_by`](Self::prune_by).
    pub(super) fn allocation(
        &self,
        gpu: &Gpu,
        rows: Rows<'_>,
        options: &PruneOptions,
        sink: &mut dyn Sink,
        told: Told<'_>,
    ) -> Result<(Option<Allocation>, u64)> {
        let Allocate::Owl { above, range } = options.allocate else { return Ok((None, 0)) };
        let kept = sink.remark(ALLOCATION).and_then(|kept| serde_json::from_str(kept).ok());
        if kept.is_some() {
            return Ok((kept, 0));
        }
        let (mut stream, mut bytes) =
            self.embedded_by(gpu, rows, 1, options.activations.as_deref())?;
        let blocks = self.architecture().blocks();
        let mut measured = Vec::new();
        for block in 0..blocks {
            let shape = stream.shape().to_vec();
            let Some(plan) = self.outlier_plan(block, (1, &shape), options, gpu.target())? else {
                let read: Read<'_> = &|name| self.files().read_f32(name);
                self.stage(gpu, Cut::Block(block), (1, &shape), read)?.advance(&mut stream)?;
                continue;
            };
            bytes = bytes.max(plan.memory().peak());
            let (outliers, matrices) = plan.measure(gpu, self, &mut stream, above)?;
            let weights = matrices.iter().map(|matrix| matrix.len).sum();
            let name = self.architecture().prefix(block).trim_end_matches('.').to_owned();
            let report = OutlierReport { block, blocks, name, outliers, weights };
            told(PruneEvent::Measured(&report));
            measured.push(Measured { report, matrices });
        }
        let allocation = Allocation::new(&measured, options.sparsity, range);
        // Names and numbers have a form in JSON.
        let remark = serde_json::to_string(&allocation).unwrap_or_default();
        if !sink.done().iter().any(|done| done == ALLOCATION) {
            sink.mark_done(ALLOCATION, &remark)?;
        }
        Ok((Some(allocation), bytes))
    }

    /// What counting the outliers of block `i` needs on the device; none where nothing of it is
    /// pruned.
    pub(super) fn outlier_plan(
        &self,
        i: u32,
        (batch, shape): (u32, &[u32]),
        options: &PruneOptions,
        target: Target,
    ) -> Result<Option<OutlierPlan>> {
        let of = self.cut(Cut::Block(i), batch, shape)?;
        let dense = self.left(&of.graph, &of.prefix, options);
        if dense.len() == of.graph.parameters().iter().filter(|p| p.masked).count() {
            return Ok(None);
        }
        let prefix = of.prefix.clone();
        let name = |name: &str| self.name(&prefix, name);
        OutlierPlan::new(of, (options, &name), &dense, target).map(Some)
    }

    /// Those weights of a block that are left, by their names in its graph.
    pub(super) fn left(&self, graph: &Graph, prefix: &str, options: &PruneOptions) -> Vec<String> {
        let masked = graph.parameters().iter().filter(|p| p.masked);
        let left = masked.filter(|p| !options.prunes(&self.name(prefix, &p.name)));
        left.map(|p| p.name.clone()).collect()
    }

    /// Memory of that for a block on its own, or as [`stage`](Self::stage).
    pub(super) fn outlier_memory(
        &self,
        i: u32,
        at: (u32, &[u32]),
        options: &PruneOptions,
        target: Target,
    ) -> Result<Option<Memory>> {
        match options.allocate {
            Allocate::Uniform => Ok(None),
            Allocate::Owl { .. } => Ok(Some(match self.outlier_plan(i, at, options, target)? {
                Some(plan) => plan.memory(),
                None => StagePlan::new(self.cut(Cut::Block(i), at.0, at.1)?, target)?.memory(),
            })),
        }
    }
}
