//! `signed`: a score of this crate's own, made by its own kernel.
use secateur::Result;
use secateur::prune::{Ranking, Scoring};
use secateur::raw::{PlanBuilder, Slot};

use crate::ClippedExp;

/// Ranks weights by their value, not by their magnitude: the most negative are pruned first. Scores
/// must not be negative, so that of a weight `w` is `min(exp(w), limit)`.
#[derive(Debug)]
pub struct Signed {
    /// What no score exceeds.
    pub limit: f32,
}

impl Scoring for Signed {
    fn name(&self) -> &str {
        "signed"
    }

    fn push_score(&self, plan: &mut PlanBuilder, ranking: &Ranking<'_>) -> Result<Slot> {
        let t = ranking.tensor;
        let out = plan.scratch(format!("{}.signed", t.name()), t.len());
        plan.push(ClippedExp { x: t.weights(), out, len: t.len(), limit: self.limit })?;
        ranking.pool(plan, "blocks", out, false)
    }
}
