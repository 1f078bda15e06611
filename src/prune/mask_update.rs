//! The mask update as launches: select, pack, and zero what was pruned.
use crate::Result;
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{ApplyMask, MaskBegin, Pruned, Ranked, Selection, TOPK_STATE_WORDS};

/// One tensor that the update prunes.
#[derive(Debug, Clone)]
pub struct PrunedTensor {
    /// Its name, for the plan.
    pub name: String,
    /// The weights.
    pub weights: Slot,
    /// The mask to write.
    pub mask: Slot,
    /// [`crate::kernels::MaskState`].
    pub state: Slot,
    /// The optimizer's tensors of these weights.
    pub slots: Vec<Slot>,
    /// Elements.
    pub len: u32,
}

/// Appends the mask update of `tensors` to the current phase of `plan`. `counts` holds the number
/// of weights to prune in each; the host writes it before the submission.
///
/// # Errors
/// [`crate::Error::Plan`] from the kernels.
pub fn push_mask_update(
    plan: &mut PlanBuilder,
    counts: Slot,
    tensors: &[PrunedTensor],
    pruned: Pruned,
) -> Result<()> {
    let histogram = plan.persistent("topk.histogram", Selection::HISTOGRAM_WORDS);
    let topk = plan.persistent("topk.state", TOPK_STATE_WORDS);
    for (selection, t) in (0..).zip(tensors) {
        let &PrunedTensor { weights, mask, state, len, .. } = t;
        plan.push(MaskBegin { mask_state: state })?;
        let tensor = Ranked { values: weights, protect: None, mask_state: state, mask, len };
        let selection = Selection { counts, selection, histogram, state: topk };
        selection.push(plan, &t.name, &[tensor])?;
        if pruned == Pruned::Zero {
            for &values in [weights].iter().chain(&t.slots) {
                plan.push(ApplyMask { mask, values, len })?;
            }
        }
    }
    Ok(())
}
