//! What an expression is worth in all invocations of a workgroup at once.
use wgpu::naga::{GlobalVariable, Handle, LocalVariable, Scalar, ScalarKind, Type};

/// Kind of a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    F32,
    F16,
    U32,
    I32,
    Bool,
}

impl Kind {
    pub(super) fn of(scalar: Scalar) -> Self {
        match (scalar.kind, scalar.width) {
            (ScalarKind::Float | ScalarKind::AbstractFloat, 2) => Self::F16,
            (ScalarKind::Float | ScalarKind::AbstractFloat, _) => Self::F32,
            (ScalarKind::Uint, _) => Self::U32,
            (ScalarKind::Sint | ScalarKind::AbstractInt, _) => Self::I32,
            (ScalarKind::Bool, _) => Self::Bool,
        }
    }

    pub(super) fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16)
    }

    /// In memory.
    pub(super) fn bytes(self) -> u32 {
        if self == Self::F16 { 2 } else { 4 }
    }
}

/// A scalar or a vector. Bits of component `c` in lane `l` are at `c * lanes + l`, or at `c` where
/// all lanes have the same.
#[derive(Debug, Clone)]
pub(super) struct Lanes {
    pub(super) kind: Kind,
    /// Components.
    pub(super) size: usize,
    pub(super) bits: Vec<u32>,
    /// When what it was loaded from memory for has arrived, in slots of the workgroup's clock.
    pub(super) ready: u64,
    /// Whether it follows from constants, so that a compiler knows it.
    pub(super) known: bool,
}

impl Lanes {
    pub(super) fn uniform(kind: Kind, bits: &[u32]) -> Self {
        Self { kind, size: bits.len(), bits: bits.to_vec(), ready: 0, known: false }
    }

    pub(super) fn is_uniform(&self) -> bool {
        self.bits.len() == self.size
    }

    pub(super) fn get(&self, component: usize, lane: usize) -> u32 {
        match self.is_uniform() {
            true => self.bits[component],
            false => self.bits[component * (self.bits.len() / self.size) + lane],
        }
    }

    pub(super) fn component(&self, at: usize) -> Self {
        let width = self.bits.len() / self.size;
        let bits = self.bits[at * width..(at + 1) * width].to_vec();
        Self { size: 1, bits, ..*self }
    }

    /// Components in a row, each a scalar or a vector.
    pub(super) fn joined(parts: &[&Self], lanes: usize) -> Self {
        let size = parts.iter().map(|p| p.size).sum();
        let (kind, ready) = (parts[0].kind, parts.iter().map(|p| p.ready).max().unwrap_or(0));
        let mut bits = Vec::new();
        let uniform = parts.iter().all(|p| p.is_uniform());
        for part in parts {
            match (uniform, part.is_uniform()) {
                (false, true) => {
                    for &word in &part.bits {
                        bits.extend(std::iter::repeat_n(word, lanes));
                    }
                }
                _ => bits.extend_from_slice(&part.bits),
            }
        }
        let known = parts.iter().all(|p| p.known);
        Self { kind, size, bits, ready, known }
    }

    /// `f` of each component in each lane; scalars go with every component of vectors.
    pub(super) fn map<const N: usize>(
        of: [&Self; N],
        kind: Kind,
        lanes: usize,
        f: impl Fn([u32; N]) -> u32,
    ) -> Self {
        let size = of.iter().map(|v| v.size).max().unwrap_or(1);
        let ready = of.iter().map(|v| v.ready).max().unwrap_or(0);
        let width = if of.iter().all(|v| v.is_uniform()) { 1 } else { lanes };
        let mut bits = Vec::with_capacity(size * width);
        for c in 0..size {
            // Where each operand's component begins, and its step from lane to lane.
            let from = of.map(|v| {
                let c = c.min(v.size - 1);
                if v.is_uniform() { (&v.bits[c..], 0) } else { (&v.bits[c * lanes..], 1) }
            });
            bits.extend((0..width).map(|lane| f(from.map(|(bits, step)| bits[lane * step]))));
        }
        Self { kind, size, bits, ready, known: of.iter().all(|v| v.known) }
    }
}

/// Where a pointer points to.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) space: Space,
    /// Bytes from the beginning of the variable.
    pub(super) offset: Lanes,
    pub(super) shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Space {
    /// Of the call of this depth.
    Local(usize, Handle<LocalVariable>),
    Global(Handle<GlobalVariable>),
}

/// What is there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Type(Handle<Type>),
    /// A component of a vector.
    Scalar(Kind),
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Lanes(Lanes),
    /// Members of a struct, elements of an array.
    Parts(Vec<Self>),
    Place(Place),
    /// A cooperative matrix, of which nobody needs the elements.
    Matrix {
        /// When they are there.
        ready: u64,
        /// Words that a lane has of them.
        words: u64,
    },
}

impl Value {
    pub(super) fn uniform(kind: Kind, bits: u32) -> Self {
        Self::Lanes(Lanes::uniform(kind, &[bits]))
    }

    /// The same, of which a compiler knows what it is.
    pub(super) fn known(self) -> Self {
        match self {
            Self::Lanes(lanes) => Self::Lanes(Lanes { known: true, ..lanes }),
            Self::Parts(parts) => Self::Parts(parts.into_iter().map(Self::known).collect()),
            other => other,
        }
    }

    /// When all of it has arrived.
    pub(super) fn ready(&self) -> u64 {
        match self {
            Self::Lanes(lanes) => lanes.ready,
            Self::Parts(parts) => parts.iter().map(Self::ready).max().unwrap_or(0),
            Self::Place(place) => place.offset.ready,
            Self::Matrix { ready, .. } => *ready,
        }
    }

    /// Words of registers that a lane has of it: what all lanes share takes none.
    pub(super) fn registers(&self) -> u64 {
        match self {
            Self::Lanes(lanes) => {
                if lanes.is_uniform() {
                    0
                } else {
                    (lanes.size as u64 * u64::from(lanes.kind.bytes())).div_ceil(4)
                }
            }
            Self::Parts(parts) => parts.iter().map(Self::registers).sum(),
            Self::Matrix { words, .. } => *words,
            Self::Place(_) => 0,
        }
    }
}

/// Some of up to 256 invocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mask([u64; 4]);

impl Mask {
    pub(super) fn first(lanes: usize) -> Self {
        Self::where_(lanes, |_| true)
    }

    pub(super) fn where_(lanes: usize, is: impl Fn(usize) -> bool) -> Self {
        let mut mask = Self::default();
        (0..lanes).filter(|&lane| is(lane)).for_each(|lane| mask.0[lane / 64] |= 1 << (lane % 64));
        mask
    }

    pub(super) fn has(self, lane: usize) -> bool {
        self.0[lane / 64] >> (lane % 64) & 1 == 1
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] & other.0[i]))
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] & !other.0[i]))
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == [0; 4]
    }

    pub(super) fn count(self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    pub(super) fn lanes(self) -> impl Iterator<Item = usize> {
        (0..256).filter(move |&lane| self.has(lane))
    }

    /// Warps with any of them.
    pub(super) fn warps(self) -> u64 {
        let halves = |word: u64| u64::from(word as u32 != 0) + u64::from(word >> 32 != 0);
        self.0.into_iter().map(halves).sum()
    }

    /// Those of each warp that has any.
    pub(super) fn by_warp(self) -> impl Iterator<Item = Vec<usize>> {
        (0..8)
            .map(move |warp| (warp * 32..warp * 32 + 32).filter(|&l| self.has(l)).collect())
            .filter(|lanes: &Vec<usize>| !lanes.is_empty())
    }
}
