//! `fisher`: |w| times the root of Adam's second moment of its gradient.
use super::{Ranking, Scoring};
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels;
use crate::{Error, Result};

/// What Adam calls its second moments.
const SECOND: &str = "second";

#[derive(Debug)]
pub(super) struct Fisher;

impl Scoring for Fisher {
    fn name(&self) -> &str {
        "fisher"
    }

    fn push_score(&self, plan: &mut PlanBuilder, ranking: &Ranking<'_>) -> Result<Slot> {
        let (t, len) = (ranking.tensor, ranking.tensor.len());
        let second = t.weight.slots.iter().find(|(name, _)| *name == SECOND);
        let &(_, second) = second.ok_or_else(|| {
            let message = "fisher reads the second moments that adam and adamw keep, and this \
                           optimizer keeps none; take one of these, or another score";
            Error::argument("score", message)
        })?;
        let (weights, score) = (t.weights(), plan.scratch(format!("{}.score", t.name()), len));
        plan.push(kernels::Fisher { weights, second, score, len })?;
        ranking.pool(plan, "blocks", score, false)
    }
}
