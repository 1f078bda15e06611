//! `magnitude`: |w|, taken as the weights are ranked.
use super::{Ranking, Scoring};
use crate::Result;
use crate::gpu::{PlanBuilder, Slot};

#[derive(Debug)]
pub(super) struct Magnitude;

impl Scoring for Magnitude {
    fn name(&self) -> &str {
        "magnitude"
    }

    fn is_magnitude(&self) -> bool {
        true
    }

    fn push_score(&self, plan: &mut PlanBuilder, ranking: &Ranking<'_>) -> Result<Slot> {
        ranking.pool(plan, "blocks", ranking.tensor.weights(), false)
    }
}
