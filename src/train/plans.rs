//! The phases of a run as launches: train, mask update, evaluate. Decided without a device.
use super::variables::Variable;
use crate::gpu::{Phase, PlanBuilder, Slot, Target};
use crate::graph::{Graph, Homes, Mode, Parameter, Tensor, gradients, lower};
use crate::kernels::{STEP_WORDS, WeightAverage};
use crate::nn::Network;
use crate::optim::{Training, Update};
use crate::prune::{
    LayerInput, MaskUpdate, MaskUpdateOp, PrunedTensor, PruningSpec, Score, Targets,
};
use crate::{Error, Result};

/// The plan of a run on a device that `target` says, without that device: its text says what is launched, [`PlanBuilder::memory`] how
/// many bytes it will take, with a logdir.
///
/// # Errors
/// [`Error::Argument`] when there is nothing to prune; [`Error::Shape`] and [`Error::Plan`] name
/// what does not fit.
pub fn plan(
    network: &Network,
    training: impl Into<Training>,
    mask_update_op: &MaskUpdateOp,
    target: Target,
) -> Result<PlanBuilder> {
    let mut plans = Plans::new(network, &training.into(), mask_update_op, false, target)?;
    plans.count_staging(true);
    Ok(plans.plan)
}

/// Slots that the host writes before each step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inputs {
    pub(super) features: Slot,
    pub(super) labels: Slot,
    pub(super) step: Slot,
}

/// What trains on one loss.
#[derive(Debug, Clone)]
pub(super) struct Objective {
    /// Empty for the network's own loss.
    pub(super) name: String,
    /// Gradient and update in one.
    pub(super) train: Phase,
    pub(super) accumulate: Option<Accumulate>,
    /// Loss and number of right rows of the last batch.
    pub(super) outputs: [Slot; 2],
}

/// An update in two: gradients into running means, and the update from there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accumulate {
    pub(super) gradient: Phase,
    pub(super) apply: Phase,
}

/// The phases of a run, before they are built.
pub(super) struct Plans {
    pub(super) plan: PlanBuilder,
    pub(super) variables: Vec<Variable>,
    /// The network's own loss first, then [`Network::losses`].
    pub(super) objectives: Vec<Objective>,
    pub(super) mask_update: Option<(Phase, MaskUpdate)>,
    /// A train step that leaves the weights, where the mask updates rank by what it leaves.
    pub(super) calibrate: Option<Phase>,
    /// By the averages of the weights where there are any.
    pub(super) evaluate: Phase,
    /// By the weights themselves, where `evaluate` is not.
    pub(super) evaluate_raw: Option<Phase>,
    pub(super) inputs: Inputs,
}

impl Plans {
    /// With `accumulates`, each objective can also be trained on over several batches; the means
    /// take as many bytes as the parameters.
    pub(super) fn new(
        network: &Network,
        training: &Training,
        mask_update_op: &MaskUpdateOp,
        accumulates: bool,
        target: Target,
    ) -> Result<Self> {
        let spec = mask_update_op.spec();
        let batch = network.batch();
        let targets = spec.map(|spec| Targets::of(spec, &network.graph, batch)).transpose()?;
        let mut plan = PlanBuilder::new(target);
        let step = plan.persistent("step", STEP_WORDS);
        let mut graph = network.graph.clone();
        let multipliers = multipliers(training, &graph)?;
        let own = (String::new(), network.loss);
        let losses: Vec<_> = [own].into_iter().chain(network.losses.iter().cloned()).collect();
        for (i, (name, _)) in losses.iter().enumerate().skip(1) {
            if losses[..i].iter().any(|(other, _)| other == name) {
                let message = format!("the loss `{name}` has no name of its own");
                return Err(Error::argument("losses", message));
            }
        }
        let gradients: Vec<_> =
            losses.iter().map(|(_, loss)| gradients(&mut graph, *loss)).collect::<Result<_>>()?;
        let mut homes = Homes::new(&graph, step);
        let mut place = |plan: &mut PlanBuilder, name: &str, tensor| {
            let words = graph.shape(tensor).elements().unwrap_or(0);
            let slot = plan.persistent(name, words);
            homes.set(tensor, slot);
            slot
        };
        let features = place(&mut plan, "features", network.features);
        let labels = place(&mut plan, "labels", network.labels);
        let outputs: Vec<Slot> = losses
            .iter()
            .map(|(name, loss)| place(&mut plan, &suffixed("loss", name), *loss))
            .collect();
        let correct = place(&mut plan, "correct", network.correct);
        let mut variables: Vec<Variable> = graph
            .parameters()
            .iter()
            .map(|p| {
                let prunes = targets.as_ref().is_some_and(|t| t.prunes(&p.name));
                Variable::declare(p, training, spec.filter(|_| prunes), &mut plan, &mut homes)
            })
            .collect::<Result<_>>()?;
        if spec.is_some_and(PruningSpec::needs_gradients) {
            for (i, v) in variables.iter_mut().enumerate().filter(|(_, v)| v.mask.is_some()) {
                let slot = plan.persistent(format!("{}/last_gradient", v.name), v.len);
                v.gradient = Some(slot);
                // Whichever loss a step trains on, it leaves the gradient there.
                gradients.iter().filter_map(|g| g[i]).for_each(|g| homes.set(g, slot));
            }
        }
        let means: Option<Vec<Slot>> = accumulates.then(|| {
            let mean = |v: &Variable| plan.persistent(format!("{}/gradient", v.name), v.len);
            variables.iter().map(mean).collect()
        });

        let score = spec.map(|spec| spec.score.clone()).unwrap_or_default();
        let needs_inputs = score.scoring().needs_inputs();
        let needs_batches = score.scoring().needs_batches();
        // What a weight is multiplied with, where the score looks at that. Of the forward pass: what is
        // computed again would be counted twice.
        let inputs_of = |p: &Parameter| {
            if needs_inputs { network.graph.inputs_of(p.tensor) } else { Vec::new() }
        };
        for p in graph.parameters() {
            let prunes = targets.as_ref().is_some_and(|t| t.prunes(&p.name));
            if prunes && needs_inputs && inputs_of(p).is_empty() {
                let message = "ranks by what a matrix is multiplied with, and this is in no such product; exclude it with do_not_prune";
                return Err(Error::argument(&p.name, format!("score={score} {message}")));
            }
        }
        let mut planning = Planning {
            graph: &graph,
            homes: &homes,
            plan,
            training,
            multipliers,
            variables: &variables,
            step,
            score,
            batch,
            pruned: variables.iter().map(Variable::pruned).collect(),
            inputs: graph.parameters().iter().map(inputs_of).collect(),
        };
        let mut objectives = Vec::new();
        for (((name, loss), gradients), slot) in losses.into_iter().zip(&gradients).zip(outputs) {
            let wanted = [loss, network.correct];
            let train = planning.train(&suffixed("train", &name), wanted, gradients)?;
            let accumulate = means.as_deref().map(|means| {
                let phase = suffixed("accumulate", &name);
                let gradient = planning.accumulate(&phase, wanted, gradients, means)?;
                let apply = planning.apply(&suffixed("apply", &name), gradients, means)?;
                Ok::<_, Error>(Accumulate { gradient, apply })
            });
            let accumulate = accumulate.transpose()?;
            objectives.push(Objective { name, train, accumulate, outputs: [slot, correct] });
        }
        let calibrates = spec.is_some_and(|s| s.needs_gradients() || needs_batches);
        let outputs = [network.loss, network.correct];
        let calibrate =
            calibrates.then(|| planning.calibrate(outputs, &gradients[0])).transpose()?;
        let mut plan = planning.plan;

        let pruned: Vec<PrunedTensor> = variables.iter().filter_map(Variable::pruned).collect();
        let mask_update = match (spec, targets) {
            (Some(spec), Some(targets)) => {
                let phase = plan.phase("mask_update");
                Some((phase, MaskUpdate::push(&mut plan, spec, targets, &pruned)?))
            }
            _ => None,
        };

        // Evaluation goes through its own states: training finds its own where it left them.
        for p in graph.parameters().iter().filter(|p| p.carried) {
            let words = p.shape.elements().unwrap_or(0);
            homes.set(p.tensor, plan.persistent(format!("{}/evaluation", p.name), words));
        }
        let mut averages = homes.clone();
        for (p, v) in graph.parameters().iter().zip(&variables) {
            v.average().into_iter().for_each(|average| averages.set(p.tensor, average));
        }
        let mut evaluation = |name: &str, homes| {
            let phase = plan.phase(name);
            lower(&graph, &mut plan, homes, &outputs, Mode::Evaluate).map(|_| phase)
        };
        let evaluate = evaluation("evaluate", &averages)?;
        let evaluate_raw = training.average.map(|_| evaluation("evaluate_raw", &homes));
        Ok(Self {
            plan,
            objectives,
            mask_update,
            calibrate,
            evaluate,
            evaluate_raw: evaluate_raw.transpose()?,
            variables,
            inputs: Inputs { features, labels, step },
        })
    }
}

/// Of each parameter the factor on its gradient; statistics have none.
fn multipliers(training: &Training, graph: &Graph) -> Result<Vec<f32>> {
    let trainable = || graph.parameters().iter().filter(|p| p.trainable);
    let names: Vec<&str> = trainable().map(|p| p.name.as_str()).collect();
    let mut factors = training.multipliers(&names)?.into_iter();
    let factor = |p: &Parameter| if p.trainable { factors.next() } else { None };
    Ok(graph.parameters().iter().map(factor).map(|factor| factor.unwrap_or(1.0)).collect())
}

/// `phase`, or `phase/name` for an objective with a name.
fn suffixed(phase: &str, name: &str) -> String {
    if name.is_empty() { phase.to_owned() } else { format!("{phase}/{name}") }
}

struct Planning<'a> {
    graph: &'a Graph,
    homes: &'a Homes,
    plan: PlanBuilder,
    training: &'a Training,
    /// Of the variables, the factors on their gradients.
    multipliers: Vec<f32>,
    variables: &'a [Variable],
    step: Slot,
    score: Score,
    /// Rows of a batch.
    batch: u32,
    /// Of the variables, as the mask update sees them.
    pruned: Vec<Option<PrunedTensor>>,
    /// Of the variables, the tensors that they are multiplied with.
    inputs: Vec<Vec<Tensor>>,
}

impl Planning<'_> {
    fn train(
        &mut self,
        phase: &str,
        outputs: [Tensor; 2],
        gradients: &[Option<Tensor>],
    ) -> Result<Phase> {
        let phase = self.plan.phase(phase);
        let slots = self.gradients(self.homes, outputs, gradients, Mode::Train)?;
        self.update(&slots)?;
        Ok(phase)
    }

    fn accumulate(
        &mut self,
        phase: &str,
        outputs: [Tensor; 2],
        gradients: &[Option<Tensor>],
        means: &[Slot],
    ) -> Result<Phase> {
        let phase = self.plan.phase(phase);
        let mut homes = self.homes.clone();
        for (gradient, &mean) in gradients.iter().zip(means) {
            gradient.iter().for_each(|gradient| homes.set_mean(*gradient, mean));
        }
        self.gradients(&homes, outputs, gradients, Mode::Train)?;
        Ok(phase)
    }

    fn apply(
        &mut self,
        phase: &str,
        gradients: &[Option<Tensor>],
        means: &[Slot],
    ) -> Result<Phase> {
        let phase = self.plan.phase(phase);
        let slots = gradients.iter().zip(means).map(|(g, &mean)| g.map(|_| mean));
        self.update(&slots.collect::<Vec<_>>())?;
        Ok(phase)
    }

    fn calibrate(&mut self, outputs: [Tensor; 2], gradients: &[Option<Tensor>]) -> Result<Phase> {
        let phase = self.plan.phase("calibrate");
        let slots = self.gradients(self.homes, outputs, gradients, Mode::Look)?;
        self.score(&slots)?;
        Ok(phase)
    }

    /// Lowers forward and backward, and what scores take from the forward pass; where each
    /// parameter's gradient is, if it has one.
    fn gradients(
        &mut self,
        homes: &Homes,
        outputs: [Tensor; 2],
        gradients: &[Option<Tensor>],
        mode: Mode,
    ) -> Result<Vec<Option<Slot>>> {
        let inputs = self.inputs.iter().flatten();
        let gradient_tensors = gradients.iter().flatten();
        let wanted: Vec<_> =
            outputs.iter().chain(gradient_tensors).chain(inputs).copied().collect();
        let mut slots =
            lower(self.graph, &mut self.plan, homes, &wanted, mode)?.into_iter().skip(2);
        let gradients = gradients.iter().map(|g| g.and_then(|_| slots.next())).collect();
        for (pruned, inputs) in self.pruned.iter().zip(&self.inputs) {
            for (&input, x) in inputs.iter().zip(&mut slots) {
                let Some(t) = pruned else { continue };
                let shape = self.graph.shape(input);
                let rows = x.words / shape.dims().last().copied().unwrap_or(1).max(1);
                let rows = [rows, rows / self.batch.max(1)];
                let input = LayerInput::new([x, self.step], rows);
                self.score.scoring().push_forward(&mut self.plan, t, &input)?;
            }
        }
        Ok(gradients)
    }

    /// Pushes what scores take from the gradients, before the weights move.
    fn score(&mut self, gradients: &[Option<Slot>]) -> Result<()> {
        for (pruned, gradient) in self.pruned.iter().zip(gradients) {
            let (Some(t), &Some(gradient)) = (pruned, gradient) else { continue };
            self.score.scoring().push_gradient(&mut self.plan, t, gradient)?;
        }
        Ok(())
    }

    /// Pushes the optimizer's kernel for each parameter that has a gradient, its score's before and what clips it between
    /// them; then every parameter's average, so that all are of as many steps.
    fn update(&mut self, gradients: &[Option<Slot>]) -> Result<()> {
        self.score(gradients)?;
        let moved = self.variables.iter().zip(gradients).zip(&self.multipliers);
        let update = |((variable, gradient), &multiplier): ((&Variable, &Option<Slot>), &f32)| {
            Some(Update {
                name: variable.name.clone(),
                weights: variable.weights,
                gradient: (*gradient)?,
                multiplier,
                mask: variable.mask.map(|m| (m.bits, m.pruned)),
                slots: variable.slots.iter().map(|&(_, slot)| slot).collect(),
                step: self.step,
                len: variable.len,
                decays: variable.shape.rank() >= 2,
                decay: variable.decay,
            })
        };
        self.training.push(&mut self.plan, moved.filter_map(update).collect())?;
        for v in self.variables {
            let Some(average) = v.average() else { continue };
            let (weights, step, len) = (v.weights, self.step, v.len);
            self.plan.push(WeightAverage { weights, step, average, len })?;
        }
        Ok(())
    }
}
