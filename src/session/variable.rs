//! The tensors of a run that outlive a step: where they are, and what they are called in files.
use crate::Error;
use crate::Result;
use crate::gpu::{PlanBuilder, Slot};
use crate::graph::{ANCHOR, Bindings, MASK, Parameter, RAW, Stored, Weight};
use crate::kernels::{MASK_STATE_WORDS, PackedMatrix, Pruned, mask_words};
use crate::optim::{AVERAGE, Training};
use crate::prune::{PrunedTensor, PruningSpec, Score};

/// A trainable tensor with everything that belongs to it.
#[derive(Debug, Clone)]
pub(super) struct Variable {
    /// The optimizer's tensors are beside it, and the average of the weights behind them.
    pub(super) weight: Weight,
    pub(super) mask: Option<Mask>,
    /// Whether a pruning may give it a mask.
    pub(super) maskable: bool,
    /// Whether it is a state that goes on from batch to batch: in checkpoints, and no part of the
    /// model.
    pub(super) carried: bool,
    /// Whether it stays what it was given: in no checkpoint.
    pub(super) frozen: bool,
    /// The last gradient, where mask updates read it.
    pub(super) gradient: Option<Slot>,
    /// The mean of its gradient over several batches, where the session has room for it.
    pub(super) mean: Option<Slot>,
    /// What ranks it, where it has a mask.
    pub(super) score: Score,
    /// The score's tensors, by name.
    pub(super) score_slots: Vec<(&'static str, Slot)>,
}

/// What belongs to the mask of a pruned variable.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mask {
    /// [`crate::kernels::MaskState`] of the last selection.
    pub(super) state: Slot,
    /// Squared length that the last update left, and that it found.
    pub(super) energy: Slot,
    /// Whether its threshold is one of |w|.
    pub(super) of_magnitudes: bool,
}

impl Variable {
    /// Declares the slots of `parameter` in `plan` and gives it its home; with a mask when
    /// `spec` prunes it, or as the `packed` matrix, which nothing moves.
    pub(super) fn declare(
        parameter: &Parameter,
        training: &Training,
        (spec, packed): (Option<&PruningSpec>, Option<&PackedMatrix>),
        plan: &mut PlanBuilder,
        bindings: &mut Bindings,
    ) -> Result<Self> {
        let (name, shape) = (parameter.name.clone(), parameter.shape.clone());
        let len = shape.elements().filter(|&n| n > 0).ok_or_else(|| {
            Error::shape(&name, format!("{shape} must have 1 to {} elements", u32::MAX))
        })?;
        let whole = match packed {
            Some(matrix) => matrix.declare(plan, &name).into(),
            None => Stored::from(plan.persistent(&name, len)),
        };
        let slots = if parameter.trainable { training.slots() } else { Vec::new() }.into_iter();
        let pulls = spec.is_some_and(|spec| spec.pruned == Pruned::Pull);
        let slots = slots.chain(pulls.then_some(ANCHOR));
        let slots = slots.map(|s| (s, plan.persistent(format!("{name}/{s}"), len))).collect();
        let stored = match spec.zip(whole.values()) {
            Some((spec, values)) => {
                let mask = plan.persistent(format!("{name}/{MASK}"), mask_words(len));
                Stored::pruned(values, mask, spec.pruned)
            }
            None => whole,
        };
        bindings.set(parameter.tensor, stored.trained());
        let mask = spec.map(|spec| Mask {
            state: plan.persistent(format!("{name}/threshold"), MASK_STATE_WORDS),
            energy: plan.persistent(format!("{name}/energy"), 2),
            of_magnitudes: spec.score.scoring().is_magnitude() && spec.ranks_weights() && !pulls,
        });
        let score = spec.map(|spec| spec.score.clone()).unwrap_or_default();
        let units = parameter.units().units;
        let mut score_slots: Vec<(&'static str, Slot)> = Vec::new();
        for (slot, words) in score.scoring().slots(len, units) {
            let of_all = [MASK, RAW, ANCHOR, "threshold", "energy", "gradient", "last_gradient"];
            let taken = training.slots().into_iter().chain(score_slots.iter().map(|&(s, _)| s));
            if slot.is_empty() || of_all.into_iter().chain(taken).any(|other| other == slot) {
                let message = format!("score={score} keeps `{slot}`, a name that is taken");
                return Err(Error::argument(&name, message));
            }
            score_slots.push((slot, plan.persistent(format!("{name}/{slot}"), words)));
        }
        let mut weight = Weight::new(name, shape, stored).with_slots(slots);
        (weight.decay, weight.layout) = (parameter.decay, parameter.layout);
        weight.penalty = spec.map_or(0.0, |spec| spec.penalty as f32);
        Ok(Self {
            weight,
            mask,
            gradient: None,
            mean: None,
            score,
            score_slots,
            maskable: parameter.masked,
            carried: parameter.carried,
            frozen: parameter.frozen,
        })
    }

    /// Where its average is, if there is one.
    pub(super) fn average(&self) -> Option<Slot> {
        self.weight.slots.iter().find(|(name, _)| *name == AVERAGE).map(|&(_, slot)| slot)
    }

    /// As the mask update sees it; `None` when it is not pruned.
    pub(super) fn pruned(&self) -> Option<PrunedTensor> {
        let mask = self.mask?;
        let mut tensor = PrunedTensor::new(self.weight.clone(), mask.state, mask.energy).ok()?;
        tensor.gradient = self.gradient;
        tensor.score_slots = self.score_slots.iter().map(|&(_, slot)| slot).collect();
        Some(tensor)
    }

    /// What initial or loaded values of the weights are written to.
    pub(super) fn holders(&self) -> impl Iterator<Item = Slot> + use<> {
        [self.weight.stored.values(), self.average()].into_iter().flatten()
    }
}
