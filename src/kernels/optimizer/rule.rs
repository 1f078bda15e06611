//! What an optimizer says of itself, and the checks that several make.
use super::weights::Weights;
use crate::error::check;
use crate::gpu::{PlanBuilder, Slot};
use crate::{Error, Result};

/// One parameter as an optimizer sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moved<'a> {
    /// The parameter's name, for errors.
    pub(crate) name: &'a str,
    /// The operands that all kernels share.
    pub(crate) on: Weights,
    /// What is kept beside the weights, the optimizer's own tensors first.
    pub(crate) slots: &'a [(&'static str, Slot)],
    /// Whether the optimizer's weight decay applies.
    pub(crate) decays: bool,
    /// Weight decay of the parameter's own, part of its gradient: `decay * weight`.
    pub(crate) decay: f32,
    /// Where it is several parameters side by side, what tells them apart.
    pub(crate) table: Option<Slot>,
}

impl Moved<'_> {
    /// The optimizer's tensors.
    ///
    /// # Errors
    /// [`Error::Argument`] when there are fewer.
    pub(super) fn slots<const N: usize>(&self) -> Result<[Slot; N]> {
        let first = self.slots.first_chunk::<N>().ok_or_else(|| {
            let have = self.slots.len();
            let message = format!("{have} tensors beside it, the optimizer keeps {N}");
            Error::argument(self.name, message)
        })?;
        Ok(first.map(|(_, slot)| slot))
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

    /// Weight decay of what [`Moved::decays`].
    fn weight_decay(&self) -> f32 {
        0.0
    }

    /// Checks every hyperparameter but the learning rate.
    fn validate(&self) -> Result<()>;

    /// `1 - beta^t` of both moments at step `t`, counted from 1; 1 where there are none.
    fn corrections(&self, _t: u64) -> [f32; 2] {
        [1.0; 2]
    }

    /// Appends its kernel.
    fn push(&self, plan: &mut PlanBuilder, update: &Moved<'_>) -> Result<()>;
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
