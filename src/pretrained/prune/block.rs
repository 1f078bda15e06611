//! A block on the device with what its pruning needs: its forward pass, statistics of what its
//! weights are multiplied with, and what chooses its masks.
use std::collections::BTreeMap;

use super::inputs::Inputs;
use super::options::{Method, PruneOptions, Shares};
use super::tap::{Tap, inputs, push_taps};
use crate::gpu::{Encoder, Gpu, Memory, Phase, PlanBuilder, Program, Slot, Target};
use crate::graph::{Bindings, Stored, Weight};
use crate::kernels::{MASK_STATE_WORDS, MaskState, STEP_WORDS, mask_words, ones};
use crate::pretrained::cut::CutGraph;
use crate::pretrained::model::{Pretrained, Read};
use crate::pretrained::stage::{Forward, Parameters, place};
use crate::pretrained::stream::Stream;
use crate::prune::layerwise::{Chosen, Factor, SparseGpt};
use crate::prune::{MaskUpdate, PrunedTensor, Targets, pruned_count};
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
    parameters: Parameters,
    /// Of the pruned ones, their place among the parameters.
    pruned: Vec<(usize, PrunedTensor)>,
    taps: Vec<Tap>,
    look: Option<Phase>,
    choice: Choice,
    forward: Forward,
}

/// What chooses the masks, and what the host says before it.
enum Choice {
    Masks(Phase, Box<MaskUpdate>),
    /// How many of each block of inputs go, of each weight: where that is written, and the share
    /// that it makes together; none for N:M.
    SparseGpt(Phase, Vec<Option<(Slot, f64)>>),
}

/// A weight of a block that has been pruned.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PrunedWeight {
    /// Its place among the parameters.
    pub(super) at: usize,
    /// Its name in the file.
    pub(super) name: String,
    /// Its values in the order of the file.
    pub(super) values: Vec<f32>,
    /// Highest score that was pruned.
    pub(super) threshold: f32,
}

impl BlockPlan {
    /// Plans a block, of whose weights those called `dense` are left, and others lose the share that
    /// is theirs in `shares`.
    pub(super) fn new(
        cut: CutGraph,
        (options, shares): (&PruneOptions, &Shares),
        dense: &[String],
        target: Target,
    ) -> Result<Self> {
        let CutGraph { mut graph, sources, prefix, features, output, seen } = cut;
        let mut plan = PlanBuilder::new(target);
        let step = plan.persistent("step", STEP_WORDS);
        let inputs = match options.method.needs_data() {
            true => inputs(&mut graph, seen, dense)?,
            false => BTreeMap::new(),
        };
        let mut bindings = Bindings::new(&graph, step);
        let batch = graph.shape(output).dims()[0];
        let spec = options.spec(dense, shares);
        let targets = Targets::of(&spec, &graph, batch)?;
        let (mut slots, mut pruned) = (Vec::new(), Vec::new());
        let mut taps: BTreeMap<Inputs, Tap> = BTreeMap::new();
        for (at, p) in graph.parameters().iter().enumerate() {
            let len = p.shape.elements().unwrap_or(0);
            let slot = plan.persistent(&p.name, len);
            slots.push(slot);
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
            if options.method.needs_data() {
                let tap = taps.entry(inputs[&p.tensor]);
                let tap = tap.or_insert_with(|| {
                    Tap::new(&mut plan, (&p.name, p.units().inputs), options.method, options)
                });
                tensor.score_slots = vec![tap.factor.map_or(tap.statistics, |(slot, _)| slot)];
            }
            pruned.push((at, tensor));
        }
        let input = place((&mut plan, &graph, &mut bindings), "features", features);
        let look = if taps.is_empty() { None } else { Some(plan.phase("look")) };
        if look.is_some() {
            push_taps(&mut plan, (&graph, &bindings), &taps, None, (step, batch))?;
        }
        let tensors: Vec<PrunedTensor> = pruned.iter().map(|(_, t)| t.clone()).collect();
        let phase = plan.phase("choose");
        let choice = match options.method {
            Method::Magnitude | Method::Wanda => {
                let update = MaskUpdate::push(&mut plan, &spec, targets, &tensors)?;
                Choice::Masks(phase, Box::new(update))
            }
            Method::SparseGpt => {
                let counts = tensors.iter().map(|t| {
                    let counts = push_sparse_gpt(&mut plan, t, options)?;
                    Ok(counts.map(|counts| (counts, options.share_of(t.name(), shares))))
                });
                Choice::SparseGpt(phase, counts.collect::<Result<_>>()?)
            }
            Method::Admm => {
                let message = "it moves the weights of a pair of blocks, not of one";
                return Err(Error::argument("method", message));
            }
        };
        let ends = [input, step];
        let forward = Forward::push((&mut plan, &graph, &bindings), ends, output, &prefix)?;
        let taps = taps.into_values().collect();
        let parameters = Parameters::at(slots, sources, prefix);
        let of = Planned { parameters, pruned, taps, look, choice, forward };
        Ok(Self { plan, of })
    }

    pub(super) fn memory(&self) -> Memory {
        self.plan.memory()
    }

    /// The block on the device, with the weights that `read` has by their names in the file.
    pub(super) fn build(self, gpu: &Gpu, model: &Pretrained, read: Read<'_>) -> Result<Block> {
        let Self { plan, of } = self;
        let program = plan.build(gpu)?;
        of.parameters.upload((gpu, &program), model, read)?;
        for (_, tensor) in &of.pruned {
            program.upload(gpu, tensor.mask(), &ones(tensor.len()));
        }
        for tap in &of.taps {
            program.upload(gpu, tap.statistics, &vec![0.0_f32; tap.statistics.words as usize]);
        }
        Ok(Block { gpu: gpu.clone(), program, of })
    }
}

/// Appends SparseGPT of one weight, and says where its counts are written.
fn push_sparse_gpt(
    plan: &mut PlanBuilder,
    tensor: &PrunedTensor,
    options: &PruneOptions,
) -> Result<Option<Slot>> {
    let ([factor], of, name) = (tensor.kept()?, tensor.matrix(), tensor.name());
    let (counts, chosen) = match options.pattern.groups() {
        Some([n, m]) => (None, Chosen::Groups { n, m }),
        None => {
            let words = SparseGpt::counts(of, 0).len() as u32;
            let counts = plan.persistent(format!("{name}/counts"), words);
            (Some(counts), Chosen::Share { counts })
        }
    };
    let (weights, mask, mask_state) = (tensor.weights(), tensor.mask(), tensor.state);
    SparseGpt { weights, of, factor, mask, mask_state, chosen }.push(plan, name)?;
    Ok(counts)
}

impl Block {
    /// Takes the statistics of what the rows of `stream` come to inside of the block.
    pub(super) fn look(&self, stream: &Stream) -> Result<()> {
        let Some(phase) = self.of.look else { return Ok(()) };
        self.of.forward.ends.send(self.on(), phase, stream)
    }

    /// Chooses the masks, and moves the weights that stay where the method does. Weights without a
    /// share of their own lose `sparsity`.
    ///
    /// # Errors
    /// [`Error::Argument`] names a weight whose inputs have moments that cannot be factorised.
    pub(super) fn choose(&self, sparsity: f64) -> Result<()> {
        let phase = match &self.of.choice {
            Choice::Masks(phase, update) => {
                self.program.upload(&self.gpu, update.counts(), &update.words(0, sparsity));
                phase
            }
            Choice::SparseGpt(phase, counts) => {
                for ((_, tensor), counts) in self.of.pruned.iter().zip(counts) {
                    let &Some((counts, share)) = counts else { continue };
                    let pruned = pruned_count(tensor.len().into(), share);
                    let words = SparseGpt::counts(tensor.matrix(), pruned);
                    self.program.upload(&self.gpu, counts, &words);
                }
                for tap in &self.of.taps {
                    let Some((slot, layout)) = tap.factor else { continue };
                    let moments: Vec<f32> = self.program.download(&self.gpu, tap.statistics)?;
                    let name = format!("{}{}", self.of.parameters.prefix(), tap.name);
                    let factor = Factor::new(&name, &moments, layout)?;
                    self.program.upload(&self.gpu, slot, &factor.words);
                }
                phase
            }
        };
        let mut encoder = Encoder::new(&self.gpu);
        self.program.encode(*phase, &mut encoder);
        encoder.submit()
    }

    /// The pruned weights as they are now.
    ///
    /// # Errors
    /// [`Error::NonFinite`] names a weight with a score that is NaN.
    pub(super) fn weights(&self, model: &Pretrained) -> Result<Vec<PrunedWeight>> {
        let weight = |(at, tensor): &(usize, PrunedTensor)| {
            PrunedWeight::at(self.on(), (&self.of.parameters, *at), tensor.state, model)
        };
        self.of.pruned.iter().map(weight).collect()
    }

    /// Gives the parameter `at` other values, in the order of the file.
    pub(super) fn set(&self, at: usize, values: Vec<f32>) {
        self.of.parameters.set(self.on(), at, values);
    }

    /// What comes out of the block for a row of `stream`.
    pub(super) fn output(&self, stream: &Stream, row: usize) -> Result<Vec<f32>> {
        self.of.forward.output(self.on(), stream, row)
    }

    /// Sends the rows of `stream` through the block: what comes out takes their place.
    pub(super) fn advance(&self, stream: &mut Stream) -> Result<()> {
        self.of.forward.advance(self.on(), stream)
    }

    fn on(&self) -> (&Gpu, &Program) {
        (&self.gpu, &self.program)
    }
}

impl PrunedWeight {
    /// What the parameter `at` is now, whose mask has this `state`.
    ///
    /// # Errors
    /// [`Error::NonFinite`] names it where a score or a value is not finite.
    pub(super) fn at(
        (gpu, program): (&Gpu, &Program),
        (parameters, at): (&Parameters, usize),
        state: Slot,
        model: &Pretrained,
    ) -> Result<Self> {
        let state: Vec<MaskState> = program.download(gpu, state)?;
        let (name, values) = (parameters.name(model, at), parameters.values((gpu, program), at)?);
        if state[0].nan > 0 || values.iter().any(|x| !x.is_finite()) {
            return Err(Error::NonFinite { step: 0, tensor: name });
        }
        Ok(Self { at, name, values, threshold: f32::from_bits(state[0].threshold) })
    }
}
