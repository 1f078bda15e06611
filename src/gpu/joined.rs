//! Slots side by side in one buffer, for launches that go through all of them at once.
use super::kernel::{Access, Slot};
use super::plan::PlanBuilder;

/// A slot in a joined one begins at a multiple of so many words: the alignment that any adapter
/// asks of bindings, and the invocations of a workgroup, which so belongs to one of the slots.
pub const JOINT: u32 = 256;

/// Several slots as one.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Joined {
    /// All of them, from the first word of the first to the last of the last.
    pub slot: Slot,
    /// Where each begins in it, in words.
    pub begins: Vec<u32>,
}

impl PlanBuilder {
    /// Gives `slots` places side by side in one buffer, and a slot that is all of them. Each stays
    /// a slot that launches may bind.
    ///
    /// WebGPU tracks access by buffers. So from here on no launch may read one of them while it
    /// writes another, which [`push`](Self::push) refuses. `None` leaves all as they are: fewer
    /// than two, one twice, one that is joined otherwise, slots of different kinds or phases,
    /// scratch that nothing has written, or a launch that has read one of them while it wrote
    /// another.
    pub fn join(&mut self, slots: &[Slot]) -> Option<Joined> {
        let info = |slot: &Slot| self.slots.get(slot.id as usize);
        let infos: Vec<_> = slots.iter().map(info).collect::<Option<_>>()?;
        let (first, rest) = infos.split_first().filter(|(_, rest)| !rest.is_empty())?;
        let begins = joined_begins(slots.iter().map(|slot| slot.words))?;
        if let Some((whole, _)) = first.within {
            let known = |(info, &begin): (_, &u32)| {
                let info: &super::plan::SlotInfo = info;
                info.within == Some((whole, begin))
            };
            let as_they_are = infos.iter().copied().zip(&begins).all(known);
            let members = self.slots.iter().filter(|s| s.within.is_some_and(|(w, _)| w == whole));
            let slot = Slot { id: whole, words: self.slots[whole as usize].words };
            return (as_they_are && members.count() == slots.len())
                .then_some(Joined { slot, begins });
        }
        let twice = slots.iter().enumerate().any(|(i, slot)| slots[..i].contains(slot));
        let alike = rest.iter().all(|other| {
            (other.persistent, other.within) == (first.persistent, None)
                && (first.persistent || other.phase == first.phase)
        });
        let written = first.persistent || infos.iter().all(|info| info.span.is_some());
        let whole =
            |slot: &Slot| self.slots.iter().any(|s| s.within.is_some_and(|w| w.0 == slot.id));
        if twice || !alike || !written || slots.iter().any(whole) || self.mixes(slots) {
            return None;
        }
        let spans = infos.iter().filter_map(|info| info.span);
        let span = spans.reduce(|x, y| (x.0.min(y.0), x.1.max(y.1)));
        let (persistent, phase) = (first.persistent, first.phase);
        let words = begins.last()?.checked_add(slots.last()?.words)?;
        let name = format!("{} and {} more", first.name, rest.len());
        let slot =
            if persistent { self.persistent(name, words) } else { self.scratch(name, words) };
        let info = &mut self.slots[slot.id as usize];
        (info.span, info.phase) = (span, phase);
        for (member, &begin) in slots.iter().zip(&begins) {
            self.slots[member.id as usize].within = Some((slot.id, begin));
        }
        Some(Joined { slot, begins })
    }

    /// Whether a launch reads one of `slots` and writes another.
    fn mixes(&self, slots: &[Slot]) -> bool {
        self.launches.iter().any(|launch| {
            let touches = |how: Access| {
                let of = launch.operands.iter().filter(move |(_, access, _)| *access == how);
                of.filter_map(|&(_, _, slot)| slot).any(|slot| slots.contains(&slot))
            };
            touches(Access::Read) && touches(Access::Write)
        })
    }

    /// The joined slot that `slot` is in, or else itself.
    pub(super) fn whole_of(&self, slot: Slot) -> u32 {
        self.slots[slot.id as usize].within.map_or(slot.id, |(whole, _)| whole)
    }
}

/// Where slots of so many words begin when they are joined, if all of them fit.
pub(crate) fn joined_begins(words: impl IntoIterator<Item = u32>) -> Option<Vec<u32>> {
    let mut end = 0_u32;
    let one = |words: u32| {
        let begin = end.checked_next_multiple_of(JOINT)?;
        end = begin.checked_add(words)?;
        Some(begin)
    };
    words.into_iter().map(one).collect()
}
