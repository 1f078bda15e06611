//! What an optimizer says of itself, and the checks that several make.
use crate::gpu::{PlanBuilder, Slot};
use crate::graph::Weight;
use crate::kernels::Weights;
use crate::optim::check;
use crate::{Error, Result};

/// One parameter as an optimizer sees it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Update {
    /// The weights and, beside them, the optimizer's own tensors in the order of
    /// [`Optimizer::slots`](super::Optimizer::slots); what follows these is left alone.
    pub weight: Weight,
    /// Their gradient, changed in place where it is clipped.
    pub gradient: Slot,
    /// Factor on it.
    pub multiplier: f32,
    /// The step's scalars.
    pub step: Slot,
}

impl Update {
    /// `weight` is moved by `gradient`, as `step` says ([`Step`](crate::kernels::Step)).
    pub fn new(weight: Weight, gradient: Slot, step: Slot) -> Self {
        Self { weight, gradient, multiplier: 1.0, step }
    }

    /// The operands that all kernels share.
    pub(super) fn on(&self) -> Weights {
        let &Self { gradient, step, ref weight, .. } = self;
        let (mask, weights) = (weight.stored.moved_under(), weight.stored.values());
        Weights { gradient, mask, step, weights, len: weight.len }
    }

    /// The optimizer's tensors.
    ///
    /// # Errors
    /// [`Error::Argument`] when there are fewer.
    pub(super) fn slots<const N: usize>(&self) -> Result<[Slot; N]> {
        let Weight { name, slots, .. } = &self.weight;
        let first = slots.first_chunk::<N>().ok_or_else(|| {
            let message = format!("{} tensors beside it, the optimizer keeps {N}", slots.len());
            Error::argument(name, message)
        })?;
        Ok(first.map(|(_, slot)| slot))
    }

    /// The optimizer's weight decay where it applies to this parameter, else 0.
    pub(super) fn decay_by(&self, weight_decay: f32) -> f32 {
        if self.weight.shape.rank() >= 2 { weight_decay } else { 0.0 }
    }
}

/// An optimizer: its settings.
pub(super) trait Rule {
    /// Names of the tensors that it keeps beside each parameter.
    fn slots(&self) -> &'static [&'static str] {
        &[]
    }

    /// Checks every hyperparameter but the learning rate.
    fn validate(&self) -> Result<()>;

    /// `1 - beta^t` of both moments at step `t`, counted from 1; 1 where there are none.
    fn corrections(&self, _t: u64) -> [f32; 2] {
        [1.0; 2]
    }

    /// Appends its kernel.
    fn push(&self, plan: &mut PlanBuilder, update: &Update) -> Result<()>;
}

pub(super) fn share(name: &str, value: f32) -> Result<()> {
    check(name, value, (0.0..1.0).contains(&value), "at least 0 and below 1")
}

pub(super) fn weight_decay(value: f32) -> Result<()> {
    check("weight_decay", value, value.is_finite() && value >= 0.0, "at least 0")
}

pub(super) fn epsilon(value: f32) -> Result<()> {
    check("epsilon", value, value.is_finite() && value > 0.0, "above 0")
}
