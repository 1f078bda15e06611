//! Loads, stores and atomics, by where they go.
use wgpu::naga::{AddressSpace, GlobalVariable, Handle, LocalVariable, TypeInner};

use super::statements::merged;
use super::value::{Kind, Lanes, Mask, Place, Shape, Space, Value};
use super::{Answer, Asked, LATENCY, Machine, Operand, SLOTS};

/// A variable that each lane has for itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Local {
    /// What begins at each half of a word, in one lane or in all.
    halves: Vec<Lanes>,
    /// Whether anybody has read it.
    read: bool,
    /// Words of a cooperative matrix that a lane has, and when it is there.
    pub(super) matrix: u64,
    ready: u64,
}

impl Local {
    pub(super) fn new(bytes: u32) -> Self {
        let halves = vec![Lanes::uniform(Kind::U32, &[0]); bytes.div_ceil(2) as usize];
        Self { halves, ..Self::default() }
    }

    /// Words that differ from lane to lane, where anybody reads it.
    pub(super) fn registers(&self) -> u64 {
        let own = self.halves.iter().filter(|of| !of.is_uniform());
        let bytes: u64 = own.map(|of| u64::from(of.kind.bytes())).sum();
        if self.read { bytes.div_ceil(4) + self.matrix } else { 0 }
    }
}

impl<'a> Machine<'a> {
    /// What `place` holds.
    pub(super) fn load(&mut self, place: &Place, mask: Mask) -> Answer<Value> {
        let parts: Vec<Place> = match place.shape {
            Shape::Scalar(kind) => return self.leaf(place, kind, 1, mask),
            Shape::Type(ty) => match self.text.module.types[ty].inner {
                TypeInner::Scalar(scalar) | TypeInner::Atomic(scalar) => {
                    return self.leaf(place, Kind::of(scalar), 1, mask);
                }
                TypeInner::Vector { size, scalar } => {
                    return self.leaf(place, Kind::of(scalar), size as usize, mask);
                }
                TypeInner::CooperativeMatrix { .. } => {
                    let local = self.local(place.space)?;
                    local.read = true;
                    return Ok(Value::Matrix { ready: local.ready, words: local.matrix });
                }
                _ => self.parts(place)?,
            },
        };
        let values = parts.iter().map(|part| self.load(part, mask));
        Ok(Value::Parts(values.collect::<Answer<_>>()?))
    }

    /// The members or elements of what is at `place`.
    fn parts(&self, place: &Place) -> Answer<Vec<Place>> {
        let Shape::Type(ty) = place.shape else { return Err("a scalar has no parts".to_owned()) };
        let at = |bytes: u32, ty| Place {
            space: place.space,
            offset: Lanes::map([&place.offset], Kind::U32, self.lanes, |[o]| o + bytes),
            shape: Shape::Type(ty),
        };
        match &self.text.module.types[ty].inner {
            TypeInner::Struct { members, .. } => {
                Ok(members.iter().map(|member| at(member.offset, member.ty)).collect())
            }
            &TypeInner::Array { base, size, stride } => {
                let elements = self.text.elements(size)?;
                Ok((0..elements).map(|n| at(n * stride, base)).collect())
            }
            other => Err(format!("parts of {other:?}")),
        }
    }

    pub(super) fn store(&mut self, place: &Place, value: &Value, mask: Mask) -> Answer<()> {
        match value {
            Value::Parts(values) => {
                let parts = self.parts(place)?;
                let mut both = parts.iter().zip(values);
                both.try_for_each(|(part, value)| self.store(part, value, mask))
            }
            Value::Lanes(value) => self.store_leaf(place, value, mask),
            Value::Matrix { ready, .. } => {
                self.local(place.space)?.ready = *ready;
                Ok(())
            }
            Value::Place(_) => Err("a pointer in memory".to_owned()),
        }
    }

    /// Before the function begins, in all lanes.
    pub(super) fn initialise(&mut self, of: Handle<LocalVariable>, value: &Value) -> Answer<()> {
        let frame = self.frames.len() - 1;
        let (space, mask) = (Space::Local(frame, of), self.frame().mask);
        let shape = Shape::Type(self.frame().function.local_variables[of].ty);
        let offset = Lanes::uniform(Kind::U32, &[0]);
        self.store(&Place { space, offset, shape }, value, mask)
    }

    fn local(&mut self, space: Space) -> Answer<&mut Local> {
        match space {
            Space::Local(frame, of) => Ok(&mut self.frames[frame].locals[of.index()]),
            Space::Global(of) => {
                if !self.private.contains_key(&of) {
                    let bytes = self.text.bytes(self.text.module.global_variables[of].ty)?;
                    self.private.insert(of, Local::new(bytes));
                }
                Ok(self.private.get_mut(&of).expect("it was just put there"))
            }
        }
    }

    pub(super) fn is_shared(&self, space: Space) -> bool {
        self.variable(space).is_some_and(|v| v.space == AddressSpace::WorkGroup)
    }

    fn variable(&self, space: Space) -> Option<&'a GlobalVariable> {
        match space {
            Space::Local(..) => None,
            Space::Global(of) => Some(&self.text.module.global_variables[of]),
        }
    }

    fn leaf(&mut self, place: &Place, kind: Kind, size: usize, mask: Mask) -> Answer<Value> {
        let of = self.variable(place.space).map_or(AddressSpace::Function, |v| v.space);
        let offset = &place.offset;
        if matches!(of, AddressSpace::Function | AddressSpace::Private) {
            let lanes = self.lanes;
            let local = self.local(place.space)?;
            local.read = true;
            let at = |c: usize, lane| (offset.get(0, lane) + c as u32 * kind.bytes()) as usize / 2;
            if offset.is_uniform() {
                let parts: Vec<&Lanes> = (0..size).map(|c| &local.halves[at(c, 0)]).collect();
                return Ok(Value::Lanes(Lanes {
                    kind,
                    known: false,
                    ..Lanes::joined(&parts, lanes)
                }));
            }
            let mut bits = Vec::with_capacity(size * lanes);
            for c in 0..size {
                let of = |lane| local.halves.get(at(c, lane)).map_or(0, |w| w.get(0, lane));
                bits.extend((0..lanes).map(of));
            }
            let ready = local.halves.iter().map(|w| w.ready).max().unwrap_or(0);
            return Ok(Value::Lanes(Lanes { kind, size, bits, ready, known: false }));
        }
        if of == AddressSpace::Uniform {
            let bytes = |c: u32, lane| {
                let at = (offset.get(0, lane) + 4 * c) as usize;
                let bytes = self.launch.params.get(at..at + 4);
                bytes.map_or(0, |b| u32::from_le_bytes(b.try_into().expect("four bytes")))
            };
            let width = if offset.is_uniform() { 1 } else { self.lanes };
            let each = (0..size as u32).flat_map(|c| (0..width).map(move |lane| (c, lane)));
            let bits = each.map(|(c, lane)| bytes(c, lane)).collect();
            return Ok(Value::Lanes(Lanes { kind, size, bits, ready: 0, known: false }));
        }
        self.uses(offset.ready);
        let bytes = kind.bytes() * size as u32;
        let width = if offset.is_uniform() { 1 } else { self.lanes };
        let shared = of == AddressSpace::WorkGroup;
        self.issue(mask.warps());
        let slot = match shared {
            true => {
                self.count_shared(offset, bytes, mask);
                None
            }
            false => {
                let operand = self.operand_of(place.space)?;
                self.count_load(operand.slot, offset, bytes, mask);
                Some(operand)
            }
        };
        let mut bits = vec![0; size * width];
        for c in 0..size {
            for lane in 0..width {
                if width == 1 || mask.has(lane) {
                    let at = offset.get(0, lane) + c as u32 * kind.bytes();
                    bits[c * width + lane] = match slot {
                        None => self.shared_word(place.space, at)?,
                        Some(operand) => self.word(operand, at, kind),
                    };
                }
            }
        }
        let ready = self.answered(offset.ready, shared);
        Ok(Value::Lanes(Lanes { kind, size, bits, ready, known: false }))
    }

    fn store_leaf(&mut self, place: &Place, value: &Lanes, mask: Mask) -> Answer<()> {
        let of = self.variable(place.space).map_or(AddressSpace::Function, |v| v.space);
        let (lanes, offset) = (self.lanes, &place.offset);
        if matches!(of, AddressSpace::Function | AddressSpace::Private) {
            let frame = match place.space {
                Space::Local(frame, _) => &self.frames[frame],
                Space::Global(_) => &self.frames[0],
            };
            let all = frame.mask.without(frame.returned).without(mask).is_empty();
            let local = self.local(place.space)?;
            let at = |c: usize, offset: u32| (offset + c as u32 * value.kind.bytes()) as usize / 2;
            for c in 0..value.size {
                let part = value.component(c);
                if offset.is_uniform() {
                    let word = &mut local.halves[at(c, offset.bits[0])];
                    *word = match all {
                        true => part,
                        false => match merged(
                            &Value::Lanes(word.clone()),
                            &Value::Lanes(part),
                            mask,
                            lanes,
                        )? {
                            Value::Lanes(merged) => merged,
                            _ => return Err("a word is no number".to_owned()),
                        },
                    };
                    continue;
                }
                for lane in mask.lanes() {
                    let at = at(c, offset.get(0, lane));
                    let Some(word) = local.halves.get_mut(at) else { continue };
                    if word.is_uniform() {
                        word.bits = vec![word.bits[0]; lanes];
                    }
                    word.bits[lane] = part.get(0, lane);
                    word.ready = word.ready.max(value.ready);
                }
            }
            return Ok(());
        }
        self.uses(offset.ready.max(value.ready));
        let bytes = value.kind.bytes() * value.size as u32;
        self.issue(mask.warps());
        let operand = match of == AddressSpace::WorkGroup {
            true => {
                self.count_shared(offset, bytes, mask);
                None
            }
            false => {
                let operand = self.operand_of(place.space)?;
                self.count_store(operand.slot, offset, bytes, mask);
                Some(operand.slot)
            }
        };
        for lane in mask.lanes().filter(|&lane| lane < lanes) {
            for c in 0..value.size {
                let at = offset.get(0, lane) + c as u32 * value.kind.bytes();
                match operand {
                    None => *self.shared_word_mut(place.space, at)? = value.get(c, lane),
                    // Halves are never read where they are written.
                    Some(slot) => {
                        self.written.insert((slot, at / 4), value.get(c, lane));
                    }
                }
            }
        }
        Ok(())
    }

    /// Changes each lane's word in turn; what they were.
    pub(super) fn atomic(
        &mut self,
        place: &Place,
        value: &Lanes,
        mask: Mask,
        change: &dyn Fn(u32, u32) -> u32,
    ) -> Answer<Lanes> {
        let shared = self.is_shared(place.space);
        self.uses(place.offset.ready.max(value.ready));
        self.issue(mask.warps());
        let mut old = vec![0; self.lanes];
        if shared {
            self.count_shared(&place.offset, 4, mask);
        }
        let lanes = self.lanes;
        for lane in mask.lanes().filter(|&lane| lane < lanes) {
            let at = place.offset.get(0, lane);
            if shared {
                let word = self.shared_word_mut(place.space, at)?;
                old[lane] = *word;
                *word = change(*word, value.get(0, lane));
                continue;
            }
            let operand = self.operand_of(place.space)?;
            old[lane] = self.word(operand, at, Kind::U32);
            let new = change(old[lane], value.get(0, lane));
            self.written.insert((operand.slot, at / 4), new);
            *self.hits.entry((operand.slot, at / 4)).or_default() += 1;
            self.counts.atomics += 1.0;
        }
        let ready = self.answered(place.offset.ready.max(value.ready), shared);
        let kind = value.kind;
        Ok(Lanes { kind, size: 1, bits: old, ready, known: false })
    }

    /// When memory has answered what is asked for now, or where it depends on what is not there yet,
    /// then.
    pub(super) fn answered(&self, ready: u64, shared: bool) -> u64 {
        let begin = self.clock.max(ready);
        if shared { begin } else { begin + LATENCY * SLOTS }
    }

    pub(super) fn issue(&mut self, slots: u64) {
        self.counts.slots += slots as f64;
        self.clock += slots;
    }

    pub(super) fn operand_of(&self, space: Space) -> Answer<Operand<'a>> {
        let binding = self.variable(space).and_then(|v| v.binding).ok_or("no binding")?;
        let operand = self.launch.operands.get(binding.binding as usize);
        operand.copied().ok_or_else(|| format!("nothing is bound to {}", binding.binding))
    }

    fn word(&self, operand: Operand<'_>, at: u32, kind: Kind) -> u32 {
        let word = at / 4;
        if let Some(&written) = self.written.get(&(operand.slot, word)) {
            return written;
        }
        if let Some(given) = (self.launch.contents)(Asked {
            kernel: self.launch.kernel,
            nth: self.launch.nth,
            operand: operand.name,
            word,
        }) {
            return given;
        }
        match kind.is_float() {
            true => made_up(operand.slot, at),
            false => 0,
        }
    }

    fn shared_word(&mut self, space: Space, at: u32) -> Answer<u32> {
        self.shared_word_mut(space, at).map(|word| *word)
    }

    fn shared_word_mut(&mut self, space: Space, at: u32) -> Answer<&mut u32> {
        let Space::Global(of) = space else { return Err("no workgroup memory".to_owned()) };
        if !self.shared.contains_key(&of) {
            let bytes = self.text.bytes(self.text.module.global_variables[of].ty)?;
            self.shared.insert(of, vec![0; bytes.div_ceil(4) as usize]);
        }
        let words = self.shared.get_mut(&of).expect("it was just put there");
        let len = words.len();
        words.get_mut(at as usize / 4).ok_or_else(|| format!("word {} of {len}", at / 4))
    }
}

/// An even number between 0 and 1 that is a function of the place.
fn made_up(slot: u32, at: u32) -> u32 {
    let mut x = at.wrapping_mul(0x9e37_79b9) ^ slot.wrapping_mul(0x85eb_ca6b);
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    (((x ^ (x >> 16)) >> 8) as f32 / 16_777_216.0).to_bits()
}
