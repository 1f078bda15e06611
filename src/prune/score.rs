//! Scores: what each keeps from step to step, and how it comes to rank weights or blocks.
use super::choice::Score;
use super::mask_update::PrunedTensor;
use super::pattern::Structure;
use super::spec::PruningSpec;
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{
    BlockPool, Change, ChangeNorm, ColumnSum, InputNorm, Movement, MovementScore, Pruned, Saliency,
    Wanda, movement_of_score, movement_score_reference,
};
use crate::{Error, Result};

impl Score {
    /// The tensors that it keeps for `len` weights of `units` output units, by name, with their
    /// elements: f32, 0 at first, part of a checkpoint.
    pub fn slots(self, len: u32, units: u32) -> Vec<(&'static str, u32)> {
        match self {
            Self::Magnitude | Self::Saliency => vec![],
            Self::Movement => vec![("movement", len)],
            Self::FirstOrderGradient => vec![("old_weights", len), ("change", len)],
            Self::SecondOrderGradient => {
                vec![("old_weights", len.saturating_mul(2)), ("change", len)]
            }
            Self::Wanda => vec![("input_norm", len / units.max(1))],
        }
    }

    /// Whether it ranks by what batches have left: without any, all weights score the same.
    pub fn needs_batches(self) -> bool {
        matches!(self, Self::Saliency | Self::Movement | Self::Wanda)
    }

    /// Appends what follows a forward pass on the input `x [rows, inputs]` of `t`, which has `repeat` rows for each of
    /// the batch.
    ///
    /// # Errors
    /// [`Error::Plan`] from the kernel.
    pub fn push_forward(
        self,
        plan: &mut PlanBuilder,
        t: &PrunedTensor,
        [x, step]: [Slot; 2],
        [rows, repeat]: [u32; 2],
    ) -> Result<()> {
        match (self, t.score_slots.as_slice()) {
            (Self::Wanda, &[norm]) => {
                let columns = t.len / t.units;
                plan.push(InputNorm { x, step, norm, rows, columns, repeat })
            }
            _ => Ok(()),
        }
    }

    /// Appends what follows a gradient of `t`, while the weights are those that it is of.
    ///
    /// # Errors
    /// [`Error::Plan`] from the kernel.
    pub fn push_gradient(
        self,
        plan: &mut PlanBuilder,
        t: &PrunedTensor,
        gradient: Slot,
    ) -> Result<()> {
        match (self, t.score_slots.as_slice()) {
            (Self::Movement, &[movement]) => {
                plan.push(Movement { weights: t.weights, gradient, movement, len: t.len })
            }
            _ => Ok(()),
        }
    }

    /// The score that ranks as these bits do, as a quantity; 0 for a mask that nothing has updated.
    pub fn threshold(self, bits: u32) -> f32 {
        match (self, bits) {
            (Self::Movement, 1..) => movement_of_score(bits) + 0.0,
            _ => f32::from_bits(bits),
        }
    }

    /// The bits that rank as `threshold` does.
    pub fn threshold_bits(self, threshold: f32) -> u32 {
        match self {
            Self::Movement => movement_score_reference(&[threshold])[0],
            _ => threshold.to_bits(),
        }
    }
}

/// Appends what ranks the weights of `t`, or its blocks: numbers that are not negative. Their
/// magnitude needs nothing of its own.
pub(super) fn push(
    plan: &mut PlanBuilder,
    spec: &PruningSpec,
    structure: Structure,
    t: &PrunedTensor,
) -> Result<Slot> {
    let blocks = match structure {
        Structure::Blocks(blocks) => Some(blocks),
        Structure::Element | Structure::Nm { .. } => None,
    };
    let pooling = spec.block_pooling_function;
    let pool = |plan: &mut PlanBuilder, what: &str, values, signed| {
        let Some(blocks) = blocks else { return Ok(values) };
        let scores = plan.scratch(format!("{}.{what}", t.name), blocks.count());
        plan.push(BlockPool { values, scores, blocks, pooling, signed })?;
        Ok::<_, Error>(scores)
    };
    let units = structure.units(t.len);
    let (weights, len) = (t.weights, t.len);
    match (spec.score, t.score_slots.as_slice()) {
        (Score::Magnitude, []) => pool(plan, "blocks", weights, false),
        (Score::Saliency, []) => {
            let score = plan.scratch(format!("{}.score", t.name), len);
            plan.push(Saliency { weights, gradient: t.gradient()?, score, len })?;
            pool(plan, "blocks", score, false)
        }
        (Score::Movement, &[movement]) => {
            let movement = pool(plan, "blocks", movement, true)?;
            let score = plan.scratch(format!("{}.score", t.name), units);
            plan.push(MovementScore { movement, score, len: units })?;
            Ok(score)
        }
        (Score::FirstOrderGradient | Score::SecondOrderGradient, &[history, gradient]) => {
            let second = spec.score == Score::SecondOrderGradient;
            // What an update zeroed did not change by training.
            let held = spec.pruned == Pruned::Zero;
            let rows = ChangeNorm::chunks(len);
            let partials = plan.scratch(format!("{}.change_norm", t.name), rows);
            plan.push(ChangeNorm { weights, history, partials, len, second, held })?;
            let total = plan.scratch(format!("{}.change_total", t.name), 1);
            plan.push(ColumnSum { x: partials, out: total, rows, columns: 1 })?;
            let decay = spec.gradient_decay_rate as f32;
            plan.push(Change { weights, total, history, gradient, len, second, held, decay })?;
            let weights = pool(plan, "blocks", weights, false)?;
            let gradient = pool(plan, "change_blocks", gradient, false)?;
            let score = plan.scratch(format!("{}.score", t.name), units);
            plan.push(Saliency { weights, gradient, score, len: units })?;
            Ok(score)
        }
        (Score::Wanda, &[norm]) => {
            let score = plan.scratch(format!("{}.score", t.name), len);
            let (rows, columns) = (len / t.units, t.units);
            plan.push(Wanda { weights, norm, score, rows, columns })?;
            pool(plan, "blocks", score, false)
        }
        (score, slots) => {
            let (have, need) = (slots.len(), score.slots(len, t.units).len());
            let message = format!("{have} tensors for its score, {score:?} keeps {need}");
            Err(Error::argument(&t.name, message))
        }
    }
}
