//! The tensors of a run that outlive a step: where they are, and what they are called in files.
use crate::Error;
use crate::Result;
use crate::gpu::{PlanBuilder, Slot};
use crate::graph::{Bindings, Parameter, Shape};
use crate::kernels::{MASK_STATE_WORDS, Pruned, mask_words};
use crate::optim::{AVERAGE, Training};
use crate::prune::{PrunedTensor, PruningSpec, Score};

/// A trainable tensor with everything that belongs to it.
#[derive(Debug, Clone)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) shape: Shape,
    pub(super) len: u32,
    pub(super) weights: Slot,
    /// Weight decay of its own.
    pub(super) decay: f32,
    /// The optimizer's tensors, by name, and the average of the weights behind them.
    pub(super) slots: Vec<(&'static str, Slot)>,
    pub(super) mask: Option<Mask>,
    /// Whether a pruning may give it a mask.
    pub(super) maskable: bool,
    /// Whether it is a state that goes on from batch to batch: in checkpoints, and no part of the
    /// model.
    pub(super) carried: bool,
    /// The last gradient, where mask updates read it.
    pub(super) gradient: Option<Slot>,
    /// What ranks it, where it has a mask.
    pub(super) score: Score,
    /// The score's tensors, by name.
    pub(super) score_slots: Vec<(&'static str, Slot)>,
}

/// A pruned variable's mask.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mask {
    pub(super) bits: Slot,
    /// [`crate::kernels::MaskState`] of the last selection.
    pub(super) state: Slot,
    /// Squared length that the last update left, and that it found.
    pub(super) energy: Slot,
    pub(super) pruned: Pruned,
    /// Whether its threshold is one of |w|.
    pub(super) of_magnitudes: bool,
}

impl Variable {
    /// Declares the slots of `parameter` in `plan` and gives it its home; with a mask when
    /// `spec` prunes it.
    pub(super) fn declare(
        parameter: &Parameter,
        training: &Training,
        spec: Option<&PruningSpec>,
        plan: &mut PlanBuilder,
        bindings: &mut Bindings,
    ) -> Result<Self> {
        let (name, shape) = (parameter.name.clone(), parameter.shape.clone());
        let len = shape.elements().filter(|&n| n > 0).ok_or_else(|| {
            Error::shape(&name, format!("{shape} must have 1 to {} elements", u32::MAX))
        })?;
        let weights = plan.persistent(&name, len);
        bindings.set(parameter.tensor, weights);
        let slots = if parameter.trainable { training.slots() } else { Vec::new() }.into_iter();
        let slots = slots.map(|s| (s, plan.persistent(format!("{name}/{s}"), len))).collect();
        let mask = spec.map(|spec| Mask {
            bits: plan.persistent(format!("{name}/mask"), mask_words(len)),
            state: plan.persistent(format!("{name}/threshold"), MASK_STATE_WORDS),
            energy: plan.persistent(format!("{name}/energy"), 2),
            pruned: spec.pruned,
            of_magnitudes: spec.score.scoring().is_magnitude() && spec.ranks_weights(),
        });
        let score = spec.map(|spec| spec.score.clone()).unwrap_or_default();
        let mut score_slots: Vec<(&'static str, Slot)> = Vec::new();
        for (slot, words) in score.scoring().slots(len, units(&shape)) {
            let of_all = ["mask", "threshold", "energy", "raw", "gradient", "last_gradient"];
            let taken = training.slots().into_iter().chain(score_slots.iter().map(|&(s, _)| s));
            if slot.is_empty() || of_all.into_iter().chain(taken).any(|other| other == slot) {
                let message = format!("score={score} keeps `{slot}`, a name that is taken");
                return Err(Error::argument(&name, message));
            }
            score_slots.push((slot, plan.persistent(format!("{name}/{slot}"), words)));
        }
        // In the mode `zero` the weights themselves are zero where pruned: no mask in the products.
        if let Some(mask) = mask.filter(|m| m.pruned != Pruned::Zero) {
            bindings.set_mask(parameter.tensor, mask.bits);
        }
        let decay = parameter.decay;
        Ok(Self {
            name,
            shape,
            len,
            weights,
            decay,
            slots,
            mask,
            gradient: None,
            score,
            score_slots,
            maskable: parameter.masked,
            carried: parameter.carried,
        })
    }

    /// Where its average is, if there is one.
    pub(super) fn average(&self) -> Option<Slot> {
        self.slots.iter().find(|(name, _)| *name == AVERAGE).map(|&(_, slot)| slot)
    }

    /// As the mask update sees it; `None` when it is not pruned.
    pub(super) fn pruned(&self) -> Option<PrunedTensor> {
        let mask = self.mask?;
        Some(PrunedTensor {
            name: self.name.clone(),
            weights: self.weights,
            gradient: self.gradient,
            mask: mask.bits,
            score_slots: self.score_slots.iter().map(|&(_, slot)| slot).collect(),
            state: mask.state,
            energy: mask.energy,
            slots: self.slots.iter().map(|&(_, slot)| slot).collect(),
            len: self.len,
            units: units(&self.shape),
        })
    }
}

/// Output units: the last extent.
fn units(shape: &Shape) -> u32 {
    shape.dims().last().copied().unwrap_or(1)
}
