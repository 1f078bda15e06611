//! What an optimizer says of itself, and the checks that several make.
use crate::Result;
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{Pruned, Weights};
use crate::optim::check;

/// One parameter as an optimizer sees it.
#[derive(Debug, Clone)]
pub struct Update {
    /// The parameter's name, for the plan.
    pub name: String,
    /// The weights.
    pub weights: Slot,
    /// Their gradient, changed in place where it is clipped.
    pub gradient: Slot,
    /// Factor on it.
    pub multiplier: f32,
    /// Their mask, and what becomes of the pruned ones.
    pub mask: Option<(Slot, Pruned)>,
    /// The optimizer's own tensors, in the order of [`Optimizer::slots`](super::Optimizer::slots);
    /// what follows is left alone.
    pub slots: Vec<Slot>,
    /// The step's scalars.
    pub step: Slot,
    /// Elements.
    pub len: u32,
    /// Whether the optimizer's weight decay applies.
    pub decays: bool,
    /// Weight decay of the parameter's own, part of its gradient: `decay * weight`.
    pub decay: f32,
}

impl Update {
    /// The operands that all kernels share.
    pub(super) fn on(&self) -> Weights {
        let &Self { gradient, mask, step, weights, len, .. } = self;
        Weights { gradient, mask, step, weights, len }
    }

    /// The optimizer's weight decay where it applies to this parameter, else 0.
    pub(super) fn decay_by(&self, weight_decay: f32) -> f32 {
        if self.decays { weight_decay } else { 0.0 }
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
