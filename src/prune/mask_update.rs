//! The mask update as launches: rank, select, pack, and zero what was pruned.
use super::choice::{Regrow, Threshold};
use super::pattern::{Among, Form};
use super::rank;
use super::schedule::pruned_count;
use super::score::Ranking;
use super::spec::PruningSpec;
use super::targets::Targets;
use super::tensor::PrunedTensor;
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{
    ApplyMask, ColumnSum, HistogramThreshold, KeptEnergy, Lift, MaskBegin, Pruned, Ranked,
    Selection, Settle, mask_words,
};
use crate::{Error, Result};

/// A mask update in a plan: what the host must say before each.
#[derive(Debug, Clone)]
pub struct MaskUpdate {
    spec: PruningSpec,
    targets: Targets,
    /// For each selection the number of units to prune, and where weights grow again before it the
    /// number to prune for now; for rankings in groups how many stay of each; for upstream's
    /// threshold the sparsity. Behind them, where weights grow at random, a seed for each tensor.
    counts: Slot,
    groups: Vec<Group>,
}

/// Tensors that are ranked together.
#[derive(Debug, Clone)]
struct Group {
    /// Their places among the pruned ones.
    members: Vec<usize>,
    /// Size of the groups within which its weights are ranked.
    size: Option<u32>,
    /// Weights, and what is ranked of them: weights or blocks.
    len: u64,
    units: u64,
}

impl MaskUpdate {
    /// Appends the mask update of `tensors`, those that `targets` prunes, to the current phase of
    /// `plan`.
    ///
    /// # Errors
    /// [`Error::Plan`] from the kernels; [`Error::Argument`] for a group of 2^32 weights or more,
    /// or another number of tensors than `targets` prunes.
    pub fn push(
        plan: &mut PlanBuilder,
        spec: &PruningSpec,
        targets: Targets,
        tensors: &[PrunedTensor],
    ) -> Result<Self> {
        let (have, need) = (tensors.len(), targets.structures().count());
        if have != need {
            let message = format!("{have} are given, the specification prunes {need}");
            return Err(Error::argument("tensors", message));
        }
        for t in tensors {
            let Some(anchor) = t.weight.anchor() else { continue };
            plan.push(Lift { weights: t.weights(), mask: t.mask(), anchor, len: t.len() })?;
        }
        let ranked: Vec<PrunedTensor> = tensors.iter().map(PrunedTensor::ranked).collect();
        let ranking = |(tensor, structure)| Ranking { spec, tensor, structure };
        let rankings: Vec<Ranking<'_>> =
            ranked.iter().zip(targets.structures()).map(ranking).collect();
        let group = |members| Group::new(members, &rankings);
        let groups: Vec<Group> =
            targets.selections().into_iter().map(group).collect::<Result<_>>()?;
        let per_group = if spec.regrow == Regrow::None { 1 } else { 2 };
        // The seeds of what grows at random are behind the counts.
        let seeds = groups.len() as u32 * per_group;
        let grown = if spec.regrow == Regrow::Set { tensors.len() as u32 } else { 0 };
        let counts = plan.persistent("prune.counts", seeds + grown);
        let (bins, state) = match spec.threshold {
            Threshold::Exact => (Selection::HISTOGRAM_WORDS, Selection::STATE_WORDS),
            Threshold::Histogram => (spec.nbins, 1),
        };
        let bins = plan.persistent("prune.bins", bins);
        let state = plan.persistent("prune.state", state);
        for (selection, group) in (0..).step_by(per_group as usize).zip(&groups) {
            let members: Vec<Ranking<'_>> = group.members.iter().map(|&i| rankings[i]).collect();
            let ranking = &members[0];
            match (ranking.structure.among(), spec.threshold) {
                (Among::Groups(groups), _) => {
                    let (t, values) = (ranking.tensor, rank::score(plan, ranking)?);
                    plan.push(MaskBegin { mask_state: t.state, keep_nan: false })?;
                    groups.push(plan, t, values, counts, selection)?;
                }
                (Among::All, Threshold::Exact) => {
                    let first = Selection { counts, selection, histogram: bins, state };
                    let seeds = group.members.iter().map(|&i| seeds + i as u32);
                    select(plan, &members, first, seeds)?;
                }
                (Among::All, Threshold::Histogram) => {
                    let ranked = rank::begin(plan, ranking)?;
                    let Ranked { values, mask_state, mask, len, .. } = ranked;
                    let (sparsities, peak) = (counts, state);
                    let (nbins, decay) = (spec.nbins, spec.threshold_decay);
                    HistogramThreshold { sparsities, selection, bins, peak, nbins, decay }
                        .push(plan, values, mask_state, mask, len)?;
                    rank::end(plan, ranking, &ranked)?;
                }
            }
        }
        for t in tensors {
            let rows = KeptEnergy::chunks(t.len());
            let partials = plan.scratch(format!("{}.kept_energy", t.name()), 2 * rows);
            plan.push(KeptEnergy { values: t.weights(), mask: t.mask(), partials, len: t.len() })?;
            plan.push(ColumnSum { x: partials, out: t.energy, rows, columns: 2 })?;
        }
        for t in tensors.iter().filter(|t| t.weight.stored.holds_zeros()) {
            let beside = t.weight.slots.iter().map(|&(_, slot)| slot);
            for values in [t.weights()].into_iter().chain(beside) {
                plan.push(ApplyMask { mask: t.mask(), values, len: t.len() })?;
            }
        }
        Ok(Self { spec: spec.clone(), targets, counts, groups })
    }

    /// Appends what follows the last mask update of all to the current phase of `plan`, where
    /// weights are drawn to their projection: they become it, and pruned ones are held at zero from
    /// there on.
    ///
    /// # Errors
    /// [`Error::Plan`] from the kernels.
    pub(crate) fn push_settle(plan: &mut PlanBuilder, tensors: &[PrunedTensor]) -> Result<()> {
        for t in tensors {
            let Some(anchor) = t.weight.anchor() else { continue };
            let (mask, len) = (t.mask(), t.len());
            plan.push(Settle { mask, weights: t.weights(), anchor, len })?;
            let beside = t.weight.slots.iter().map(|&(_, slot)| slot);
            for values in beside.filter(|&slot| slot != anchor) {
                plan.push(ApplyMask { mask, values, len })?;
            }
        }
        Ok(())
    }

    /// Whether no update follows the one after global step `step`, so that weights which are drawn
    /// to their projection become it.
    pub fn settles(&self, step: u64) -> bool {
        self.spec.pruned == Pruned::Pull && self.spec.next_update(step, step).is_none()
    }

    /// Where [`words`](Self::words) are written before the submission.
    pub fn counts(&self) -> Slot {
        self.counts
    }

    /// What the update after global step `step` to the total sparsity `total` needs from the host.
    pub fn words(&self, step: u64, total: f64) -> Vec<u32> {
        let sparsities = self.targets.sparsities(total);
        let fraction = self.spec.regrow_fraction_at(step);
        let words = |group: &Group| -> Vec<u32> {
            let sparsity = sparsities[group.members[0]];
            if self.spec.threshold == Threshold::Histogram {
                return vec![(sparsity as f32).to_bits()];
            }
            if let Some(size) = group.size {
                return vec![size - pruned_count(size.into(), sparsity) as u32];
            }
            let prune = pruned_count(group.units, sparsity);
            // As many as stay, at most as many as there are to grow.
            let exchanged = pruned_count(group.units - prune, fraction).min(prune);
            let dropped = (self.spec.regrow != Regrow::None).then_some(prune + exchanged);
            // At most `units`, which fits a u32.
            dropped.into_iter().chain([prune]).map(|count| count as u32).collect()
        };
        let tensors = self.groups.iter().map(|g| g.members.len()).sum::<usize>() as u32;
        let grown = if self.spec.regrow == Regrow::Set { tensors } else { 0 };
        let seed = |tensor| (step as u32).wrapping_mul(0x9e37_79b1).wrapping_add(tensor);
        self.groups.iter().flat_map(words).chain((0..grown).map(seed)).collect()
    }

    /// The share of all pruned tensors' weights that the update to `total` is to clear.
    pub fn asked(&self, total: f64) -> f64 {
        let pruned: f64 = self.pruned(total).sum();
        pruned / self.groups.iter().map(|g| g.len as f64).sum::<f64>()
    }

    /// The share of each tensor's weights that the update to `total` is to clear; `None` of one
    /// that is ranked together with others.
    pub fn asked_of_each(&self, total: f64) -> Vec<Option<f64>> {
        let tensors = self.groups.iter().map(|group| group.members.len()).sum();
        let mut asked = vec![None; tensors];
        for (group, pruned) in self.groups.iter().zip(self.pruned(total)) {
            if let [alone] = group.members[..] {
                asked[alone] = Some(pruned / group.len as f64);
            }
        }
        asked
    }

    /// How many weights of each group the update to `total` is to clear.
    fn pruned(&self, total: f64) -> impl Iterator<Item = f64> {
        let sparsities = self.targets.sparsities(total);
        let structures: Vec<&dyn Form> = self.targets.structures().collect();
        self.groups.iter().map(move |group| {
            let first = group.members[0];
            let sparsity = sparsities[first];
            let pruned = pruned_count(group.units, sparsity) as f64 / group.units as f64;
            match structures[first].among() {
                Among::All => group.len as f64 * pruned,
                Among::Groups(groups) => {
                    let count = pruned_count(groups.size().into(), sparsity);
                    groups.pruned(count as u32, group.len) as f64
                }
            }
        })
    }
}

impl Group {
    fn new(members: Vec<usize>, rankings: &[Ranking<'_>]) -> Result<Self> {
        let len: u64 = members.iter().map(|&i| u64::from(rankings[i].tensor.len())).sum();
        if len > u32::MAX.into() {
            let most = u32::MAX;
            let message =
                format!("{len} weights in one ranking, it takes {most}; make smaller groups");
            return Err(Error::argument("scope", message));
        }
        let units = members.iter().map(|&i| u64::from(rankings[i].len())).sum();
        let size = match rankings[members[0]].structure.among() {
            Among::Groups(groups) => Some(groups.size()),
            Among::All => None,
        };
        Ok(Self { members, size, len, units })
    }
}

/// Appends what chooses the masks of the tensors of one group exactly.
fn select(
    plan: &mut PlanBuilder,
    members: &[Ranking<'_>],
    first: Selection,
    seeds: impl Iterator<Item = u32>,
) -> Result<()> {
    let name = members[0].tensor.name();
    let mut ranked: Vec<Ranked> =
        members.iter().map(|ranking| rank::begin(plan, ranking)).collect::<Result<_>>()?;
    if members[0].spec.regrow == Regrow::None {
        first.push(plan, name, &ranked)?;
        return members.iter().zip(&ranked).try_for_each(|(m, r)| rank::end(plan, m, r));
    }
    // What stays of the old goes into masks of its own, protected from what grows beside it.
    for (ranked, Ranking { tensor: t, .. }) in ranked.iter_mut().zip(members) {
        ranked.mask = plan.scratch(format!("{}.kept", t.name()), mask_words(t.len()));
    }
    first.push(plan, name, &ranked)?;
    for ((ranked, member), seed) in ranked.iter_mut().zip(members).zip(seeds) {
        let t = member.tensor;
        plan.push(MaskBegin { mask_state: t.state, keep_nan: true })?;
        let values = rank::growth(plan, member, first.counts, seed)?;
        *ranked =
            Ranked { values, protect: Some(ranked.mask), scores: false, mask: t.mask(), ..*ranked };
    }
    Selection { selection: first.selection + 1, ..first }.push(plan, name, &ranked)
}
