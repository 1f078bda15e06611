//! The mask update as launches: select, pack, and zero what was pruned.
use super::schedule::pruned_count;
use super::spec::PruningSpec;
use super::targets::Targets;
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{
    ApplyMask, MaskBegin, Pruned, Ranked, Selection, TOPK_STATE_WORDS, UnitFloor, UnitPeak,
    mask_words,
};
use crate::{Error, Result};

/// One tensor that the update prunes.
#[derive(Debug, Clone)]
pub struct PrunedTensor {
    /// Its name, for the plan.
    pub name: String,
    /// The weights.
    pub weights: Slot,
    /// The mask to write.
    pub mask: Slot,
    /// [`crate::kernels::MaskState`]
    pub state: Slot,
    /// The optimizer's tensors of these weights.
    pub slots: Vec<Slot>,
    /// Elements.
    pub len: u32,
    /// Output units: the last extent.
    pub units: u32,
}

/// A mask update in a plan: what the host must say before each.
#[derive(Debug, Clone)]
pub struct MaskUpdate {
    counts: Slot,
    targets: Targets,
    /// Tensors that are ranked together.
    selections: Vec<Vec<usize>>,
    /// Elements of each selection.
    lens: Vec<u64>,
}

impl MaskUpdate {
    /// Appends the mask update of `tensors`, those that `targets` prunes, to the current phase of
    /// `plan`.
    ///
    /// # Errors
    /// [`Error::Plan`] from the kernels; [`Error::Argument`] for a group of 2^32 weights or more.
    pub fn push(
        plan: &mut PlanBuilder,
        spec: &PruningSpec,
        targets: Targets,
        tensors: &[PrunedTensor],
    ) -> Result<Self> {
        let selections = targets.selections();
        let counts = plan.persistent("prune.counts", selections.len() as u32);
        let histogram = plan.persistent("topk.histogram", Selection::HISTOGRAM_WORDS);
        let state = plan.persistent("topk.state", TOPK_STATE_WORDS);
        let mut lens = Vec::new();
        for (index, members) in (0..).zip(&selections) {
            let members: Vec<&PrunedTensor> = members.iter().map(|&m| &tensors[m]).collect();
            let len: u64 = members.iter().map(|t| u64::from(t.len)).sum();
            if len > u32::MAX.into() {
                let message = format!(
                    "{len} weights in one ranking, it takes {} at most; make smaller groups",
                    u32::MAX
                );
                return Err(Error::argument("scope", message));
            }
            lens.push(len);
            let ranked: Vec<Ranked> =
                members.iter().map(|t| begin(plan, spec, t)).collect::<Result<_>>()?;
            let selection = Selection { counts, selection: index, histogram, state };
            selection.push(plan, &members[0].name, &ranked)?;
        }
        if spec.pruned == Pruned::Zero {
            for t in tensors {
                for &values in [t.weights].iter().chain(&t.slots) {
                    plan.push(ApplyMask { mask: t.mask, values, len: t.len })?;
                }
            }
        }
        Ok(Self { counts, targets, selections, lens })
    }

    /// Where [`words`](Self::words) are written before the submission.
    pub fn counts(&self) -> Slot {
        self.counts
    }

    /// What the update to the total sparsity `total` needs from the host.
    pub fn words(&self, total: f64) -> Vec<u32> {
        let sparsities = self.targets.sparsities(total);
        let count = |(members, &len): (&Vec<usize>, &u64)| {
            // At most `len`, which fits a u32.
            pruned_count(len, sparsities[members[0]]) as u32
        };
        self.selections.iter().zip(&self.lens).map(count).collect()
    }

    /// Sparsity asked of each tensor; for one that is ranked with others that of all of them.
    pub fn sparsities(&self, total: f64) -> Vec<f64> {
        self.targets.sparsities(total)
    }

    /// The share of all pruned tensors' weights that the update to `total` clears.
    pub fn asked(&self, total: f64) -> f64 {
        let pruned: u64 = self.words(total).iter().map(|&count| u64::from(count)).sum();
        pruned as f64 / self.lens.iter().sum::<u64>() as f64
    }
}

/// Appends what comes before the selection of one tensor.
fn begin(plan: &mut PlanBuilder, spec: &PruningSpec, tensor: &PrunedTensor) -> Result<Ranked> {
    let &PrunedTensor { ref name, weights: values, mask, state: mask_state, len, units, .. } =
        tensor;
    plan.push(MaskBegin { mask_state })?;
    let rows = len / units;
    // A unit of more inputs than the kernel takes has more than one weight at any sparsity in use.
    let protect = if spec.keep_units && rows <= UnitPeak::MAX_ROWS {
        let peaks = plan.scratch(format!("{name}.peaks"), units);
        plan.push(UnitPeak { values, peaks, rows, columns: units })?;
        let protect = plan.scratch(format!("{name}.protect"), mask_words(len));
        plan.push(UnitFloor { peaks, protect, len, columns: units })?;
        Some(protect)
    } else {
        None
    };
    Ok(Ranked { values, protect, mask_state, mask, len })
}
