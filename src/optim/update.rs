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

    /// As the kernels see it.
    fn moved(&self) -> Result<Moved<'_>> {
        let &Self { gradient, step, ref weight, .. } = self;
        let (mask, weights) = (weight.stored.moved_under(), weight.values()?);
        let on = Weights { gradient, mask, step, weights, len: weight.len };
        let (name, slots, decay) = (&weight.name, &weight.slots, weight.decay);
        let decays = weight.shape.rank() >= 2;
        Ok(Moved { name, on, slots, decays, decay, table: None })
    }
}

impl Optimizer {
    /// Appends the update of one parameter to `plan`.
    ///
    /// # Errors
    /// [`Error::Plan`](crate::Error::Plan) from the kernel,
    /// [`Error::Argument`](crate::Error::Argument) without the tensors that the optimizer keeps.
    pub fn push(&self, plan: &mut PlanBuilder, update: &Update) -> Result<()> {
        if let Some(pull) = update.weight.pull(update.gradient) {
            plan.push(pull)?;
        }
        self.launch(plan, &update.moved()?)
    }

    /// Appends the updates of all parameters of a step: a launch for each, or on a GPU one for all
    /// small ones that are moved alike, to the same bits.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_all(&self, plan: &mut PlanBuilder, updates: &[Update]) -> Result<()> {
        if plan.target().software {
            return updates.iter().try_for_each(|update| self.push(plan, update));
        }
        let mut pulls = updates.iter().filter_map(|update| update.weight.pull(update.gradient));
        pulls.try_for_each(|pull| plan.push(pull))?;
        let moved: Vec<_> = updates.iter().map(Update::moved).collect::<Result<_>>()?;
        self.launch_all(plan, &moved)
    }
}
