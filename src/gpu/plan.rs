//! Collecting launches: pure, so that a plan can be printed, tested and refused without a GPU.
use std::fmt;
use std::sync::Arc;

use super::cut::{self, Piece};
use super::kernel::{Access, Bound, Kernel, Operand, Slot};
use super::planner::{self, Assignment, Life, Memory};
use super::program;
use super::target::Target;
use super::trusted::Source;
use crate::error::Bytes;
use crate::{Error, Result};

/// WebGPU's default limit of storage bindings in one shader.
const MAX_OPERANDS: usize = 8;

/// A named run of launches that is encoded as a whole: a train step, a mask update, an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase(pub(super) usize);

/// Collects phases, launches and slots; no GPU is touched until [`build`](Self::build).
#[derive(Debug, Default)]
pub struct PlanBuilder {
    target: Target,
    pub(super) slots: Vec<SlotInfo>,
    pub(super) phases: Vec<PhaseInfo>,
    pub(super) launches: Vec<Launch>,
    /// Slots with what they hold from the beginning.
    pub(super) constants: Vec<(Slot, Arc<[f32]>)>,
    /// Bytes that whoever runs it stages besides.
    staging: u64,
}

#[derive(Debug)]
pub(super) struct SlotInfo {
    pub(super) name: String,
    pub(super) words: u32,
    pub(super) persistent: bool,
    /// First and last launch so far.
    pub(super) span: Option<(usize, usize)>,
    /// Phase of the first launch.
    pub(super) phase: usize,
    /// The joined slot that it is in, and where it begins there.
    pub(super) within: Option<(u32, u32)>,
}

#[derive(Debug)]
pub(super) struct PhaseInfo {
    pub(super) name: String,
    /// First launch; it ends where the next phase begins.
    pub(super) start: usize,
}

#[derive(Debug)]
pub(super) struct Launch {
    pub(super) name: &'static str,
    /// Name of the kernel's variant, where it is one.
    pub(super) variant: Option<&'static str>,
    pub(super) source: Source,
    pub(super) constants: Vec<(&'static str, u64)>,
    /// Operand name, access, slot; `None` where the launch leaves the operand alone.
    pub(super) operands: Vec<(&'static str, Access, Option<Slot>)>,
    pub(super) params: Vec<u8>,
    pub(super) grid: [u32; 3],
}

impl PlanBuilder {
    /// An empty plan for what `target` says; `default()` is one for any device.
    pub fn new(target: Target) -> Self {
        Self { target, ..Self::default() }
    }

    /// What the plan is for: kernels choose their variants by it.
    pub fn target(&self) -> Target {
        self.target
    }

    /// A slot that keeps its contents from step to step: weights, masks, optimizer slots, inputs.
    pub fn persistent(&mut self, name: impl Into<String>, words: u32) -> Slot {
        self.slot(name.into(), words, true)
    }

    /// A slot that lives from its first write to its last read inside one phase.
    pub fn scratch(&mut self, name: impl Into<String>, words: u32) -> Slot {
        self.slot(name.into(), words, false)
    }

    /// A slot that holds `values` from the beginning, for launches that read it. The same bits have
    /// one slot, whoever asks.
    pub fn constant(&mut self, name: impl Into<String>, values: &Arc<[f32]>) -> Slot {
        let bits = bytemuck::cast_slice::<f32, u32>;
        let same = |other: &Arc<[f32]>| Arc::ptr_eq(other, values) || bits(other) == bits(values);
        let known = self.constants.iter().find(|(_, other)| same(other));
        if let Some(&(slot, _)) = known {
            return slot;
        }
        let words = u32::try_from(values.len()).expect("fewer than 2^32 values");
        let slot = self.persistent(name, words);
        self.constants.push((slot, values.clone()));
        slot
    }

    fn slot(&mut self, name: String, words: u32, persistent: bool) -> Slot {
        let id = u32::try_from(self.slots.len()).expect("fewer than 2^32 slots");
        let (span, phase, within) = (None, usize::MAX, None);
        self.slots.push(SlotInfo { name, words, persistent, span, phase, within });
        Slot { id, words }
    }

    /// Starts a phase; launches pushed from here on belong to it.
    pub fn phase(&mut self, name: impl Into<String>) -> Phase {
        self.phases.push(PhaseInfo { name: name.into(), start: self.launches.len() });
        Phase(self.phases.len() - 1)
    }

    /// Appends one launch to the current phase, or several where it would take too long for one
    /// ([`Target::most_operations`](super::Target::most_operations)).
    ///
    /// # Errors
    /// [`Error::Plan`] names kernel and operand: a slot too short, scratch read before it is
    /// written or used in two phases, one slot bound twice when either is a write, a written
    /// operand left alone, too many operands, a uniform over 256 bytes, or a limit of the kernel.
    pub fn push<K: Kernel>(&mut self, kernel: K) -> Result<()> {
        let refuse = |message: String| Error::Plan { kernel: K::NAME.to_owned(), message };
        let bound = kernel.bind();
        if bound.len() != K::OPERANDS.len() {
            let (bound, named) = (bound.len(), K::OPERANDS.len());
            return Err(refuse(format!("bind() has {bound} operands, OPERANDS names {named}")));
        }
        let bytes = size_of::<K::Params>();
        if bytes > program::UNIFORM_STRIDE {
            let most = program::UNIFORM_STRIDE;
            return Err(refuse(format!(
                "the uniform has {bytes} bytes, a launch takes {most}; put the rest into an operand"
            )));
        }
        kernel.check().map_err(refuse)?;
        if bound.len() > MAX_OPERANDS {
            let n = bound.len();
            return Err(refuse(format!("{n} storage operands, WebGPU allows {MAX_OPERANDS}")));
        }
        let (grid, cut) = (kernel.grid(), kernel.cut());
        if grid.iter().any(|&g| g == 0 || (g > 65_535 && cut.is_none())) {
            return Err(refuse(format!("grid {grid:?} is not within 1..=65535 in each dimension")));
        }
        if let Some(cut) = cut.filter(|cut| cut.first % 4 != 0 || cut.first + 12 > bytes) {
            let first = cut.first;
            return Err(refuse(format!(
                "cut() has the first workgroup at byte {first}, the uniform has {bytes} bytes"
            )));
        }
        let phase = self.phases.len().checked_sub(1).ok_or_else(|| {
            refuse("pushed before the first phase; call phase() first".to_owned())
        })?;
        for (i, (operand, b)) in K::OPERANDS.iter().zip(&bound).enumerate() {
            let Some(slot) = b.slot else {
                if operand.access == Access::Write {
                    let name = operand.name;
                    return Err(refuse(format!("operand `{name}` is written: bind a slot to it")));
                }
                continue;
            };
            let Some(info) = self.slots.get(slot.id as usize) else {
                let name = operand.name;
                return Err(refuse(format!("operand `{name}` is bound to a slot of another plan")));
            };
            let what = format!("operand `{}` ({})", operand.name, info.name);
            if b.words == 0 {
                return Err(refuse(format!("{what}: a launch over 0 words; sizes start at 1")));
            }
            if u64::from(info.words) < b.words {
                let (have, need) = (info.words, b.words);
                return Err(refuse(format!("{what} holds {have} words, the launch needs {need}")));
            }
            // Of a joined slot one may be read while another is, and written likewise.
            let clash = |(o, other): &(&Bound, &Operand)| {
                let Some(earlier) = o.slot else { return false };
                let same = self.whole_of(earlier) == self.whole_of(slot);
                let whole = [earlier, slot].iter().any(|s| s.id == self.whole_of(*s));
                let accesses = [operand.access, other.access];
                let mixed = accesses[0] != accesses[1];
                same && (mixed || whole && accesses[0] == Access::Write || earlier == slot)
                    && accesses.contains(&Access::Write)
            };
            if let Some((_, other)) = bound[..i].iter().zip(K::OPERANDS).find(clash) {
                let other = other.name;
                return Err(refuse(format!("{what} is also bound to `{other}`, and one writes")));
            }
            if !info.persistent && info.span.is_none() && operand.access == Access::Read {
                return Err(refuse(format!("{what} is scratch that nothing has written yet")));
            }
            if !info.persistent && info.span.is_some() && info.phase != phase {
                let first = &self.phases[info.phase].name;
                return Err(refuse(format!("{what} is scratch of phase {first}")));
            }
        }
        let pieces = match cut {
            Some(cut) => cut::pieces(grid, cut.operations, self.target.most_operations),
            None => vec![Piece { first: [0; 3], grid }],
        };
        let (at, last) = (self.launches.len(), self.launches.len() + pieces.len() - 1);
        for slot in bound.iter().filter_map(|b| b.slot) {
            for id in [slot.id, self.whole_of(slot)] {
                let info = &mut self.slots[id as usize];
                info.span = Some((info.span.map_or(at, |(first, _)| first), last));
                info.phase = phase;
            }
        }
        let (variant, source) = (kernel.variant().map(|v| v.name), Source::of(&kernel));
        let constants: Vec<_> =
            kernel.constants().into_iter().map(|(n, v)| (n, v.to_bits())).collect();
        let operand = |(o, b): (&Operand, &Bound)| (o.name, o.access, b.slot);
        let operands: Vec<_> = K::OPERANDS.iter().zip(&bound).map(operand).collect();
        let whole = bytemuck::bytes_of(&kernel.params()).to_vec();
        for Piece { first, grid } in pieces {
            let mut params = whole.clone();
            if let Some(cut) = cut {
                let place = &mut params[cut.first..cut.first + 12];
                let own: [u32; 3] = bytemuck::pod_read_unaligned(place);
                let first: [u32; 3] = std::array::from_fn(|axis| own[axis] + first[axis]);
                place.copy_from_slice(bytemuck::bytes_of(&first));
            }
            self.launches.push(Launch {
                name: K::NAME,
                variant,
                source,
                constants: constants.clone(),
                operands: operands.clone(),
                params,
                grid,
            });
        }
        Ok(())
    }

    /// Keeps the contents of scratch to the end of the phase in hand, for copies that follow it in
    /// the same submission. Persistent slots keep theirs anyway.
    pub fn keep(&mut self, slots: &[Slot]) {
        let last = self.launches.len().saturating_sub(1);
        for &slot in slots {
            for id in [slot.id, self.whole_of(slot)] {
                if let Some((_, end)) = &mut self.slots[id as usize].span {
                    *end = last;
                }
            }
        }
    }

    /// Counts `bytes` in [`Memory::staging`], of buffers that are not the plan's.
    pub fn stage(&mut self, bytes: u64) {
        self.staging += bytes;
    }

    /// Bytes that [`build`](Self::build) will allocate, and those told to [`stage`](Self::stage).
    pub fn memory(&self) -> Memory {
        let lives = self.lives();
        let own = program::staging(self.launches.len());
        planner::memory(&lives, &planner::assign(&lives), own + self.staging)
    }

    /// That the plan's [`peak`](Memory::peak) is within `budget`, if there is one.
    ///
    /// # Errors
    /// [`Error::MemoryBudget`] names both and the three largest tensors.
    pub fn check_budget(&self, budget: Option<u64>) -> Result<()> {
        let bytes = self.memory().peak();
        match budget {
            Some(budget) if bytes > budget => {
                Err(Error::MemoryBudget { bytes, budget, largest: self.largest(3) })
            }
            _ => Ok(()),
        }
    }

    /// The tensors that make the `n` largest buffers as large as they are.
    fn largest(&self, n: usize) -> String {
        let assignment = self.assignment();
        let mut largest: Vec<Option<&SlotInfo>> = vec![None; assignment.words.len()];
        let mut joined: Vec<&SlotInfo> = Vec::new();
        let wholes: Vec<_> = self.slots.iter().filter_map(|s| Some(s.within?.0 as usize)).collect();
        for (i, (slot, &home)) in self.slots.iter().zip(&assignment.home).enumerate() {
            if slot.within.is_some() {
                joined.push(slot);
            } else if !wholes.contains(&i) && largest[home].is_none_or(|o| o.words < slot.words) {
                largest[home] = Some(slot);
            }
        }
        let mut largest: Vec<_> = largest.into_iter().flatten().chain(joined).collect();
        largest.sort_by_key(|slot| (std::cmp::Reverse(slot.words), !slot.persistent));
        let named = largest.iter().take(n).map(|slot| {
            let (bytes, kind) = (u64::from(slot.words) * 4, ["scratch", "persistent"]);
            format!("{} ({}, {})", slot.name, Bytes(bytes), kind[usize::from(slot.persistent)])
        });
        named.collect::<Vec<_>>().join(", ")
    }

    pub(super) fn assignment(&self) -> Assignment {
        planner::assign(&self.lives())
    }

    fn lives(&self) -> Vec<Life> {
        // A scratch slot that nothing uses gets the smallest possible life.
        let span = |s: &SlotInfo| (!s.persistent).then(|| s.span.unwrap_or((0, 0)));
        let within = |s: &SlotInfo| s.within.map(|(whole, _)| whole as usize);
        let life = |s: &SlotInfo| Life { words: s.words, span: span(s), within: within(s) };
        self.slots.iter().map(life).collect()
    }

    /// Buffers are numbered with those of persistent slots first; see `planner::assign`.
    pub(super) fn persistent_buffers(&self) -> usize {
        self.slots.iter().filter(|s| s.persistent && s.within.is_none()).count()
    }

    /// Where `slot` begins in its buffer, in words.
    pub(super) fn begin(&self, slot: Slot) -> u32 {
        self.slots[slot.id as usize].within.map_or(0, |(_, begin)| begin)
    }

    /// Words of `slot`, as this plan has them.
    pub(super) fn words(&self, slot: Slot) -> u32 {
        self.slots[slot.id as usize].words
    }

    /// How many launches of `phase` it takes until `slot` is written for the last time; 0 where
    /// none writes it.
    pub(crate) fn written_after(&self, phase: Phase, slot: Slot) -> usize {
        let writes = |launch: &Launch| {
            let of = |s: Slot| s == slot || s.id == self.whole_of(slot);
            launch
                .operands
                .iter()
                .any(|&(_, access, s)| access == Access::Write && s.is_some_and(of))
        };
        let last = self.launches[self.launches_of(phase)].iter().rposition(writes);
        last.map_or(0, |last| last + 1)
    }

    /// Launches so far.
    pub(crate) fn launches(&self) -> usize {
        self.launches.len()
    }

    pub(super) fn launches_of(&self, phase: Phase) -> std::ops::Range<usize> {
        let end = self.phases.get(phase.0 + 1).map_or(self.launches.len(), |p| p.start);
        self.phases[phase.0].start..end
    }
}

/// The plan as text: memory, then every launch with operands, buffers and grid, and `(checked)`
/// where it is another crate's kernel.
impl fmt::Display for PlanBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let assignment = self.assignment();
        let Memory { persistent, scratch, unshared, .. } = self.memory();
        writeln!(
            f,
            "{} launches, {} slots in {} buffers; {persistent} B persistent, \
             {scratch} B scratch shared by {unshared} B",
            self.launches.len(),
            self.slots.len(),
            assignment.words.len(),
        )?;
        for (i, phase) in self.phases.iter().enumerate() {
            writeln!(f, "{}:", phase.name)?;
            for launch in &self.launches[self.launches_of(Phase(i))] {
                write!(f, "  {:<22}", launch.name)?;
                for (name, access, slot) in &launch.operands {
                    let arrow = if *access == Access::Write { "->" } else { "" };
                    match slot.map(|s| s.id as usize) {
                        Some(s) => {
                            let (slot, home) = (&self.slots[s].name, assignment.home[s]);
                            write!(f, " {arrow}{name}={slot}@b{home}")?;
                            if let Some((_, begin @ 1..)) = self.slots[s].within {
                                write!(f, "+{begin}")?;
                            }
                        }
                        None => write!(f, " {name}=-")?,
                    }
                }
                for (name, bits) in &launch.constants {
                    write!(f, " {name}:{}", f64::from_bits(*bits))?;
                }
                if let Some(variant) = launch.variant {
                    write!(f, " ({variant})")?;
                }
                if !launch.source.is_own() {
                    write!(f, " (checked)")?;
                }
                let [x, y, z] = launch.grid;
                writeln!(f, "  grid {x}x{y}x{z}")?;
            }
        }
        Ok(())
    }
}
