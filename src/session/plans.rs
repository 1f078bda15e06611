//! The phases of a run as launches: train, mask update, evaluate. Decided without a device.
use super::phases::Planning;
use super::variable::Variable;
use crate::data::Task;
use crate::gpu::{Phase, PlanBuilder, Slot, Target};
use crate::graph::{Bindings, Graph, Mode, Parameter, Tensor, gradients, lower};
use crate::kernels::{PackedMatrix, Pruned, STEP_WORDS};
use crate::nn::{Metric, Network};
use crate::optim::{Optimizer, Training};
use crate::prune::{MaskUpdate, MaskUpdateOp, PrunedTensor, PruningSpec, Targets};
use crate::{Error, Result};

/// The plan of a run on a device that `target` says, without that device: its text says what is
/// launched, [`PlanBuilder::memory`] how many bytes it will take, with a logdir.
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

/// As [`plan`], of a run that accumulates gradients
/// ([`TrainOp::accumulate_gradients`](crate::TrainOp::accumulate_gradients)).
///
/// # Errors
/// As [`plan`].
pub fn plan_accumulating(
    network: &Network,
    training: impl Into<Training>,
    mask_update_op: &MaskUpdateOp,
    target: Target,
) -> Result<PlanBuilder> {
    let mut plans = Plans::new(network, &training.into(), mask_update_op, true, target)?;
    plans.count_staging(true);
    Ok(plans.plan)
}

/// Slots that the host writes before each step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inputs {
    pub(super) features: Slot,
    /// Labels, or targets as the bits of f32.
    pub(super) answers: Slot,
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
    /// Loss of the last batch and, where the network has a metric, the first one's sum.
    pub(super) outputs: Vec<Slot>,
}

/// An update in two: gradients into running means, and the update from there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accumulate {
    pub(super) gradient: Phase,
    pub(super) apply: Phase,
    /// Whether scores read the means.
    pub(super) scored: bool,
}

/// The phases of a run, before they are built.
pub(crate) struct Plans {
    pub(crate) plan: PlanBuilder,
    pub(super) variables: Vec<Variable>,
    /// The network's own loss first, then [`Network::losses`]; none where weights are packed.
    pub(super) objectives: Vec<Objective>,
    pub(super) mask_update: Option<(Phase, MaskUpdate)>,
    /// What follows the last mask update of all, where weights are drawn to their projection.
    pub(super) settle: Option<Phase>,
    /// A train step that leaves the weights, where the mask updates rank by what it leaves.
    pub(super) calibrate: Option<Phase>,
    /// By the averages of the weights where there are any.
    pub(super) evaluate: Phase,
    /// By the weights themselves, where `evaluate` is not.
    pub(super) evaluate_raw: Option<Phase>,
    /// Loss and each metric, as an evaluation leaves them.
    pub(super) evaluated: Vec<Slot>,
    /// The forward pass to the network's output and further outputs, whatever the answers are.
    pub(super) predict: Phase,
    /// Where it leaves them, to the end of the phase.
    pub(super) predicted: Vec<Slot>,
    pub(super) inputs: Inputs,
}

impl Plans {
    /// With `accumulates`, each objective can also be trained on over several batches; the means
    /// take as many bytes as the parameters.
    pub(crate) fn new(
        network: &Network,
        training: &Training,
        mask_update_op: &MaskUpdateOp,
        accumulates: bool,
        target: Target,
    ) -> Result<Self> {
        Self::with(network, training, mask_update_op, accumulates, target, None)
    }

    /// The phases that only read weights, some of which are packed. There is nothing to train on.
    pub(crate) fn forward(
        network: &Network,
        packed: &[(String, PackedMatrix)],
        target: Target,
    ) -> Result<Self> {
        let training = Training::from(Optimizer::sgd(1.0));
        Self::with(network, &training, &MaskUpdateOp::none(), false, target, Some(packed))
    }

    fn with(
        network: &Network,
        training: &Training,
        mask_update_op: &MaskUpdateOp,
        accumulates: bool,
        target: Target,
        packed: Option<&[(String, PackedMatrix)]>,
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
        let trained = if packed.is_none() { &losses[..] } else { &[] };
        let gradients: Vec<_> =
            trained.iter().map(|(_, loss)| gradients(&mut graph, *loss)).collect::<Result<_>>()?;
        let mut bindings = Bindings::new(&graph, step);
        let mut place = |plan: &mut PlanBuilder, name: &str, tensor| {
            let words = graph.shape(tensor).elements().unwrap_or(0);
            let slot = plan.persistent(name, words);
            bindings.set(tensor, slot);
            slot
        };
        let features = place(&mut plan, "features", network.features);
        let answers = place(&mut plan, answers_name(network.task), network.answers);
        let outputs: Vec<Slot> = losses
            .iter()
            .map(|(name, loss)| place(&mut plan, &suffixed("loss", name), *loss))
            .collect();
        let metrics: Vec<(Tensor, Slot)> = network
            .metrics
            .iter()
            .map(|&(metric, tensor)| match losses.iter().position(|&(_, loss)| loss == tensor) {
                Some(at) => (tensor, outputs[at]),
                None => (tensor, place(&mut plan, slot_name(metric), tensor)),
            })
            .collect();
        let mut variables: Vec<Variable> = graph
            .parameters()
            .iter()
            .map(|p| {
                let prunes = targets.as_ref().is_some_and(|t| t.prunes(&p.name));
                let packed = packed.into_iter().flatten().find(|(name, _)| *name == p.name);
                let how = (spec.filter(|_| prunes), packed.map(|(_, matrix)| matrix));
                Variable::declare(p, training, how, &mut plan, &mut bindings)
            })
            .collect::<Result<_>>()?;
        for p in graph.parameters() {
            let skips = targets.as_ref().map(|targets| targets.skips(p)).unwrap_or_default();
            bindings.skip(p.tensor, skips);
        }
        // Scores of batches, penalties, means over several batches and other ranks read them.
        let read = |spec: &PruningSpec| {
            spec.pruned == Pruned::Pull
                || spec.needs_gradients()
                || spec.score.scoring().needs_batches()
        };
        if !accumulates && !spec.is_some_and(read) {
            for (i, p) in graph.parameters().iter().enumerate() {
                let own = gradients.iter().filter_map(|g| g[i]);
                own.for_each(|gradient| bindings.set_gradient(gradient, p.tensor));
            }
        }
        if spec.is_some_and(PruningSpec::needs_gradients) {
            for (i, v) in variables.iter_mut().enumerate().filter(|(_, v)| v.mask.is_some()) {
                let slot =
                    plan.persistent(format!("{}/last_gradient", v.weight.name), v.weight.len);
                v.gradient = Some(slot);
                // Whichever loss a step trains on, it leaves the gradient there.
                gradients.iter().filter_map(|g| g[i]).for_each(|g| bindings.set(g, slot));
            }
        }
        let means: Option<Vec<Option<Slot>>> = accumulates.then(|| {
            let mean = |v: &mut Variable| {
                if !v.frozen {
                    let name = format!("{}/gradient", v.weight.name);
                    v.mean = Some(plan.persistent(name, v.weight.len));
                }
                v.mean
            };
            variables.iter_mut().map(mean).collect()
        });

        let score = spec.map(|spec| spec.score.clone()).unwrap_or_default();
        let needs_inputs = score.scoring().needs_inputs();
        let needs_batches = score.scoring().needs_batches();
        // What a weight is multiplied with, where the score looks at that. Of the forward pass:
        // what is computed again would be counted twice.
        let inputs_of = |p: &Parameter| {
            if needs_inputs { network.graph.inputs_of(p.tensor) } else { Vec::new() }
        };
        for p in graph.parameters() {
            let prunes = targets.as_ref().is_some_and(|t| t.prunes(&p.name));
            if prunes && needs_inputs && inputs_of(p).is_empty() {
                let message = "ranks by what a matrix is multiplied with, and this is in no \
                               such product; leave it out with do_not_prune";
                return Err(Error::argument(&p.name, format!("score={score} {message}")));
            }
        }
        let mut planning = Planning {
            graph: &graph,
            bindings: &bindings,
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
        let loss = outputs[0];
        let mut objectives = Vec::new();
        for (((name, loss), gradients), slot) in losses.into_iter().zip(&gradients).zip(outputs) {
            let first = metrics.first().filter(|&&(tensor, _)| tensor != loss);
            let wanted = [Some(loss), first.map(|&(tensor, _)| tensor)];
            let wanted: Vec<Tensor> = wanted.into_iter().flatten().collect();
            let train = planning.train(&suffixed("train", &name), &wanted, gradients)?;
            let accumulate = means.as_deref().map(|means| {
                let phase = suffixed("accumulate", &name);
                let gradient = planning.accumulate(&phase, &wanted, gradients, means)?;
                let name = suffixed("apply", &name);
                let (apply, scored) = planning.apply(&name, gradients, means)?;
                Ok::<_, Error>(Accumulate { gradient, apply, scored })
            });
            let accumulate = accumulate.transpose()?;
            let metric = metrics.first().map(|&(_, slot)| slot);
            let outputs = [Some(slot), metric].into_iter().flatten().collect();
            objectives.push(Objective { name, train, accumulate, outputs });
        }
        let calibrates = spec.is_some_and(|s| s.needs_gradients() || needs_batches);
        let loss_and = |metrics: &[(Tensor, Slot)]| {
            let others = metrics.iter().map(|&(tensor, _)| tensor).filter(|&t| t != network.loss);
            [network.loss].into_iter().chain(others).collect::<Vec<_>>()
        };
        let first = loss_and(&metrics[..metrics.len().min(1)]);
        let calibrate =
            calibrates.then(|| planning.calibrate(&first, &gradients[0])).transpose()?;
        let mut plan = planning.plan;

        let pruned: Vec<PrunedTensor> = variables.iter().filter_map(Variable::pruned).collect();
        let mask_update = match (spec, targets) {
            (Some(spec), Some(targets)) => {
                let phase = plan.phase("mask_update");
                Some((phase, MaskUpdate::push(&mut plan, spec, targets, &pruned)?))
            }
            _ => None,
        };
        let pulls = spec.is_some_and(|spec| spec.pruned == Pruned::Pull);
        let settle = pulls.then(|| plan.phase("settle"));
        if settle.is_some() {
            MaskUpdate::push_settle(&mut plan, &pruned)?;
        }
        // Training reads all weights that are drawn, evaluation those that are kept.
        for (p, v) in graph.parameters().iter().zip(&variables).filter(|(_, v)| v.mask.is_some()) {
            bindings.set(p.tensor, v.weight.stored);
        }

        // Evaluation goes through its own states: training finds its own where it left them.
        for p in graph.parameters().iter().filter(|p| p.carried) {
            let words = p.shape.elements().unwrap_or(0);
            bindings.set(p.tensor, plan.persistent(format!("{}/evaluation", p.name), words));
        }
        let mut averages = bindings.clone();
        for (p, v) in graph.parameters().iter().zip(&variables) {
            let average = v.average().map(|average| v.weight.stored.with_values(average));
            average.into_iter().for_each(|average| averages.set(p.tensor, average));
        }
        let measured = loss_and(&metrics);
        let mut evaluation = |name: &str, bindings| {
            let phase = plan.phase(name);
            lower(&graph, &mut plan, bindings, &measured, Mode::Evaluate).map(|_| phase)
        };
        let evaluate = evaluation("evaluate", &averages)?;
        let evaluate_raw = training.average.map(|_| evaluation("evaluate_raw", &bindings));
        let evaluate_raw = evaluate_raw.transpose()?;
        let evaluated = [loss].into_iter().chain(metrics.iter().map(|&(_, slot)| slot)).collect();
        let predict = plan.phase("predict");
        let answered: Vec<Tensor> = [network.output]
            .into_iter()
            .chain(network.outputs.iter().map(|&(_, tensor)| tensor))
            .collect();
        let predicted = lower(&graph, &mut plan, &averages, &answered, Mode::Evaluate)?;
        plan.keep(&predicted);
        Ok(Self {
            plan,
            objectives,
            mask_update,
            settle,
            calibrate,
            evaluate,
            evaluate_raw,
            evaluated,
            predict,
            predicted,
            variables,
            inputs: Inputs { features, answers, step },
        })
    }
}

/// Of each parameter the factor on its gradient; statistics have none.
fn multipliers(training: &Training, graph: &Graph) -> Result<Vec<f32>> {
    let trainable = || graph.parameters().iter().filter(|p| p.trainable);
    let names: Vec<&str> = trainable().map(|p| p.name.as_str()).collect();
    let mut factors = training.factors(&names)?.into_iter();
    let factor = |p: &Parameter| if p.trainable { factors.next() } else { None };
    Ok(graph.parameters().iter().map(factor).map(|factor| factor.unwrap_or(1.0)).collect())
}

/// What the host writes beside the features.
fn answers_name(task: Task) -> &'static str {
    match task.targets() {
        0 => "labels",
        _ => "targets",
    }
}

fn slot_name(metric: Metric) -> &'static str {
    match metric {
        Metric::Accuracy => "correct",
        metric => metric.name(),
    }
}

/// `phase`, or `phase/name` for an objective with a name.
fn suffixed(phase: &str, name: &str) -> String {
    if name.is_empty() { phase.to_owned() } else { format!("{phase}/{name}") }
}
