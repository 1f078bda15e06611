//! Matrices that are packed on the device: what all forms share.
use half::f16;
use serde::{Deserialize, Serialize};

use super::{BlockShape, KeptBlocks, bitmask_matmul, block_matmul, gaps_matmul};
use crate::Result;
use crate::gpu::{Gpu, PlanBuilder, Program, Slot, Target};
use crate::kernels::{Layout, Units};

/// How a matrix is packed on the device. What a file has is another matter: any of its forms can
/// become any of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PackedForm {
    /// A bit for each weight, and the kept ones:
    /// [`BitmaskMatmul`](super::BitmaskMatmul).
    Bitmask,
    /// The kept weights, and how many columns each is behind the one before it:
    /// [`GapsMatmul`](super::GapsMatmul).
    Gaps,
    /// Blocks of neighbouring inputs and units that are not all zero, of the size that suits the
    /// matrix: [`BlockMatmul`](crate::kernels::BlockMatmul).
    Blocks,
}

impl PackedForm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Bitmask, Self::Gaps, Self::Blocks];

    /// What it is called in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bitmask => "bitmask",
            Self::Gaps => "gaps",
            Self::Blocks => "blocks",
        }
    }
}

/// What a packed weight is on the device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PackedValues {
    /// 4 bytes.
    #[default]
    F32,
    /// 2 bytes: each weight is rounded to the nearest. Sums are in f32.
    F16,
}

impl PackedValues {
    /// The fewest bytes in which all of `weights` are what they are.
    pub fn exact(weights: &[f32]) -> Self {
        let fits = |&w: &f32| f16::from_f32(w).to_f32().to_bits() == w.to_bits();
        if weights.iter().all(fits) { Self::F16 } else { Self::F32 }
    }
}

/// A matrix of weights without its zeros, on the host. Only [`pack`](Self::pack) makes one, so what
/// a product is told to read by one is there.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedMatrix {
    pub(in crate::kernels) arranged: Arranged,
    pub(in crate::kernels) of: PackedShape,
    /// What its slots are called, and what they hold.
    pub(in crate::kernels) words: Words,
}

/// Slots of a form by name, with what they hold.
pub(in crate::kernels) type Words = Vec<(&'static str, Vec<u32>)>;

/// What all packed matrices have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PackedShape {
    /// Output units.
    pub units: u32,
    /// Inputs of each.
    pub inputs: u32,
    /// Weights that are not zero.
    pub kept: u32,
    /// What each of them is.
    pub values: PackedValues,
}

/// What a form needs to know besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::kernels) enum Arranged {
    Bitmask,
    Gaps(gaps_matmul::Strands),
    Blocks(BlockShape),
}

impl Arranged {
    fn form(self) -> PackedForm {
        match self {
            Self::Bitmask => PackedForm::Bitmask,
            Self::Gaps(_) => PackedForm::Gaps,
            Self::Blocks(_) => PackedForm::Blocks,
        }
    }
}

/// What an element of a patch costs, of five divisions and a store: an estimate, which a file that
/// `secateur export --fastest` has written does not depend on.
const PATCH: u64 = 50;
/// Most slots of a packed matrix.
const SLOTS: usize = 4;

/// Where a packed matrix is on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    pub(in crate::kernels) arranged: Arranged,
    pub(in crate::kernels) of: PackedShape,
    slots: [Option<Slot>; SLOTS],
}

impl PackedMatrix {
    /// Packs the `weights` of a matrix for products on a device that `target` says. Zeros of both
    /// signs are left out; NaN is kept.
    ///
    /// # Errors
    /// What does not fit: other numbers of weights than `of` says, a matrix that is too large for
    /// the form, a weight that is not finite in the type of `values`.
    pub fn pack(
        form: PackedForm,
        of: Units,
        weights: &[f32],
        values: PackedValues,
        target: Target,
    ) -> Result<Self, String> {
        of.check()?;
        if of.len() != weights.len() as u64 || weights.is_empty() {
            let (have, Units { inputs, units, .. }) = (weights.len(), of);
            return Err(format!("{have} weights for {units} units of {inputs} inputs"));
        }
        let rows = KeptRows { of, weights };
        let kept = weights.iter().filter(|&&w| w != 0.0).count() as u32;
        let of = PackedShape { units: of.units, inputs: of.inputs, kept, values };
        let (arranged, words) = match form {
            PackedForm::Bitmask => (Arranged::Bitmask, bitmask_matmul::pack(&rows, of)?),
            PackedForm::Gaps => {
                let (strands, words) = gaps_matmul::pack(&rows, of, target)?;
                (Arranged::Gaps(strands), words)
            }
            PackedForm::Blocks => {
                let (shape, words) = block_matmul::pack(&rows, of)?;
                (Arranged::Blocks(shape), words)
            }
        };
        Ok(Self { arranged, of, words })
    }

    /// `kept` in [`PackedForm::Blocks`], of the size that they have.
    ///
    /// # Errors
    /// For a weight that is not finite in the type of `values`.
    pub fn of_blocks(kept: &KeptBlocks, values: PackedValues) -> Result<Self, String> {
        let (shape, words) = block_matmul::words(kept, values)?;
        let BlockShape { inputs, units, .. } = shape;
        let count = kept.values().iter().filter(|&&w| w != 0.0).count() as u32;
        let of = PackedShape { units, inputs, kept: count, values };
        Ok(Self { arranged: Arranged::Blocks(shape), of, words })
    }

    /// Of [`PackedForm::Blocks`] which these are.
    pub fn blocks(&self) -> Option<BlockShape> {
        match self.arranged {
            Arranged::Blocks(shape) => Some(shape),
            Arranged::Bitmask | Arranged::Gaps(_) => None,
        }
    }

    /// Whether a product of so many rows should be faster with it than dense. Of software adapters
    /// that is what was measured (docs/benchmarks.md): gaps from 59 % zeros on for one row, from
    /// 80 % for up to eight and from 95 % for more, blocks where they cost two thirds at most. A GPU
    /// reads fewer bytes for up to eight rows; beyond them only a measurement says.
    pub fn pays(&self, rows: u32, target: Target) -> bool {
        self.pays_for([rows, self.of.inputs], 0, target)
    }

    /// As [`pays`](Self::pays), where the dense product that it takes the place of has only so many
    /// `inputs`, and where `patches` elements of images a row are written for it. An element of a
    /// patch counts as what a software adapter does in [`PATCH`] multiply-adds.
    pub(crate) fn pays_for(
        &self,
        [rows, inputs]: [u32; 2],
        patches: u32,
        target: Target,
    ) -> bool {
        let all = u64::from(self.of.units) * u64::from(inputs);
        if !target.software {
            // Written and read.
            let more = 8 * u64::from(rows) * u64::from(patches);
            return rows <= 8 && self.bytes() + more < 4 * all;
        }
        let more = PATCH * u64::from(patches);
        let kept_percent = (u64::from(self.of.kept) + more) * 100 / all.max(1);
        match self.arranged.form() {
            PackedForm::Bitmask => false,
            PackedForm::Gaps => match rows {
                1 => kept_percent <= 41,
                2..=8 => kept_percent <= 20,
                _ => kept_percent <= 5,
            },
            PackedForm::Blocks => self.blocks().is_some_and(|shape| {
                let cost = block_matmul::cost(shape).saturating_add(10 * more);
                cost.saturating_mul(3) <= (10 * all).saturating_mul(2)
            }),
        }
    }

    /// How it is packed.
    pub fn form(&self) -> PackedForm {
        self.arranged.form()
    }

    /// Its extents, and how many weights are kept.
    pub fn shape(&self) -> PackedShape {
        self.of
    }

    /// Bytes on the device.
    pub fn bytes(&self) -> u64 {
        self.words.iter().map(|(_, words)| words.len() as u64 * 4).sum()
    }

    /// All weights, zeros among them, as a matrix of `layout` has them.
    pub fn dense(&self, layout: Layout) -> Vec<f32> {
        let PackedShape { units, inputs, .. } = self.of;
        let mut out = vec![0.0; units as usize * inputs as usize];
        let mut put = |unit: u32, input: u32, value: f32| {
            let [unit, input] = [unit, input].map(|x| x as usize);
            let at = match layout {
                Layout::InOut => input * units as usize + unit,
                Layout::OutIn => unit * inputs as usize + input,
            };
            out[at] = value;
        };
        let words: Vec<&[u32]> = self.words.iter().map(|(_, words)| &words[..]).collect();
        match self.arranged {
            Arranged::Bitmask => bitmask_matmul::visit(self.of, &words, &mut put),
            Arranged::Gaps(strands) => gaps_matmul::visit(strands, self.of, &words, &mut put),
            Arranged::Blocks(shape) => block_matmul::visit(shape, self.of, &words, &mut put),
        }
        out
    }

    /// Slots in `plan` for the matrix of the tensor `name`, for [`Packed::upload`] to fill.
    pub fn declare(&self, plan: &mut PlanBuilder, name: &str) -> Packed {
        self.declare_with(|part, words| {
            // The packers count in u32.
            let words = u32::try_from(words.len()).unwrap_or(u32::MAX);
            plan.persistent(format!("{name}/{part}"), words)
        })
    }

    /// The same with slots of one's own, which hold these words or will.
    pub fn declare_with(&self, mut slot: impl FnMut(&str, &[u32]) -> Slot) -> Packed {
        let mut slots = [None; SLOTS];
        for (place, (part, words)) in slots.iter_mut().zip(&self.words) {
            *place = Some(slot(part, words));
        }
        Packed { arranged: self.arranged, of: self.of, slots }
    }
}

impl Packed {
    /// How it is packed.
    pub fn form(&self) -> PackedForm {
        self.arranged.form()
    }

    /// Its extents, and how many weights are kept.
    pub fn shape(&self) -> PackedShape {
        self.of
    }

    /// All that a copy of it takes.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        self.slots.into_iter().flatten()
    }

    /// The slot number `at` of its form.
    pub(in crate::kernels) fn slot(&self, at: usize) -> Slot {
        self.slots[at].expect("a form declares the slots that its product binds")
    }

    /// Writes `matrix`, which it was declared by, before the next submission.
    ///
    /// # Panics
    /// If it is another's.
    pub fn upload(&self, gpu: &Gpu, program: &Program, matrix: &PackedMatrix) {
        assert!((self.arranged, self.of) == (matrix.arranged, matrix.of), "another matrix's slots");
        for (slot, (_, words)) in self.slots().zip(&matrix.words) {
            program.upload(gpu, slot, words);
        }
    }

    /// Reads the matrix back, waiting for the device.
    ///
    /// # Errors
    /// [`crate::Error::DeviceLost`]
    pub fn download(&self, gpu: &Gpu, program: &Program) -> Result<PackedMatrix> {
        let read = |slot| Ok(("", program.download(gpu, slot)?));
        let words = self.slots().map(read).collect::<Result<_>>()?;
        Ok(PackedMatrix { arranged: self.arranged, of: self.of, words })
    }
}

/// A dense matrix by its rows.
pub(in crate::kernels) struct KeptRows<'w> {
    pub(super) of: Units,
    pub(super) weights: &'w [f32],
}

impl KeptRows<'_> {
    /// The inputs of `unit` that are kept, in order, with their weights.
    pub(in crate::kernels) fn kept(&self, unit: u32) -> impl Iterator<Item = (u32, f32)> + '_ {
        let Units { inputs, units, layout } = self.of;
        let [begin, step] = match layout {
            Layout::InOut => [unit as usize, units as usize],
            Layout::OutIn => [unit as usize * inputs as usize, 1],
        };
        let all = (0..inputs).map(move |i| (i, self.weights[begin + i as usize * step]));
        all.filter(|(_, weight)| *weight != 0.0)
    }
}

/// Values as the words of a slot.
pub(in crate::kernels) fn words_of(values: &[f32], kind: PackedValues) -> Result<Vec<u32>, String> {
    let half = |&value: &f32| match f16::from_f32(value) {
        half if half.is_infinite() && value.is_finite() => {
            Err(format!("a weight is {value}, f16 ends at {}", f16::MAX))
        }
        half => Ok(u32::from(half.to_bits())),
    };
    match kind {
        PackedValues::F32 => Ok(values.iter().map(|v| v.to_bits()).collect()),
        PackedValues::F16 => {
            let halves = values.iter().map(half).collect::<Result<Vec<_>, _>>()?;
            Ok(halves.chunks(2).map(|two| two[0] | two.get(1).unwrap_or(&0) << 16).collect())
        }
    }
}

/// The value number `at` in the words of a slot.
pub(in crate::kernels) fn value_in(words: &[u32], at: usize, kind: PackedValues) -> f32 {
    match kind {
        PackedValues::F32 => f32::from_bits(words[at]),
        PackedValues::F16 => f16::from_bits((words[at / 2] >> (at % 2 * 16)) as u16).to_f32(),
    }
}
