//! A part of a block beside its dense self: what goes into both, and weights that bring the outputs
//! of the pruned one back to those of the dense one.
use std::collections::BTreeMap;

use super::block::PrunedWeight;
use super::inputs::{Inputs, WAY};
use super::options::{PruneOptions, Shares};
use crate::gpu::{Encoder, Gpu, Memory, Phase, PlanBuilder, Program, Slot, Target};
use crate::graph::{Bindings, Graph, Mode, Parameter, Tensor, lower};
use crate::kernels::{
    Add, Form, Layout, MASK_STATE_WORDS, Matmul, STEP_WORDS, Units, mask_words, ones,
};
use crate::pretrained::cut::{DENSE, PairGraph};
use crate::pretrained::model::{Pretrained, Read};
use crate::pretrained::stage::{Forward, Parameters, place};
use crate::pretrained::stream::Stream;
use crate::prune::layerwise::{Admm, Gram, Kept, Multipliers};
use crate::prune::pruned_count;
use crate::{Error, Result};

/// How much the weights are held to the dense ones, where inputs have a length of one each: few
/// windows say little of texts to come.
const DAMPING: f64 = 0.4;

/// A pair of parts before it is built.
pub(super) struct PairPlan {
    plan: PlanBuilder,
    of: Planned,
}

/// A pair of parts on the device.
pub(super) struct Pair {
    gpu: Gpu,
    program: Program,
    of: Planned,
}

/// Where everything of the pair is.
struct Planned {
    forward: Forward,
    /// The dense part, as its last group is looked at.
    dense: Forward,
    parameters: Parameters,
    groups: Vec<Group>,
    /// Shared by all groups, one after the other.
    moments: Moments,
}

/// Weights that are multiplied with the same tensor.
struct Group {
    /// What adds to the moments.
    look: Phase,
    /// What chooses and moves the weights.
    solve: Phase,
    inputs: u32,
    weights: Vec<Matched>,
}

/// A weight that is pruned.
struct Matched {
    /// Its place among the parameters.
    at: usize,
    of: Units,
    mask: Slot,
    state: Slot,
    /// How many stay of a unit, or of a group of its inputs, before each step.
    counts: Slot,
    /// Share of its weights that go.
    share: f64,
}

/// What is known of a group's inputs: `x` in the pruned part, `y` in the dense one.
#[derive(Clone, Copy)]
struct Moments {
    /// `x^T x`
    gram: Slot,
    /// `x^T (y - x)`
    cross: Slot,
    /// `x^T r`, for what the outputs of the group are to make up for beside.
    rest: Option<Slot>,
    /// What the host makes of the first.
    inverse: Slot,
    multipliers: Slot,
    scale: Slot,
}

impl PairPlan {
    /// Plans the pair, of whose weights those called `dense` are left, and others lose the share that
    /// is theirs in `shares`.
    pub(super) fn new(
        pair: PairGraph,
        (options, shares): (&PruneOptions, &Shares),
        dense: &[String],
        target: Target,
    ) -> Result<Self> {
        let PairGraph { mut graph, sources, prefix, pruned, dense: whole, seen } = pair;
        let grouped = groups(&mut graph, seen, dense)?;
        let mut plan = PlanBuilder::new(target);
        let step = plan.persistent("step", STEP_WORDS);
        let mut bindings = Bindings::new(&graph, step);
        let name = prefix.clone();
        let parameters = Parameters::place((&mut plan, &graph, &mut bindings), sources, prefix);
        let features = [pruned[0], whole[0]]
            .map(|tensor| place((&mut plan, &graph, &mut bindings), "features", tensor));
        let moments = Moments::new(&mut plan, &graph, &grouped);
        let mut planned = Vec::new();
        let mut of_dense = None;
        for (i, (inputs, group)) in grouped.iter().enumerate() {
            let look = plan.phase("look");
            // What the last one is multiplied with is all but the dense part's output.
            let output = (i + 1 == grouped.len()).then_some(whole[1]);
            let at = push_look(&mut plan, &graph, &bindings, (group, output), &moments)?;
            of_dense = at.map(|at| (look, at));
            let solve = plan.phase("solve");
            let weights = group.weights.iter().map(|&(own, other)| {
                let p = &graph.parameters()[own];
                let slots = [own, other].map(|at| parameters.slot(at));
                let of = (own, group.rest.is_some());
                let solved = push_solve(&mut plan, p, slots, of, &moments, options)?;
                Ok(Matched { share: options.share_of(&p.name, shares), ..solved })
            });
            let weights = weights.collect::<Result<_>>()?;
            planned.push(Group { look, solve, inputs: *inputs, weights });
        }
        let Some((look, at)) = of_dense else {
            return Err(Error::argument("pair", "nothing of it is pruned"));
        };
        let slots = [features[1], step, at];
        let dense = Forward::at((&mut plan, look), slots, graph.shape(whole[1]).dims(), &name);
        let ends = [features[0], step];
        let forward = Forward::push((&mut plan, &graph, &bindings), ends, pruned[1], &name)?;
        let of = Planned { forward, dense, parameters, groups: planned, moments };
        Ok(Self { plan, of })
    }

    pub(super) fn memory(&self) -> Memory {
        self.plan.memory()
    }

    /// The pair on the device, with the weights that `read` has by their names in the file.
    pub(super) fn build(self, gpu: &Gpu, model: &Pretrained, read: Read<'_>) -> Result<Pair> {
        let Self { plan, of } = self;
        let program = plan.build(gpu)?;
        of.parameters.upload((gpu, &program), model, read)?;
        Ok(Pair { gpu: gpu.clone(), program, of })
    }
}

/// Weights by what they are multiplied with in the pruned block.
struct Grouped {
    /// That, but for positions that do not count.
    input: Inputs,
    /// How far the same in the dense block is from it.
    apart: Tensor,
    /// How far what the products are added to is from that in the dense block, where it is.
    rest: Option<Tensor>,
    /// Places of the parameters in both blocks.
    weights: Vec<(usize, usize)>,
}

/// The groups in the order in which rows meet them, each with its number of inputs.
fn groups(
    graph: &mut Graph,
    seen: Option<Tensor>,
    dense: &[String],
) -> Result<Vec<(u32, Grouped)>> {
    let parameters = graph.parameters().to_vec();
    let mut groups: BTreeMap<Inputs, (u32, Grouped)> = BTreeMap::new();
    for (own, p) in parameters.iter().enumerate() {
        if !p.masked || p.name.starts_with(DENSE) || dense.contains(&p.name) {
            continue;
        }
        let other = parameters.iter().position(|q| q.name == format!("{DENSE}{}", p.name));
        let Some(other) = other else {
            return Err(Error::argument(&p.name, "it has no dense copy"));
        };
        let pair = [p, &parameters[other]].map(|p| p.tensor);
        let [input, whole] = [p, &parameters[other]].map(|p| Inputs::of(graph, p, WAY));
        let (input, whole) = (input?, whole?);
        if let Some((_, group)) = groups.get_mut(&input) {
            group.weights.push((own, other));
            continue;
        }
        let rest = match pair.map(|weight| graph.added_to(weight)) {
            [Some(own), Some(other)] => Some(difference(graph, other, own)?),
            _ => None,
        };
        let apart = difference(graph, whole.tensor, input.tensor)?;
        // All moments have it on one side, so the others may be what they are there.
        let counted = input.counted(graph, seen)?;
        let group = Grouped { input: counted, apart, rest, weights: vec![(own, other)] };
        groups.insert(input, (p.units().inputs, group));
    }
    Ok(groups.into_values().collect())
}

/// `x - y`
fn difference(graph: &mut Graph, x: Tensor, y: Tensor) -> Result<Tensor> {
    let width = graph.shape(y).dims().last().copied().unwrap_or(1);
    let minus = graph.constant("minus", [width], vec![-1.0; width as usize])?;
    let minus = graph.mul(y, minus)?;
    graph.add(x, minus)
}

impl Moments {
    /// Slots for the largest group.
    fn new(plan: &mut PlanBuilder, graph: &Graph, groups: &[(u32, Grouped)]) -> Self {
        let inputs = groups.iter().map(|(inputs, _)| *inputs).max().unwrap_or(1);
        let square = inputs.saturating_mul(inputs);
        let rest = groups.iter().filter_map(|(inputs, group)| {
            let width = graph.shape(group.rest?).dims().last().copied()?;
            Some(inputs.saturating_mul(width))
        });
        let rest = rest.max();
        let mut slot = |name: &str, words| plan.persistent(format!("moments.{name}"), words);
        Self {
            gram: slot("gram", square),
            cross: slot("cross", square),
            rest: rest.map(|words| slot("rest", words)),
            inverse: slot("inverse", square),
            multipliers: slot("multipliers", square),
            scale: slot("scale", inputs),
        }
    }
}

/// Appends what adds a window to the moments, and computes a further tensor, if there is one: where
/// that is.
fn push_look(
    plan: &mut PlanBuilder,
    graph: &Graph,
    bindings: &Bindings,
    (group, further): (&Grouped, Option<Tensor>),
    moments: &Moments,
) -> Result<Option<Slot>> {
    let wanted = [Some(group.input.tensor), Some(group.apart), group.rest, further];
    let wanted: Vec<Tensor> = wanted.into_iter().flatten().collect();
    let slots = lower(graph, plan, bindings, &wanted, Mode::Evaluate)?;
    let (x, [rows, inputs]) = group.input.rows(plan, graph, slots[0])?;
    // Patches of a difference are the difference of patches.
    let (apart, _) = group.input.rows(plan, graph, slots[1])?;
    Gram { x, gram: moments.gram, rows, columns: inputs }.push(plan)?;
    let cross = Matmul::new(Form::TN, [x, apart, moments.cross], [inputs, inputs, rows]);
    cross.push_onto(plan)?;
    if let (Some(rest), Some(sum)) = (group.rest, moments.rest) {
        let width = graph.shape(rest).dims().last().copied().unwrap_or(1);
        Matmul::new(Form::TN, [x, slots[2], sum], [inputs, width, rows]).push_onto(plan)?;
    }
    Ok(further.and_then(|_| slots.last().copied()))
}

/// Appends what brings one weight to where the outputs are nearest to the dense ones, and from
/// there to its mask.
fn push_solve(
    plan: &mut PlanBuilder,
    p: &Parameter,
    [weights, dense]: [Slot; 2],
    (at, has_rest): (usize, bool),
    moments: &Moments,
    options: &PruneOptions,
) -> Result<Matched> {
    let (of, name) = (p.units(), &p.name);
    let Units { inputs, units, layout } = of;
    let sizes = [inputs, units, inputs];
    // `[inputs, units]`: what the outputs lack, as the inputs see it.
    let lack = plan.scratch(format!("{name}.lack"), inputs * units);
    let form = if layout == Layout::OutIn { Form::NT } else { Form::NN };
    Matmul::new(form, [moments.cross, dense, lack], sizes).push(plan)?;
    let lack = match moments.rest.filter(|_| has_rest) {
        Some(rest) => {
            let (out, len) = (plan.scratch(format!("{name}.lack_in_all"), lack.words), lack.words);
            plan.push(Add { x: lack, y: rest, out, len, period: len })?;
            out
        }
        None => lack,
    };
    push_moved(plan, [moments.inverse, lack, weights], of)?;
    let mask = plan.persistent(format!("{name}/mask"), mask_words(inputs * units));
    let state = plan.persistent(format!("{name}/threshold"), MASK_STATE_WORDS);
    let counts = plan.persistent(format!("{name}/counts"), Admm::GROWING);
    let m = options.pattern.groups().map(|[_, m]| m);
    let kept = Kept::GrownInUnits { counts, m, steps: Admm::GROWING, mask_state: state };
    let (inverse, scale, steps) = (moments.multipliers, moments.scale, Admm::STEPS);
    Admm { weights, of, inverse, scale, mask, kept, steps }.push(plan, name)?;
    Ok(Matched { at, of, mask, state, counts, share: options.share() })
}

/// `weights += inverse lack`, whichever way the weights lie.
pub(in crate::pretrained) fn push_moved(
    plan: &mut PlanBuilder,
    [inverse, lack, weights]: [Slot; 3],
    of: Units,
) -> Result<()> {
    let Units { inputs, units, layout } = of;
    match layout {
        Layout::InOut => Matmul::new(Form::NN, [inverse, lack, weights], [inputs, units, inputs]),
        // The inverse is symmetric.
        Layout::OutIn => Matmul::new(Form::TN, [lack, inverse, weights], [units, inputs, inputs]),
    }
    .push_onto(plan)
}

impl Pair {
    /// Number of groups.
    pub(super) fn groups(&self) -> usize {
        self.of.groups.len()
    }

    /// Prunes the weights of a group, by the rows of the pruned and the dense stream, and gives
    /// them. With the last group the rows of the dense stream have gone through its part.
    pub(super) fn solve(
        &self,
        at: usize,
        (stream, whole): (&Stream, &mut Stream),
        options: &PruneOptions,
        model: &Pretrained,
    ) -> Result<Vec<PrunedWeight>> {
        let Planned { groups, moments, forward, dense, parameters } = &self.of;
        let group = &groups[at];
        let (gpu, program) = self.on();
        for slot in [Some(moments.gram), Some(moments.cross), moments.rest].into_iter().flatten() {
            program.upload(gpu, slot, &vec![0.0_f32; slot.words as usize]);
        }
        let own = |first: usize| {
            let features = forward.ends.features_of(stream, first)?;
            program.upload(gpu, forward.ends.features, &features);
            Ok(())
        };
        match at + 1 == groups.len() {
            true => dense.advance_beside(self.on(), whole, &own)?,
            false => dense.ends.send_beside(self.on(), group.look, whole, &own)?,
        }
        let inputs = group.inputs as usize;
        let mut gram: Vec<f32> = program.download(gpu, moments.gram)?;
        gram.truncate(inputs * inputs);
        let name = parameters.name(model, group.weights[0].at);
        let inputs = group.inputs;
        let of = Multipliers::new(&name, &gram, inputs, DAMPING)?;
        program.upload(gpu, moments.multipliers, &of.inverse);
        program.upload(gpu, moments.scale, &of.scale);
        program.upload(gpu, moments.inverse, &Multipliers::solver(&name, &gram, inputs, DAMPING)?);
        for weight in &group.weights {
            program.upload(gpu, weight.mask, &ones(weight.of.len() as u32));
            let kept = match options.pattern.groups() {
                // From the first step on: fewer of a group are no way to fewer still.
                Some([n, _]) => vec![n; Admm::GROWING as usize],
                None => {
                    let inputs = weight.of.inputs;
                    let pruned = pruned_count(inputs.into(), weight.share) as u32;
                    Admm::kept(inputs, pruned, Admm::GROWING)
                }
            };
            program.upload(gpu, weight.counts, &kept);
        }
        let mut encoder = Encoder::new(gpu);
        program.encode(group.solve, &mut encoder);
        encoder.submit()?;
        let weight = |w: &Matched| PrunedWeight::at(self.on(), (parameters, w.at), w.state, model);
        group.weights.iter().map(weight).collect()
    }

    /// Gives the pruned block's parameter `at` other values, in the order of the file.
    pub(super) fn set(&self, at: usize, values: Vec<f32>) {
        self.of.parameters.set(self.on(), at, values);
    }

    /// Sends the rows of the pruned stream through its part.
    pub(super) fn advance(&self, stream: &mut Stream) -> Result<()> {
        self.of.forward.advance(self.on(), stream)
    }

    fn on(&self) -> (&Gpu, &Program) {
        (&self.gpu, &self.program)
    }
}
