//! A block on the device with what says which of its units count: its forward pass, and the lengths
//! of what its products multiply.
use super::groups::Group;
use crate::gpu::{Gpu, Memory, Phase, PlanBuilder, Program, Slot, Target};
use crate::graph::{Bindings, Mode, Spread, lower};
use crate::kernels::{InputNorm, Layout, STEP_WORDS, Units};
use crate::pretrained::cut::CutGraph;
use crate::pretrained::model::{Pretrained, Read};
use crate::pretrained::stage::{Ends, Placed};
use crate::pretrained::stream::Stream;
use crate::{Error, Result};

/// A block before it is built.
pub(super) struct BlockPlan {
    plan: PlanBuilder,
    of: Planned,
}

/// A block on the device.
pub(super) struct Block {
    gpu: Gpu,
    program: Program,
    of: Planned,
}

/// Where everything of a block is.
struct Planned {
    ends: Ends,
    parameters: Vec<Placed>,
    prefix: String,
    /// Of each group what looks at its units.
    looks: Vec<(Phase, Vec<Tap>)>,
    forward: Phase,
}

/// A weight that is multiplied with the units of a group.
struct Tap {
    /// Its place among the parameters.
    parameter: usize,
    of: Units,
    spread: Spread,
    /// The squared length of each of its inputs.
    norm: Slot,
}

impl BlockPlan {
    /// Plans a block of which `groups` are looked at.
    pub(super) fn new(cut: CutGraph, groups: &[Group], target: Target) -> Result<Self> {
        let CutGraph { graph, sources, prefix, features, output } = cut;
        let mut plan = PlanBuilder::new(target);
        let step = plan.persistent("step", STEP_WORDS);
        let mut bindings = Bindings::new(&graph, step);
        let mut place = |plan: &mut PlanBuilder, name: &str, tensor| {
            let slot = plan.persistent(name, graph.shape(tensor).elements().unwrap_or(0));
            bindings.set(tensor, slot);
            slot
        };
        let parameters = graph.parameters().iter().zip(sources);
        let parameters: Vec<Placed> = parameters
            .map(|(p, source)| Placed { slot: place(&mut plan, &p.name, p.tensor), source })
            .collect();
        let input = place(&mut plan, "features", features);
        let batch = graph.shape(features).dims()[0];
        let mut looks = Vec::new();
        for group in groups {
            let phase = plan.phase("look");
            let mut taps = Vec::new();
            for member in &group.members {
                let Some(x) = member.reads else { continue };
                let p = &graph.parameters()[member.parameter];
                let of = p.units();
                if p.shape.rank() != 2 {
                    let message = "is a convolution, whose inputs are not known to scores by data";
                    return Err(Error::argument(&p.name, message));
                }
                let norm = plan.persistent(format!("{}/input_norm", p.name), of.inputs);
                let x = lower(&graph, &mut plan, &bindings, &[x], Mode::Evaluate)?[0];
                let (columns, rows) = (of.inputs, x.words / of.inputs.max(1));
                plan.push(InputNorm { x, step, norm, rows, columns, repeat: rows / batch })?;
                taps.push(Tap { parameter: member.parameter, of, spread: member.spread, norm });
            }
            looks.push((phase, taps));
        }
        let forward = plan.phase("forward");
        let output_at = lower(&graph, &mut plan, &bindings, &[output], Mode::Evaluate)?[0];
        plan.keep(&[output_at]);
        let ends = Ends::new([input, step, output_at], graph.shape(output).dims(), &prefix);
        plan.stage(ends.staging());
        Ok(Self { plan, of: Planned { ends, parameters, prefix, looks, forward } })
    }

    pub(super) fn memory(&self) -> Memory {
        self.plan.memory()
    }

    /// The block on the device, with the weights that `read` has by their names in the file.
    pub(super) fn build(self, gpu: &Gpu, model: &Pretrained, read: Read<'_>) -> Result<Block> {
        let Self { plan, of } = self;
        let program = plan.build(gpu)?;
        for Placed { slot, source } in &of.parameters {
            program.upload(gpu, *slot, &model.values(source, &of.prefix, read)?);
        }
        for tap in of.looks.iter().flat_map(|(_, taps)| taps) {
            program.upload(gpu, tap.norm, &vec![0.0_f32; tap.norm.words as usize]);
        }
        Ok(Block { gpu: gpu.clone(), program, of })
    }
}

impl Block {
    /// What each unit of a group adds to what its readers make, for the rows of `stream`: the sum
    /// of `(|w| |x|)^2` over their weights.
    pub(super) fn scores(&self, group: usize, units: u32, stream: &Stream) -> Result<Vec<f64>> {
        let (phase, taps) = &self.of.looks[group];
        self.of.ends.send((&self.gpu, &self.program), *phase, stream)?;
        let mut scores = vec![0.0; units as usize];
        for tap in taps {
            let norms: Vec<f32> = self.program.download(&self.gpu, tap.norm)?;
            let weights: Vec<f32> =
                self.program.download(&self.gpu, self.of.parameters[tap.parameter].slot)?;
            let Units { inputs, units, layout } = tap.of;
            for (e, &w) in weights.iter().enumerate() {
                let input = match layout {
                    Layout::InOut => e / units as usize,
                    Layout::OutIn => e % inputs as usize,
                };
                scores[tap.spread.unit(e)] += f64::from(w).powi(2) * f64::from(norms[input]);
            }
        }
        Ok(scores)
    }

    /// Takes the units of a group that do not stay out of what goes on from them.
    pub(super) fn remove(&self, group: usize, stays: &[bool]) -> Result<()> {
        for tap in &self.of.looks[group].1 {
            let slot = self.of.parameters[tap.parameter].slot;
            let mut weights: Vec<f32> = self.program.download(&self.gpu, slot)?;
            let gone = |(e, _): &(usize, &mut f32)| !stays[tap.spread.unit(*e)];
            weights.iter_mut().enumerate().filter(gone).for_each(|(_, w)| *w = 0.0);
            self.program.upload(&self.gpu, slot, &weights);
        }
        Ok(())
    }

    /// What comes out of the block for a row of `stream`.
    pub(super) fn output(&self, stream: &Stream, row: usize) -> Result<Vec<f32>> {
        let (mut one, mut out) = (stream.only(row), Vec::new());
        let on = (&self.gpu, &self.program);
        let mut take = |_: &mut Stream, _, values: &[f32]| out = values.to_vec();
        self.of.ends.pass(on, self.of.forward, &mut one, &mut take)?;
        Ok(out)
    }

    /// Sends the rows of `stream` through the block: what comes out takes their place.
    pub(super) fn advance(&self, stream: &mut Stream) -> Result<()> {
        self.of.ends.advance((&self.gpu, &self.program), self.of.forward, stream)
    }
}
