//! `first_order_gradient`, `second_order_gradient`: |w| times a running mean of its changes.
use super::{Ranking, Scoring};
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{Change, ChangeNorm, ColumnSum, Pruned, Saliency};
use crate::prune::PruningSpec;
use crate::{Error, Result};

#[derive(Debug)]
pub(super) struct GradientChange {
    /// Whether it is of how much a change differs from the one before.
    pub(super) second: bool,
}

impl Scoring for GradientChange {
    fn name(&self) -> &str {
        if self.second { "second_order_gradient" } else { "first_order_gradient" }
    }

    fn slots(&self, len: u32, _: u32) -> Vec<(&'static str, u32)> {
        let history = if self.second { len.saturating_mul(2) } else { len };
        vec![("old_weights", history), ("change", len)]
    }

    fn check(&self, spec: &PruningSpec) -> Result<()> {
        if spec.pruned == Pruned::Pull {
            let message = format!(
                "{} says nothing of the projection that pull draws weights to: write magnitude, \
                 fisher, saliency or wanda",
                self.name()
            );
            return Err(Error::argument("score", message));
        }
        Ok(())
    }

    fn push_score(&self, plan: &mut PlanBuilder, ranking: &Ranking<'_>) -> Result<Slot> {
        let (t, spec, second) = (ranking.tensor, ranking.spec, self.second);
        let (weights, len, [history, gradient]) = (t.weights(), t.len(), t.kept()?);
        // What an update zeroed did not change by training.
        let held = t.weight.stored.holds_zeros();
        let rows = ChangeNorm::chunks(len);
        let partials = plan.scratch(format!("{}.change_norm", t.name()), rows);
        plan.push(ChangeNorm { weights, history, partials, len, second, held })?;
        let total = plan.scratch(format!("{}.change_total", t.name()), 1);
        plan.push(ColumnSum { x: partials, out: total, rows, columns: 1 })?;
        let decay = spec.gradient_decay_rate as f32;
        plan.push(Change { weights, total, history, gradient, len, second, held, decay })?;
        let weights = ranking.pool(plan, "blocks", weights, false)?;
        let gradient = ranking.pool(plan, "change_blocks", gradient, false)?;
        let len = ranking.len();
        let score = plan.scratch(format!("{}.score", t.name()), len);
        plan.push(Saliency { weights, gradient, score, len })?;
        Ok(score)
    }
}
