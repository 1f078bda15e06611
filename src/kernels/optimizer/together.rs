//! Tensors that are moved by one launch, on adapters where a launch costs more than they do.
use std::sync::Arc;

use super::rule::{Moved, Rule};
use crate::Result;
use crate::gpu::{
    Bound, JOINT, Kernel, Operand, PlanBuilder, Slot, Uniform, Variant, joined_begins,
};
use crate::kernels::{Pruned, Weights};

/// Most weights of a tensor that shares a launch: moving more takes longer than a launch does.
const SMALL: u32 = 1 << 18;
/// Most weights of a launch: their gradients take memory from the first of them on.
const MOST: u32 = 1 << 22;
/// Place of the mask among an optimizer's operands.
const MASK: usize = 1;
/// Words of the table for each workgroup.
const ENTRY: usize = 4;

/// A launch of the optimizer's kernel `K` for several tensors side by side, to the bits of a launch
/// for each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Together<K> {
    of: K,
    /// The table, and behind it the masks.
    table: Slot,
}

impl<K: Kernel<Params: Uniform<Self>>> Kernel for Together<K> {
    const NAME: &'static str = K::NAME;
    const WGSL: &'static str = K::WGSL;
    const VARIANTS: &'static [Variant] = K::VARIANTS;
    const OPERANDS: &'static [Operand] = K::OPERANDS;
    type Params = K::Params;

    fn bind(&self) -> Vec<Bound> {
        let mut bound = self.of.bind();
        bound[MASK] = self.table.needs(self.table.words.into());
        bound
    }

    fn params(&self) -> K::Params {
        self.of.params()
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.of.constants()
    }

    fn variant(&self) -> Option<&'static Variant> {
        Self::VARIANTS.first()
    }

    fn grid(&self) -> [u32; 3] {
        self.of.grid()
    }
}

impl Moved<'_> {
    /// Appends the optimizer's kernel, for this tensor or for those that it is.
    pub(super) fn push<K>(&self, plan: &mut PlanBuilder, kernel: K) -> Result<()>
    where
        K: Kernel<Params: Uniform<Together<K>>>,
    {
        match self.table {
            Some(table) => plan.push(Together { of: kernel, table }),
            None => plan.push(kernel),
        }
    }

    fn mode(&self) -> Option<Pruned> {
        self.on.mask.map(|(_, mode)| mode)
    }
}

/// Appends what moves `all`: on a GPU a launch for all small tensors that the same uniform and
/// constants serve.
pub(super) fn push_all(rule: &dyn Rule, plan: &mut PlanBuilder, all: &[Moved<'_>]) -> Result<()> {
    for group in groups(rule, all, !plan.target().software) {
        match joined(rule, plan, &group) {
            Some(Joint { on, slots, table }) => {
                let first = group[0];
                rule.push(plan, &Moved { on, slots: &slots, table: Some(table), ..*first })?;
            }
            None => group.into_iter().try_for_each(|one| rule.push(plan, one))?,
        }
    }
    Ok(())
}

/// What goes into one launch each, by the first of them.
fn groups<'a, 'b>(
    rule: &dyn Rule,
    all: &'a [Moved<'b>],
    together: bool,
) -> Vec<Vec<&'a Moved<'b>>> {
    let decays = |one: &Moved<'_>| [one.decay, one.decay_by(rule.weight_decay())].map(f32::to_bits);
    let words = |one: &Moved<'_>| one.on.len.next_multiple_of(JOINT);
    let mut groups: Vec<Vec<&Moved<'_>>> = Vec::new();
    for one in all {
        let takes = |group: &&mut Vec<&Moved<'_>>| {
            let modes = group.iter().filter_map(|other| other.mode());
            let len = group.iter().map(|other| words(other)).sum::<u32>();
            let small = group[0].on.len.max(one.on.len) <= SMALL && len <= MOST - SMALL;
            let one_mode = modes.chain(one.mode()).collect::<Vec<_>>();
            small
                && decays(group[0]) == decays(one)
                && group[0].on.step == one.on.step
                && one_mode.windows(2).all(|pair| pair[0] == pair[1])
        };
        match groups.iter_mut().find(takes).filter(|_| together) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups
}

/// Several tensors, and what belongs to them, as one each.
struct Joint {
    on: Weights,
    slots: Vec<(&'static str, Slot)>,
    /// What tells the tensors apart, and behind it their masks.
    table: Slot,
}

/// The tensors of `group` as one. `None` where they cannot be joined.
fn joined(rule: &dyn Rule, plan: &mut PlanBuilder, group: &[&Moved<'_>]) -> Option<Joint> {
    let (first, kept) = (group.first().filter(|_| group.len() > 1)?, rule.slots().len());
    if group.iter().any(|one| one.slots.len() < kept) {
        return None;
    }
    let begins = joined_begins(group.iter().map(|one| one.on.len))?;
    let len = begins.last()?.checked_add(group.last()?.on.len)?;
    // Slots that are longer than the weights may begin elsewhere.
    let mut join = |of: &dyn Fn(&Moved<'_>) -> Slot| {
        let slots: Vec<Slot> = group.iter().map(|one| of(one)).collect();
        let alike = joined_begins(slots.iter().map(|slot| slot.words))? == begins;
        let joined = if alike { plan.join(&slots) } else { None };
        joined.map(|joined| joined.slot)
    };
    let (gradient, weights) = (join(&|one| one.on.gradient)?, join(&|one| one.on.weights)?);
    let slots = (0..kept).map(|n| Some((first.slots[n].0, join(&|one| one.slots[n].1)?)));
    let slots = slots.collect::<Option<Vec<_>>>()?;
    let masks: Vec<Slot> = group.iter().filter_map(|one| one.on.mask).map(|(m, _)| m).collect();
    let table = plan.constant("tensors", &table(group, &begins, &masks)?);
    let behind = [&[table], &masks[..]].concat();
    let table = if masks.is_empty() { table } else { plan.join(&behind)?.slot };
    let mode = group.iter().find_map(|one| one.mode());
    let mask = mode.map(|mode| (table, mode));
    let on = Weights { gradient, mask, step: first.on.step, weights, len };
    Some(Joint { on, slots, table })
}

/// What `optimizer_together.wgsl` says of each workgroup, as the bits of floats.
fn table(group: &[&Moved<'_>], begins: &[u32], masks: &[Slot]) -> Option<Arc<[f32]>> {
    let entries: u32 = group.iter().map(|one| one.on.len.div_ceil(JOINT)).sum();
    let words = [entries * ENTRY as u32].into_iter().chain(masks.iter().map(|mask| mask.words));
    let mut places = joined_begins(words)?.into_iter().skip(1);
    let mut table = Vec::with_capacity(entries as usize * ENTRY);
    for (one, &begin) in group.iter().zip(begins) {
        let place = one.on.mask.and_then(|_| places.next());
        let first_bit = place.unwrap_or_default().wrapping_mul(32).wrapping_sub(begin);
        let entry = [begin + one.on.len, first_bit, u32::from(place.is_some()), 0];
        for _ in 0..one.on.len.div_ceil(JOINT) {
            table.extend(entry.map(f32::from_bits));
        }
    }
    Some(table.into())
}
