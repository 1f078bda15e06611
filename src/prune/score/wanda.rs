//! `wanda`: |w| times the length of its input over all batches.
use super::{LayerInput, Ranking, Scoring};
use crate::Result;
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{self, InputNorm};
use crate::prune::PrunedTensor;

#[derive(Debug)]
pub(super) struct Wanda;

impl Scoring for Wanda {
    fn name(&self) -> &str {
        "wanda"
    }

    fn slots(&self, len: u32, units: u32) -> Vec<(&'static str, u32)> {
        vec![("input_norm", len / units.max(1))]
    }

    fn needs_inputs(&self) -> bool {
        true
    }

    fn push_forward(
        &self,
        plan: &mut PlanBuilder,
        t: &PrunedTensor,
        input: &LayerInput,
    ) -> Result<()> {
        let &LayerInput { x, step, rows, repeat } = input;
        let ([norm], columns) = (t.kept()?, t.matrix().inputs);
        plan.push(InputNorm { x, step, norm, rows, columns, repeat })
    }

    fn push_score(&self, plan: &mut PlanBuilder, ranking: &Ranking<'_>) -> Result<Slot> {
        let t = ranking.tensor;
        let (weights, [norm]) = (t.weights(), t.kept()?);
        let score = plan.scratch(format!("{}.score", t.name()), t.len());
        plan.push(kernels::Wanda { weights, norm, score, of: t.matrix() })?;
        ranking.pool(plan, "blocks", score, false)
    }
}
