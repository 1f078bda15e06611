//! The mask update as launches: rank, select, pack, and zero what was pruned.
use super::choice::{Regrow, Threshold};
use super::schedule::pruned_count;
use super::spec::PruningSpec;
use super::targets::Targets;
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{
    ApplyMask, HistogramThreshold, MaskBegin, Pruned, Ranked, Selection, TOPK_STATE_WORDS,
    UnitFloor, UnitPeak, mask_words,
};
use crate::{Error, Result};

/// One tensor that the update prunes.
#[derive(Debug, Clone)]
pub struct PrunedTensor {
    /// Its name, for the plan.
    pub name: String,
    /// The weights.
    pub weights: Slot,
    /// Their last gradient, where [`PruningSpec::needs_gradients`].
    pub gradient: Option<Slot>,
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
    spec: PruningSpec,
    targets: Targets,
    /// For each selection the number of weights to prune, and where weights grow again before it
    /// the number to prune for now; for upstream's threshold the sparsity.
    counts: Slot,
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
        let per_selection = if spec.regrow == Regrow::None { 1 } else { 2 };
        let counts = plan.persistent("prune.counts", selections.len() as u32 * per_selection);
        let groups: Vec<Vec<&PrunedTensor>> =
            selections.iter().map(|s| s.iter().map(|&m| &tensors[m]).collect()).collect();
        let lens = groups.iter().map(|g| ranking_len(g)).collect::<Result<_>>()?;
        match spec.threshold {
            Threshold::Exact => exact(plan, spec, counts, per_selection, &groups)?,
            Threshold::Histogram => histogram(plan, spec, counts, tensors)?,
        }
        if spec.pruned == Pruned::Zero {
            for t in tensors {
                for &values in [t.weights].iter().chain(&t.slots) {
                    plan.push(ApplyMask { mask: t.mask, values, len: t.len })?;
                }
            }
        }
        Ok(Self { spec: spec.clone(), targets, counts, selections, lens })
    }

    /// Where [`words`](Self::words) are written before the submission.
    pub fn counts(&self) -> Slot {
        self.counts
    }

    /// What the update after global step `step` to the total sparsity `total` needs from the host.
    pub fn words(&self, step: u64, total: f64) -> Vec<u32> {
        if self.spec.threshold == Threshold::Histogram {
            let sparsities = self.targets.sparsities(total);
            return sparsities.into_iter().map(|s| (s as f32).to_bits()).collect();
        }
        let fraction = self.spec.regrow_fraction_at(step);
        let words = |(len, prune): (u64, u64)| {
            let kept = len - prune;
            // At most as many as there are to grow.
            let exchanged = pruned_count(kept, fraction).min(prune);
            let dropped = (self.spec.regrow != Regrow::None).then_some(prune + exchanged);
            // At most `len`, which fits a u32.
            dropped.into_iter().chain([prune]).map(|count| count as u32)
        };
        self.pruned(total).flat_map(words).collect()
    }

    /// The share of all pruned tensors' weights that the update to `total` clears.
    pub fn asked(&self, total: f64) -> f64 {
        let pruned: u64 = self.pruned(total).map(|(_, prune)| prune).sum();
        pruned as f64 / self.lens.iter().sum::<u64>() as f64
    }

    /// Elements of each selection, and how many of them an update to `total` prunes.
    fn pruned(&self, total: f64) -> impl Iterator<Item = (u64, u64)> {
        let sparsities = self.targets.sparsities(total);
        let of = move |(members, &len): (&Vec<usize>, &u64)| {
            (len, pruned_count(len, sparsities[members[0]]))
        };
        self.selections.iter().zip(&self.lens).map(of)
    }
}

/// Elements of a ranking, within the reach of its counters.
fn ranking_len(members: &[&PrunedTensor]) -> Result<u64> {
    let len: u64 = members.iter().map(|t| u64::from(t.len)).sum();
    if len <= u32::MAX.into() {
        return Ok(len);
    }
    let most = u32::MAX;
    let message = format!("{len} weights in one ranking, it takes {most}; make smaller groups");
    Err(Error::argument("scope", message))
}

/// Appends exact selections, one for each of `groups`.
fn exact(
    plan: &mut PlanBuilder,
    spec: &PruningSpec,
    counts: Slot,
    per_selection: u32,
    groups: &[Vec<&PrunedTensor>],
) -> Result<()> {
    let histogram = plan.persistent("topk.histogram", Selection::HISTOGRAM_WORDS);
    let state = plan.persistent("topk.state", TOPK_STATE_WORDS);
    for (index, members) in (0..).zip(groups) {
        let first = Selection { counts, selection: index * per_selection, histogram, state };
        let last = Selection { selection: first.selection + per_selection - 1, ..first };
        select(plan, spec, members, [first, last])?;
    }
    Ok(())
}

/// Appends upstream's thresholds, one for each tensor.
fn histogram(
    plan: &mut PlanBuilder,
    spec: &PruningSpec,
    sparsities: Slot,
    tensors: &[PrunedTensor],
) -> Result<()> {
    let (nbins, decay) = (spec.nbins, spec.threshold_decay);
    let bins = plan.persistent("threshold.bins", nbins);
    let peak = plan.persistent("threshold.peak", 1);
    for (selection, t) in (0..).zip(tensors) {
        plan.push(MaskBegin { mask_state: t.state, keep_nan: false })?;
        let threshold = HistogramThreshold { sparsities, selection, bins, peak, nbins, decay };
        threshold.push(plan, t.weights, t.state, t.mask, t.len)?;
    }
    Ok(())
}

/// Appends what chooses the masks of the tensors of one selection.
fn select(
    plan: &mut PlanBuilder,
    spec: &PruningSpec,
    members: &[&PrunedTensor],
    [first, last]: [Selection; 2],
) -> Result<()> {
    let name = &members[0].name;
    let mut ranked = Vec::new();
    for t in members {
        plan.push(MaskBegin { mask_state: t.state, keep_nan: false })?;
        let protect = floor(plan, spec, t)?;
        let (values, mask_state, mask, len) = (t.weights, t.state, t.mask, t.len);
        ranked.push(Ranked { values, protect, scores: true, mask_state, mask, len });
    }
    if spec.regrow == Regrow::None {
        return last.push(plan, name, &ranked);
    }
    // What stays of the old goes into masks of its own, protected from what grows beside it.
    for (ranked, t) in ranked.iter_mut().zip(members) {
        ranked.mask = plan.scratch(format!("{}.kept", t.name), mask_words(t.len));
    }
    first.push(plan, name, &ranked)?;
    for (ranked, t) in ranked.iter_mut().zip(members) {
        plan.push(MaskBegin { mask_state: t.state, keep_nan: false })?;
        let gradient = t.gradient.expect("a gradient for what grows by it");
        let protect = Some(ranked.mask);
        *ranked = Ranked { values: gradient, protect, scores: false, mask: t.mask, ..*ranked };
    }
    last.push(plan, name, &ranked)
}

/// Appends what protects the highest weight of each output unit.
fn floor(plan: &mut PlanBuilder, spec: &PruningSpec, t: &PrunedTensor) -> Result<Option<Slot>> {
    let (len, columns, rows) = (t.len, t.units, t.len / t.units);
    // A unit of more inputs than the kernel takes has more than one weight at any sparsity in use.
    if !spec.keep_units || rows > UnitPeak::MAX_ROWS {
        return Ok(None);
    }
    let peaks = plan.scratch(format!("{}.peaks", t.name), columns);
    plan.push(UnitPeak { values: t.weights, peaks, rows, columns })?;
    let protect = plan.scratch(format!("{}.protect", t.name), mask_words(len));
    plan.push(UnitFloor { peaks, protect, len, columns })?;
    Ok(Some(protect))
}
