//! `saliency`: |w * gradient| of the last batch.
use super::{Ranking, Scoring};
use crate::Result;
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels;

#[derive(Debug)]
pub(super) struct Saliency;

impl Scoring for Saliency {
    fn name(&self) -> &str {
        "saliency"
    }

    fn needs_gradients(&self) -> bool {
        true
    }

    fn push_score(&self, plan: &mut PlanBuilder, ranking: &Ranking<'_>) -> Result<Slot> {
        let t = ranking.tensor;
        let score = plan.scratch(format!("{}.score", t.name()), t.len());
        let (weights, gradient, len) = (t.weights(), t.gradient()?, t.len());
        plan.push(kernels::Saliency { weights, gradient, score, len })?;
        ranking.pool(plan, "blocks", score, false)
    }
}
