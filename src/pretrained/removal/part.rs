//! A part of a block on the device with what says which of its units count, and what brings its
//! outputs back when some are gone.
use super::groups::{Group, Member};
use crate::gpu::{Encoder, Gpu, Memory, Phase, PlanBuilder, Program, Slot, Target};
use crate::graph::{Bindings, Graph, Mode, Spread, Tensor, lower};
use crate::kernels::{Form, Layout, Matmul, STEP_WORDS, Units};
use crate::pretrained::cut::CutGraph;
use crate::pretrained::model::{Pretrained, Read};
use crate::pretrained::prune::{Inputs, push_moved};
use crate::pretrained::stage::{Forward, Parameters, place};
use crate::pretrained::stream::Stream;
use crate::prune::layerwise::{Gram, Multipliers};
use crate::storage::rounded;
use crate::{Error, Result};

/// How much weights that make up for others are held to what they were, where inputs have a length
/// of one each: few windows say little of texts to come.
const DAMPING: f64 = 0.4;
/// What is done where the inputs of a weight are not known.
const WAY: &str = "leave out --data, and what goes is chosen by the weights";

/// A part before it is built.
pub(super) struct PartPlan {
    plan: PlanBuilder,
    of: Planned,
}

/// A part on the device.
pub(super) struct PlacedPart {
    gpu: Gpu,
    program: Program,
    of: Planned,
}

/// Where everything of a part is.
struct Planned {
    parameters: Parameters,
    /// Of each group what looks at its units, and the weights that read them.
    looks: Vec<(Phase, Vec<Tap>)>,
    /// Shared by all weights, one after the other.
    inverse: Slot,
    removed: Slot,
    forward: Forward,
}

/// A weight that reads units of a group, before it is planned.
struct Reading {
    /// Its place among the parameters.
    parameter: usize,
    of: Units,
    spread: Spread,
    inputs: Inputs,
}

/// A weight that is multiplied with the units of a group.
struct Tap {
    /// Its place among the parameters.
    parameter: usize,
    of: Units,
    spread: Spread,
    /// Second moments of its inputs.
    gram: Slot,
    /// What moves the weights that stay.
    moves: Phase,
}

impl PartPlan {
    /// Plans a part of which `groups` are looked at.
    pub(super) fn new(cut: CutGraph, groups: &[Group], target: Target) -> Result<Self> {
        let CutGraph { mut graph, sources, prefix, features, output, seen } = cut;
        let of_group = |group: &Group| reading(&mut graph, group, seen);
        let read = groups.iter().map(of_group).collect::<Result<Vec<_>>>()?;
        let mut plan = PlanBuilder::new(target);
        let step = plan.persistent("step", STEP_WORDS);
        let mut bindings = Bindings::new(&graph, step);
        let name = prefix.clone();
        let parameters = Parameters::place((&mut plan, &graph, &mut bindings), sources, prefix);
        let input = place((&mut plan, &graph, &mut bindings), "features", features);
        let words = |words: fn(&Units) -> u64| {
            let most = read.iter().flatten().map(|reading| words(&reading.of)).max().unwrap_or(1);
            // What is too large for a slot is refused where it is bound.
            u32::try_from(most).unwrap_or(u32::MAX)
        };
        let square = words(|of| u64::from(of.inputs).pow(2));
        let inverse = plan.persistent("inverse", square);
        let removed = plan.persistent("removed", words(Units::len));
        let mut grams: Vec<Slot> = Vec::new();
        let mut looks = Vec::new();
        for group in read {
            let look = plan.phase("look");
            let mut taps = Vec::new();
            for Reading { parameter, of, spread, inputs } in group {
                if grams.len() == taps.len() {
                    grams.push(plan.persistent(format!("moments.{}", taps.len()), square));
                }
                let gram = grams[taps.len()];
                let x = lower(&graph, &mut plan, &bindings, &[inputs.tensor], Mode::Evaluate)?[0];
                let (x, [rows, columns]) = inputs.rows(&mut plan, &graph, x)?;
                Gram { x, gram, rows, columns }.push(&mut plan)?;
                taps.push(Tap { parameter, of, spread, gram, moves: look });
            }
            for tap in &mut taps {
                tap.moves = plan.phase("move");
                let slots = [tap.gram, removed, inverse, parameters.slot(tap.parameter)];
                push_moves(&mut plan, slots, tap.of)?;
            }
            looks.push((look, taps));
        }
        let forward = Forward::push((&mut plan, &graph, &bindings), [input, step], output, &name)?;
        let of = Planned { parameters, looks, inverse, removed, forward };
        Ok(Self { plan, of })
    }

    pub(super) fn memory(&self) -> Memory {
        self.plan.memory()
    }

    /// The part on the device, with the weights that `read` has by their names in the file.
    pub(super) fn build(self, gpu: &Gpu, model: &Pretrained, read: Read<'_>) -> Result<PlacedPart> {
        let Self { plan, of } = self;
        let program = plan.build(gpu)?;
        of.parameters.upload((gpu, &program), model, read)?;
        Ok(PlacedPart { gpu: gpu.clone(), program, of })
    }
}

/// The weights that read units of `group`, of texts at the positions that `seen` has.
fn reading(graph: &mut Graph, group: &Group, seen: Option<Tensor>) -> Result<Vec<Reading>> {
    let of = |member: &Member| {
        let p = graph.parameters()[member.parameter].clone();
        let inputs = Inputs::of(graph, &p, WAY)?.counted(graph, seen)?;
        let (parameter, spread) = (member.parameter, member.spread);
        Ok(Reading { parameter, of: p.units(), spread, inputs })
    };
    group.members.iter().filter(|member| member.reads.is_some()).map(of).collect()
}

/// Appends what adds to a weight, whose `removed` values are apart from it, what makes up for them:
/// `inverse (gram removed)`.
fn push_moves(
    plan: &mut PlanBuilder,
    [gram, removed, inverse, weights]: [Slot; 4],
    of: Units,
) -> Result<()> {
    let Units { inputs, units, layout } = of;
    let lack = plan.scratch("lack", inputs.saturating_mul(units));
    let form = if layout == Layout::OutIn { Form::NT } else { Form::NN };
    Matmul::new(form, [gram, removed, lack], [inputs, units, inputs]).push(plan)?;
    push_moved(plan, [inverse, lack, weights], of)
}

impl Tap {
    /// Whether an element of the weight is of a unit that stays.
    fn stays(&self, stays: &[bool], element: usize) -> bool {
        stays[self.spread.unit(element)]
    }

    /// The input that an element of the weight is multiplied with.
    fn input(&self, element: usize) -> usize {
        match self.of.layout {
            Layout::InOut => element / self.of.units as usize,
            Layout::OutIn => element % self.of.inputs as usize,
        }
    }
}

impl PlacedPart {
    /// What each unit of a group adds to what its readers make, for the rows of `stream`: the sum
    /// of `(|w| |x|)^2` over their weights.
    pub(super) fn scores(&self, group: usize, units: u32, stream: &Stream) -> Result<Vec<f64>> {
        let (look, taps) = &self.of.looks[group];
        for tap in taps {
            self.program.upload(&self.gpu, tap.gram, &vec![0.0_f32; tap.gram.words as usize]);
        }
        self.of.forward.ends.send(self.on(), *look, stream)?;
        let mut scores = vec![0.0; units as usize];
        for tap in taps {
            let (gram, n) = (self.moments(tap)?, tap.of.inputs as usize);
            for (e, &w) in self.weights(tap)?.iter().enumerate() {
                let norm = gram[tap.input(e) * (n + 1)];
                scores[tap.spread.unit(e)] += f64::from(w).powi(2) * f64::from(norm);
            }
        }
        Ok(scores)
    }

    /// Takes the units of a group that do not stay out of the weights that read them, and moves the
    /// weights that stay to where they make up for that best. Returns these weights by the names of
    /// the file, in its order and rounded as it has them.
    ///
    /// # Errors
    /// [`Error::Argument`] names a weight whose inputs have moments that no rows have.
    pub(super) fn remove(
        &self,
        group: usize,
        stays: &[bool],
        model: &Pretrained,
    ) -> Result<Vec<(String, Vec<f32>)>> {
        let mut moved = Vec::new();
        for tap in &self.of.looks[group].1 {
            let (parameters, at) = (&self.of.parameters, tap.parameter);
            let name = parameters.name(model, at);
            let weights = self.weights(tap)?;
            let part = |stay: bool| {
                let of = |(e, &w): (usize, &f32)| if tap.stays(stays, e) == stay { w } else { 0.0 };
                weights.iter().enumerate().map(of).collect::<Vec<f32>>()
            };
            self.program.upload(&self.gpu, parameters.slot(at), &part(true));
            self.program.upload(&self.gpu, self.of.removed, &part(false));
            self.solve(tap, stays, &name)?;
            let mut encoder = Encoder::new(&self.gpu);
            self.program.encode(tap.moves, &mut encoder);
            encoder.submit()?;
            let values = parameters.values(self.on(), at)?;
            if values.iter().any(|x| !x.is_finite()) {
                return Err(Error::NonFinite { step: 0, tensor: name });
            }
            let values = rounded(&model.files().info(&name)?.dtype, &values);
            parameters.set(self.on(), at, values.clone());
            moved.push((name, values));
        }
        Ok(moved)
    }

    /// Writes what [`push_moves`] reads besides weights: all moments, and the inverse of those of
    /// the inputs that stay, with zeros for the others.
    fn solve(&self, tap: &Tap, stays: &[bool], name: &str) -> Result<()> {
        let n = tap.of.inputs as usize;
        let mut gram = self.moments(tap)?;
        for i in 0..n {
            (0..i).for_each(|j| gram[i * n + j] = gram[j * n + i]);
        }
        // Where the weights of the first output lie.
        let element = |input: usize| match tap.of.layout {
            Layout::InOut => input * tap.of.units as usize,
            Layout::OutIn => input,
        };
        let kept: Vec<usize> = (0..n).filter(|&i| tap.stays(stays, element(i))).collect();
        let row = |&i: &usize| kept.iter().map(|&j| gram[i * n + j]).collect::<Vec<f32>>();
        let of_kept: Vec<f32> = kept.iter().flat_map(row).collect();
        let solved = Multipliers::solver(name, &of_kept, kept.len() as u32, DAMPING)?;
        let mut inverse = vec![0.0; n * n];
        for (row, values) in kept.iter().zip(solved.chunks(kept.len().max(1))) {
            kept.iter().zip(values).for_each(|(column, &x)| inverse[row * n + column] = x);
        }
        self.program.upload(&self.gpu, tap.gram, &gram);
        self.program.upload(&self.gpu, self.of.inverse, &inverse);
        Ok(())
    }

    /// The second moments of a weight's inputs, on and over the diagonal.
    fn moments(&self, tap: &Tap) -> Result<Vec<f32>> {
        let mut gram: Vec<f32> = self.program.download(&self.gpu, tap.gram)?;
        gram.truncate((tap.of.inputs as usize).pow(2));
        Ok(gram)
    }

    fn weights(&self, tap: &Tap) -> Result<Vec<f32>> {
        self.program.download(&self.gpu, self.of.parameters.slot(tap.parameter))
    }

    /// Sends the rows of `stream` through the part: what comes out takes their place.
    pub(super) fn advance(&self, stream: &mut Stream) -> Result<()> {
        self.of.forward.advance(self.on(), stream)
    }

    fn on(&self) -> (&Gpu, &Program) {
        (&self.gpu, &self.program)
    }
}
