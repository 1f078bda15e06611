//! A block on the device with what its pruning needs: its forward pass, statistics of what its
//! weights are multiplied with, and the update of its masks.
use std::collections::BTreeMap;

use crate::gpu::{Encoder, Gpu, Memory, Phase, PlanBuilder, Program, Slot, Target};
use crate::graph::{Bindings, Mode, Stored, Tensor, Weight, lower};
use crate::kernels::{InputNorm, MASK_STATE_WORDS, MaskState, STEP_WORDS, mask_words, ones};
use crate::pretrained::cut::CutGraph;
use crate::pretrained::model::{Pretrained, Read};
use crate::pretrained::stage::{Ends, Placed};
use crate::pretrained::stream::Stream;
use crate::prune::{MaskUpdate, PrunedTensor, PruningSpec, Targets};
use crate::{Error, Result};

/// What is kept of the inputs of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Statistics {
    /// Nothing.
    None,
    /// The squared length of each.
    Norms,
}

/// A block before it is built.
pub(super) struct BlockPlan {
    pub(super) plan: PlanBuilder,
    ends: Ends,
    parameters: Vec<Placed>,
    prefix: String,
    /// Of the pruned ones, their place among the parameters.
    pruned: Vec<(usize, PrunedTensor)>,
    norms: Vec<Slot>,
    look: Option<Phase>,
    mask_update: (Phase, MaskUpdate),
    forward: Phase,
}

/// A block on the device.
pub(super) struct Block {
    gpu: Gpu,
    program: Program,
    of: Planned,
}

/// What is left of the plan when it is built.
struct Planned {
    ends: Ends,
    parameters: Vec<Placed>,
    prefix: String,
    pruned: Vec<(usize, PrunedTensor)>,
    look: Option<Phase>,
    mask_update: (Phase, MaskUpdate),
    forward: Phase,
}

/// A weight of a block that has been pruned.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PrunedWeight {
    /// Its name in the file.
    pub(super) name: String,
    /// Its values in the order of the file.
    pub(super) values: Vec<f32>,
    /// Highest score that was pruned.
    pub(super) threshold: f32,
}

impl BlockPlan {
    /// Plans a block that is pruned by `spec`, whose names are those of the block.
    pub(super) fn new(
        of: CutGraph,
        spec: &PruningSpec,
        statistics: Statistics,
        target: Target,
    ) -> Result<Self> {
        let CutGraph { graph, sources, prefix, features, output } = of;
        let mut plan = PlanBuilder::new(target);
        let step = plan.persistent("step", STEP_WORDS);
        let mut bindings = Bindings::new(&graph, step);
        let batch = graph.shape(output).dims()[0];
        let targets = Targets::of(spec, &graph, batch)?;
        let mut norms: BTreeMap<Tensor, Slot> = BTreeMap::new();
        let (mut parameters, mut pruned) = (Vec::new(), Vec::new());
        for (p, source) in graph.parameters().iter().zip(sources) {
            let len = p.shape.elements().unwrap_or(0);
            let slot = plan.persistent(&p.name, len);
            parameters.push(Placed { slot, source });
            if !targets.prunes(&p.name) {
                bindings.set(p.tensor, slot);
                continue;
            }
            let mask = plan.persistent(format!("{}/mask", p.name), mask_words(len));
            let stored = Stored::pruned(slot, mask, spec.pruned);
            bindings.set(p.tensor, stored);
            let mut weight = Weight::new(&p.name, p.shape.clone(), stored);
            weight.layout = p.layout;
            let state = plan.persistent(format!("{}/threshold", p.name), MASK_STATE_WORDS);
            let energy = plan.persistent(format!("{}/energy", p.name), 2);
            let mut tensor = PrunedTensor::new(weight, state, energy)?;
            if statistics == Statistics::Norms {
                let [input] = graph.inputs_of(p.tensor)[..] else {
                    let message = "its inputs are not known; leave it out with --exclude";
                    return Err(Error::argument(&p.name, message));
                };
                // Weights that are multiplied with the same tensor share what is known of it.
                let inputs = p.units().inputs;
                let norm = *norms
                    .entry(input)
                    .or_insert_with(|| plan.persistent(format!("{}/inputs", p.name), inputs));
                tensor.score_slots = vec![norm];
            }
            pruned.push((parameters.len() - 1, tensor));
        }
        let input = plan.persistent("features", graph.shape(features).elements().unwrap_or(0));
        bindings.set(features, input);
        let look = (!norms.is_empty()).then(|| plan.phase("look"));
        if look.is_some() {
            let wanted: Vec<Tensor> = norms.keys().copied().collect();
            let slots = lower(&graph, &mut plan, &bindings, &wanted, Mode::Evaluate)?;
            for ((tensor, &norm), x) in norms.iter().zip(slots) {
                let columns = graph.shape(*tensor).dims().last().copied().unwrap_or(1);
                let rows = x.words / columns.max(1);
                plan.push(InputNorm { x, step, norm, rows, columns, repeat: rows / batch })?;
            }
        }
        let phase = plan.phase("mask_update");
        let tensors: Vec<PrunedTensor> = pruned.iter().map(|(_, t)| t.clone()).collect();
        let mask_update = (phase, MaskUpdate::push(&mut plan, spec, targets, &tensors)?);
        let forward = plan.phase("forward");
        let output_at = lower(&graph, &mut plan, &bindings, &[output], Mode::Evaluate)?[0];
        plan.keep(&[output_at]);
        let ends = Ends::new([input, step, output_at], graph.shape(output).dims(), &prefix);
        plan.stage(ends.staging());
        let norms = norms.into_values().collect();
        Ok(Self { plan, ends, parameters, prefix, pruned, norms, look, mask_update, forward })
    }

    pub(super) fn memory(&self) -> Memory {
        self.plan.memory()
    }

    /// The block on the device, with the weights that `read` has by their names in the file.
    pub(super) fn build(self, gpu: &Gpu, model: &Pretrained, read: Read<'_>) -> Result<Block> {
        let Self { plan, ends, parameters, prefix, pruned, norms, look, mask_update, forward } =
            self;
        let program = plan.build(gpu)?;
        for Placed { slot, source } in &parameters {
            program.upload(gpu, *slot, &model.values(source, &prefix, read)?);
        }
        for (_, tensor) in &pruned {
            program.upload(gpu, tensor.mask(), &ones(tensor.len()));
        }
        for norm in norms {
            program.upload(gpu, norm, &vec![0.0_f32; norm.words as usize]);
        }
        let of = Planned { ends, parameters, prefix, pruned, look, mask_update, forward };
        Ok(Block { gpu: gpu.clone(), program, of })
    }
}

impl Block {
    /// Takes the statistics of what the rows of `stream` come to inside of the block.
    pub(super) fn look(&self, stream: &Stream) -> Result<()> {
        let Some(phase) = self.of.look else { return Ok(()) };
        self.of.ends.send((&self.gpu, &self.program), phase, stream)
    }

    /// Updates the masks to `sparsity`.
    ///
    /// # Errors
    /// [`Error::NonFinite`] names a weight with a score that is NaN.
    pub(super) fn update_masks(&self, sparsity: f64) -> Result<()> {
        let (phase, update) = &self.of.mask_update;
        self.program.upload(&self.gpu, update.counts(), &update.words(0, sparsity));
        let mut encoder = Encoder::new(&self.gpu);
        self.program.encode(*phase, &mut encoder);
        encoder.submit()
    }

    /// The pruned weights as they are now.
    pub(super) fn weights(&self, model: &Pretrained) -> Result<Vec<PrunedWeight>> {
        let weight = |(at, tensor): &(usize, PrunedTensor)| {
            let state: Vec<MaskState> = self.program.download(&self.gpu, tensor.state)?;
            let Placed { slot, source } = &self.of.parameters[*at];
            let (file, extents) = &source.tensors[0];
            let name = model.name(&self.of.prefix, file);
            if state[0].nan > 0 {
                return Err(Error::NonFinite { step: 0, tensor: name });
            }
            let values = self.program.download(&self.gpu, *slot)?;
            let values = source.arranged.to_file(values, extents);
            Ok(PrunedWeight { name, values, threshold: f32::from_bits(state[0].threshold) })
        };
        self.of.pruned.iter().map(weight).collect()
    }

    /// Gives the pruned weight `name` other values, in the order of the file.
    pub(super) fn set(&self, model: &Pretrained, name: &str, values: Vec<f32>) {
        let placed = self.of.pruned.iter().map(|(at, _)| &self.of.parameters[*at]);
        for Placed { slot, source } in placed {
            let (file, extents) = &source.tensors[0];
            if model.name(&self.of.prefix, file) == name {
                self.program.upload(&self.gpu, *slot, &source.arranged.to_graph(values, extents));
                return;
            }
        }
    }

    /// What comes out of the block for a row of `stream`.
    pub(super) fn output(&self, stream: &Stream, row: usize) -> Result<Vec<f32>> {
        let mut one = stream.only(row);
        let mut out = Vec::new();
        self.of.ends.pass(
            (&self.gpu, &self.program),
            self.of.forward,
            &mut one,
            &mut |_, _, values| out = values.to_vec(),
        )?;
        Ok(out)
    }

    /// Sends the rows of `stream` through the block: what comes out takes their place.
    pub(super) fn advance(&self, stream: &mut Stream) -> Result<()> {
        let on = (&self.gpu, &self.program);
        self.of.ends.advance(on, self.of.forward, stream)
    }
}
