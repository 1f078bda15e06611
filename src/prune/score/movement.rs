//! `movement`: the sum of `-w * gradient` over all steps, ranked by its place among the floats.
use super::{Ranking, Scoring};
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{self, BlockPooling, MovementScore, Pruned};
use crate::prune::{PrunedTensor, PruningSpec, Threshold};
use crate::{Error, Result};

#[derive(Debug)]
pub(super) struct Movement;

impl Scoring for Movement {
    fn name(&self) -> &str {
        "movement"
    }

    fn slots(&self, len: u32, _: u32) -> Vec<(&'static str, u32)> {
        vec![("movement", len)]
    }

    fn needs_batches(&self) -> bool {
        true
    }

    fn check(&self, spec: &PruningSpec) -> Result<()> {
        let refuse = |field, message: &str| Err(Error::argument(field, message));
        if spec.threshold == Threshold::Histogram {
            return refuse(
                "score",
                "movement is signed, and a histogram is of magnitudes: write threshold=exact",
            );
        }
        if spec.pruned == Pruned::Pull {
            return refuse(
                "score",
                "movement says nothing of the projection that pull draws weights to: write \
                 magnitude, fisher, saliency or wanda",
            );
        }
        let pools = spec.has_blocks() || spec.pattern.pools();
        if pools && spec.block_pooling_function == BlockPooling::Max {
            return refuse(
                "block_pooling_function",
                "max: movement is signed, a block moves by the mean of its weights; write avg",
            );
        }
        Ok(())
    }

    fn push_gradient(
        &self,
        plan: &mut PlanBuilder,
        t: &PrunedTensor,
        gradient: Slot,
    ) -> Result<()> {
        let ([movement], weights, len) = (t.kept()?, t.weights(), t.len());
        plan.push(kernels::Movement { weights, gradient, movement, len })
    }

    fn push_score(&self, plan: &mut PlanBuilder, ranking: &Ranking<'_>) -> Result<Slot> {
        let (t, len) = (ranking.tensor, ranking.len());
        let [movement] = t.kept()?;
        let movement = ranking.pool(plan, "blocks", movement, true)?;
        let score = plan.scratch(format!("{}.score", t.name()), len);
        plan.push(MovementScore { movement, score, len })?;
        Ok(score)
    }

    fn threshold(&self, bits: u32) -> f32 {
        // Of -0 the sign says nothing to people.
        if bits == 0 { 0.0 } else { kernels::movement_of_score(bits) + 0.0 }
    }

    fn threshold_bits(&self, threshold: f32) -> u32 {
        kernels::movement_score_reference(&[threshold])[0]
    }
}
