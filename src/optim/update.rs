//! One parameter as an optimizer sees it.
use crate::Result;
use crate::gpu::{PlanBuilder, Slot};
use crate::graph::Weight;
use crate::kernels::{Moved, Optimizer, Weights};

/// One parameter as an optimizer sees it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Update {
    /// The weights and, beside them, the optimizer's own tensors in the order of
    /// [`Optimizer::slots`]; what follows these is left alone.
    pub weight: Weight,
    /// Their gradient, changed in place where it is clipped, and behind that where a penalty draws
    /// the weights.
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
}

impl Optimizer {
    /// Appends the update of one parameter to `plan`.
    ///
    /// # Errors
    /// [`Error::Plan`](crate::Error::Plan) from the kernel,
    /// [`Error::Argument`](crate::Error::Argument) without the tensors that the optimizer keeps.
    pub fn push(&self, plan: &mut PlanBuilder, update: &Update) -> Result<()> {
        let &Update { gradient, step, ref weight, .. } = update;
        let (mask, weights) = (weight.stored.moved_under(), weight.values()?);
        if let Some(pull) = weight.pull(gradient) {
            plan.push(pull)?;
        }
        let on = Weights { gradient, mask, step, weights, len: weight.len };
        let (name, slots, decay) = (&weight.name, &weight.slots, weight.decay);
        self.launch(plan, &Moved { name, on, slots, decays: weight.shape.rank() >= 2, decay })
    }
}
