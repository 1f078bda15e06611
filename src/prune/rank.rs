//! What goes before a selection and after it, whatever the score and the pattern.
use super::choice::{Regrow, Threshold};
use super::score::Ranking;
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{MaskBegin, RandomScore, Ranked, UnitFloor, UnitPeak, Units, mask_words};
use crate::{Error, Result};

/// Appends what comes before the selection of a tensor: its scores, and what is protected among
/// them.
pub(super) fn begin(plan: &mut PlanBuilder, ranking: &Ranking<'_>) -> Result<Ranked> {
    let (t, mask_state) = (ranking.tensor, ranking.tensor.state);
    plan.push(MaskBegin { mask_state, keep_nan: false })?;
    let (values, len) = (score(plan, ranking)?, ranking.len());
    let (units, mask) = ranking.structure.select(plan, t);
    let protect = floor(plan, ranking, values, units)?;
    Ok(Ranked { values, protect, scores: true, mask_state, mask, len })
}

/// Appends the score: where it is.
pub(super) fn score(plan: &mut PlanBuilder, ranking: &Ranking<'_>) -> Result<Slot> {
    let (score, len) = (&ranking.spec.score, ranking.len());
    let values = score.scoring().push_score(plan, ranking)?;
    if values.words < len {
        let (name, have) = (ranking.tensor.name(), values.words);
        let message = format!("score={score} gives {have} values, {len} are ranked");
        return Err(Error::argument(name, message));
    }
    Ok(values)
}

/// Appends what makes the mask of a tensor of the selection's.
pub(super) fn end(plan: &mut PlanBuilder, ranking: &Ranking<'_>, ranked: &Ranked) -> Result<()> {
    ranking.structure.spread(plan, ranking.tensor, ranked.mask)
}

/// What ranks the weights that do not stay, for those that grow again; the random ones by the seed
/// in `seeds[selection]`.
pub(super) fn growth(
    plan: &mut PlanBuilder,
    ranking: &Ranking<'_>,
    seeds: Slot,
    selection: u32,
) -> Result<Slot> {
    let t = ranking.tensor;
    match ranking.spec.regrow {
        Regrow::Rigl => t.gradient(),
        Regrow::Set | Regrow::None => {
            let score = plan.scratch(format!("{}.random", t.name()), t.len());
            plan.push(RandomScore { seeds, selection, score, len: t.len() })?;
            Ok(score)
        }
    }
}

/// Appends what protects the highest value of each unit of `values`.
fn floor(
    plan: &mut PlanBuilder,
    ranking: &Ranking<'_>,
    values: Slot,
    of: Units,
) -> Result<Option<Slot>> {
    let (spec, name) = (ranking.spec, ranking.tensor.name());
    // A unit of more inputs than the kernel takes has more than one weight at any sparsity in use.
    let exact = spec.threshold == Threshold::Exact;
    if !(spec.keep_units && exact) || of.inputs > UnitPeak::MAX_ROWS {
        return Ok(None);
    }
    let peaks = plan.scratch(format!("{name}.peaks"), of.units);
    plan.push(UnitPeak { values, peaks, of })?;
    let protect = plan.scratch(format!("{name}.protect"), mask_words(of.inputs * of.units));
    plan.push(UnitFloor { peaks, protect, of })?;
    Ok(Some(protect))
}
