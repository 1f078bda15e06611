//! The three phases of a run as launches: train, mask update, evaluate. Decided without a device.
use super::variables::Variable;
use crate::gpu::{Phase, PlanBuilder, Slot};
use crate::graph::{Homes, gradients, lower};
use crate::kernels::STEP_WORDS;
use crate::nn::Network;
use crate::optim::{Optimizer, Update};
use crate::prune::{MaskUpdateOp, PrunedTensor, push_mask_update};
use crate::{Error, Result};

/// The plan of a run, without a device: its text says what is launched, [`PlanBuilder::memory`] how
/// many bytes it will take.
///
/// # Errors
/// [`Error::Argument`] when there is nothing to prune; [`Error::Shape`] and [`Error::Plan`] name
/// what does not fit.
pub fn plan(
    network: &Network,
    optimizer: &Optimizer,
    mask_update_op: &MaskUpdateOp,
) -> Result<PlanBuilder> {
    Ok(Plans::new(network, optimizer, mask_update_op)?.plan)
}

/// Slots that the host writes before each step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inputs {
    pub(super) features: Slot,
    pub(super) labels: Slot,
    pub(super) step: Slot,
}

/// The three phases of a run, before they are built.
pub(super) struct Plans {
    pub(super) plan: PlanBuilder,
    pub(super) variables: Vec<Variable>,
    pub(super) train: Phase,
    pub(super) mask_update: Option<Phase>,
    pub(super) evaluate: Phase,
    pub(super) inputs: Inputs,
    pub(super) outputs: [Slot; 2],
    pub(super) counts: Option<Slot>,
}

impl Plans {
    pub(super) fn new(
        network: &Network,
        optimizer: &Optimizer,
        mask_update_op: &MaskUpdateOp,
    ) -> Result<Self> {
        let mut graph = network.graph.clone();
        let gradients = gradients(&mut graph, network.loss)?;
        let mut plan = PlanBuilder::default();
        let step = plan.persistent("step", STEP_WORDS);
        let mut homes = Homes::new(&graph, step);
        let mut place = |plan: &mut PlanBuilder, name: &str, tensor| {
            let words = graph.shape(tensor).elements().unwrap_or(0);
            let slot = plan.persistent(name, words);
            homes.set(tensor, slot);
            slot
        };
        let features = place(&mut plan, "features", network.features);
        let labels = place(&mut plan, "labels", network.labels);
        let outputs = [("loss", network.loss), ("correct", network.correct)];
        let outputs = outputs.map(|(name, tensor)| place(&mut plan, name, tensor));
        let variables: Vec<Variable> = graph
            .parameters()
            .iter()
            .map(|p| Variable::declare(p, optimizer, mask_update_op, &mut plan, &mut homes))
            .collect::<Result<_>>()?;

        let train = plan.phase("train");
        let wanted: Vec<_> = [network.loss, network.correct]
            .into_iter()
            .chain(gradients.iter().flatten().copied())
            .collect();
        let mut slots = lower(&graph, &mut plan, &homes, &wanted)?.into_iter().skip(2);
        for (variable, gradient) in variables.iter().zip(&gradients) {
            let Some(gradient) = gradient.and_then(|_| slots.next()) else { continue };
            let update = Update {
                weights: variable.weights,
                gradient,
                mask: variable.mask.map(|m| (m.bits, m.pruned)),
                slots: variable.slots.iter().map(|&(_, slot)| slot).collect(),
                step,
                len: variable.len,
                decays: variable.shape.rank() >= 2,
            };
            optimizer.push(&mut plan, &update)?;
        }

        let pruned: Vec<PrunedTensor> = variables.iter().filter_map(Variable::pruned).collect();
        let (mut mask_update, mut counts) = (None, None);
        if let Some(spec) = mask_update_op.spec() {
            if pruned.is_empty() {
                let message = "every weight with a mask is excluded: nothing to prune";
                return Err(Error::argument("do_not_prune", message));
            }
            let slot = plan.persistent("prune.counts", pruned.len() as u32);
            mask_update = Some(plan.phase("mask_update"));
            push_mask_update(&mut plan, slot, &pruned, spec.pruned)?;
            counts = Some(slot);
        }

        let evaluate = plan.phase("evaluate");
        lower(&graph, &mut plan, &homes, &[network.loss, network.correct])?;
        let inputs = Inputs { features, labels, step };
        Ok(Self { plan, variables, train, mask_update, evaluate, inputs, outputs, counts })
    }
}
