//! The tensors of a run that outlive a step: where they are, and what they are called in files.
use crate::Error;
use crate::Result;
use crate::gpu::{PlanBuilder, Slot};
use crate::graph::{Homes, Parameter, Shape};
use crate::kernels::{MASK_STATE_WORDS, Pruned, mask_words};
use crate::optim::Optimizer;
use crate::prune::PrunedTensor;

/// A trainable tensor with everything that belongs to it.
#[derive(Debug, Clone)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) shape: Shape,
    pub(super) len: u32,
    pub(super) weights: Slot,
    /// The optimizer's tensors, by name.
    pub(super) slots: Vec<(&'static str, Slot)>,
    pub(super) mask: Option<Mask>,
    /// The last gradient, where mask updates read it.
    pub(super) gradient: Option<Slot>,
}

/// A pruned variable's mask.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mask {
    pub(super) bits: Slot,
    /// [`crate::kernels::MaskState`] of the last selection.
    pub(super) state: Slot,
    pub(super) pruned: Pruned,
}

impl Variable {
    /// Declares the slots of `parameter` in `plan` and gives it its home; with a mask when it is
    /// `pruned`.
    pub(super) fn declare(
        parameter: &Parameter,
        optimizer: &Optimizer,
        pruned: Option<Pruned>,
        plan: &mut PlanBuilder,
        homes: &mut Homes,
    ) -> Result<Self> {
        let (name, shape) = (parameter.name.clone(), parameter.shape.clone());
        let len = shape.elements().filter(|&n| n > 0).ok_or_else(|| {
            Error::shape(&name, format!("{shape} must have 1 to {} elements", u32::MAX))
        })?;
        let weights = plan.persistent(&name, len);
        homes.set(parameter.tensor, weights);
        let slots = optimizer.slots().iter();
        let slots = slots.map(|&s| (s, plan.persistent(format!("{name}/{s}"), len))).collect();
        let mask = pruned.map(|pruned| Mask {
            bits: plan.persistent(format!("{name}/mask"), mask_words(len)),
            state: plan.persistent(format!("{name}/threshold"), MASK_STATE_WORDS),
            pruned,
        });
        // In the mode `zero` the weights themselves are zero where pruned: no mask in the products.
        if let Some(mask) = mask.filter(|m| m.pruned != Pruned::Zero) {
            homes.set_mask(parameter.tensor, mask.bits);
        }
        Ok(Self { name, shape, len, weights, slots, mask, gradient: None })
    }

    /// As the mask update sees it; `None` when it is not pruned.
    pub(super) fn pruned(&self) -> Option<PrunedTensor> {
        let mask = self.mask?;
        Some(PrunedTensor {
            name: self.name.clone(),
            weights: self.weights,
            gradient: self.gradient,
            mask: mask.bits,
            state: mask.state,
            slots: self.slots.iter().map(|&(_, slot)| slot).collect(),
            len: self.len,
            units: self.shape.dims().last().copied().unwrap_or(1),
        })
    }
}
