//! What a run takes on the device besides its plan.
use super::gradients::staged;
use super::plans::{Inputs, Plans};
use super::snapshot::Layout;
use super::steps::{STEPS_IN_FLIGHT, results_bytes};
use crate::gpu::Slot;

impl Plans {
    /// Tells the plan what its session stages: what batches are written and results read through,
    /// for as many steps as are in flight; with `saves` the copies that checkpoints are written
    /// from. Before the first step the initial values pass through as many bytes.
    pub(crate) fn count_staging(&mut self, saves: bool) {
        let bytes = |slots: &[Slot]| slots.iter().map(|s| u64::from(s.words) * 4).sum::<u64>();
        let in_flight = STEPS_IN_FLIGHT as u64;
        let pruned = self.variables.iter().filter(|v| v.mask.is_some()).count();
        let results = in_flight * (results_bytes(2, pruned) + 4 * self.evaluated.len() as u64);
        let Inputs { features, answers, step } = self.inputs;
        let batches = (in_flight + 1) * bytes(&[features, answers, step]);
        let of = |v: &super::variable::Variable| v.weight.stored.slots().chain(v.average());
        let first: Vec<Slot> = self.variables.iter().flat_map(of).collect();
        let saved = if saves { bytes(&Layout::of(&self.variables).slots()) } else { 0 };
        self.plan.stage(results + (batches + saved).max(bytes(&first)));
    }

    /// Tells the plan what [`Gradients`](super::Gradients) take of a session that exchanges them.
    pub(crate) fn count_exchange(&mut self) {
        let phases = self.objectives.iter().filter_map(|o| Some(o.accumulate?.gradient));
        let bytes = phases.map(|phase| staged(&self.plan, &self.variables, phase)).max();
        self.plan.stage(bytes.unwrap_or(0));
    }
}
