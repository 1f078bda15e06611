//! What is ranked of a tensor, and how its mask follows from that.
use super::choice::{Regrow, Threshold};
use super::mask_update::PrunedTensor;
use super::pattern::Structure;
use super::score;
use super::spec::PruningSpec;
use crate::Result;
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{
    BlockMask, MaskBegin, NmMask, RandomScore, Ranked, UnitFloor, UnitMask, UnitPeak, mask_words,
};

/// Appends what comes before the selection of `t`: its scores, and what is protected among them.
pub(super) fn begin(
    plan: &mut PlanBuilder,
    spec: &PruningSpec,
    structure: Structure,
    t: &PrunedTensor,
) -> Result<Ranked> {
    plan.push(MaskBegin { mask_state: t.state, keep_nan: false })?;
    let values = score::push(plan, spec, structure, t)?;
    let (mask_state, len) = (t.state, structure.units(t.len));
    // Of blocks the highest of the tensor stays, of weights the highest of each unit.
    let (units, mask) = match structure {
        Structure::Element | Structure::Nm { .. } => (t.units, t.mask),
        Structure::Blocks(_) => {
            (1, plan.scratch(format!("{}.block_mask", t.name), mask_words(len)))
        }
    };
    let protect = floor(plan, spec, &t.name, values, [len / units, units])?;
    Ok(Ranked { values, protect, scores: true, mask_state, mask, len })
}

/// Appends what makes the mask of `t` of the selection's.
pub(super) fn end(
    plan: &mut PlanBuilder,
    structure: Structure,
    t: &PrunedTensor,
    ranked: &Ranked,
) -> Result<()> {
    let Structure::Blocks(blocks) = structure else { return Ok(()) };
    let (mask_state, mask) = (t.state, t.mask);
    plan.push(MaskBegin { mask_state, keep_nan: true })?;
    plan.push(BlockMask { block_mask: ranked.mask, mask_state, mask, blocks })
}

/// Appends N:M on `t`: `counts[selection]` of every `m` stay; or of each unit, where `m` are all of
/// its weights.
pub(super) fn nm(
    plan: &mut PlanBuilder,
    spec: &PruningSpec,
    t: &PrunedTensor,
    m: u32,
    counts: Slot,
    selection: u32,
) -> Result<()> {
    let (mask_state, mask) = (t.state, t.mask);
    let values = score::push(plan, spec, Structure::Nm { m }, t)?;
    let (rows, columns) = (t.len / t.units, t.units);
    plan.push(MaskBegin { mask_state, keep_nan: false })?;
    // N:M has groups of 32 at most.
    if m > 32 {
        return plan.push(UnitMask { values, counts, selection, mask_state, mask, rows, columns });
    }
    plan.push(NmMask { values, counts, selection, mask_state, mask, rows, columns, m })
}

/// What ranks the weights that do not stay, for those that grow again; the random ones by the seed
/// in `seeds[selection]`.
pub(super) fn growth(
    plan: &mut PlanBuilder,
    spec: &PruningSpec,
    t: &PrunedTensor,
    seeds: Slot,
    selection: u32,
) -> Result<Slot> {
    if spec.regrow == Regrow::Rigl {
        return t.gradient();
    }
    let score = plan.scratch(format!("{}.random", t.name), t.len);
    plan.push(RandomScore { seeds, selection, score, len: t.len })?;
    Ok(score)
}

/// Appends what protects the highest value of each column of `values [rows, columns]`.
fn floor(
    plan: &mut PlanBuilder,
    spec: &PruningSpec,
    name: &str,
    values: Slot,
    [rows, columns]: [u32; 2],
) -> Result<Option<Slot>> {
    // A unit of more inputs than the kernel takes has more than one weight at any sparsity in use.
    let exact = spec.threshold == Threshold::Exact;
    if !(spec.keep_units && exact) || rows > UnitPeak::MAX_ROWS {
        return Ok(None);
    }
    let (peaks, len) = (plan.scratch(format!("{name}.peaks"), columns), rows * columns);
    plan.push(UnitPeak { values, peaks, rows, columns })?;
    let protect = plan.scratch(format!("{name}.protect"), mask_words(len));
    plan.push(UnitFloor { peaks, protect, len, columns })?;
    Ok(Some(protect))
}
