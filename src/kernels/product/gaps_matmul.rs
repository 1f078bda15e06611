//! `gaps_matmul`: a product with a matrix of which the kept weights are there, and the columns from
//! each to the next.
//!
//! The gaps of four bits, with zeros where one is longer, are MACKO's. Its threads share a row and
//! find their columns together; here an invocation walks a stretch of a row by itself, beside seven
//! others whose rows are about as long, so that nothing is shared and any adapter can do it.
use super::packed::{KeptRows, PackedShape, PackedValues, Words, value_in, words_of};
use super::packed_product::{PackedProduct, texts};
use crate::gpu::{Bound, Cut, Kernel, MAX_LOOP_ITERATIONS, Operand, Target, Variant, read, write};

/// `c = activation(a b^T + bias)`: [`PackedProduct`] with [`PackedForm::Gaps`].
///
/// [`PackedForm::Gaps`]: super::PackedForm::Gaps
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct GapsMatmul {
    product: PackedProduct,
    strands: Strands,
}

/// How rows are shared out: `shaders/gaps_matmul.wgsl` says what is what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::kernels) struct Strands {
    /// Bits of a gap: 4 or 8.
    bits: u32,
    /// Strands of a row.
    parts: u32,
    /// Strands side by side, by eight: whole workgroups of them.
    slices: u32,
    /// Eights of weights of all strands of all slices, by eight.
    blocks: u32,
}

crate::uniform! {
    /// Uniform of [`GapsMatmul`].
    pub struct GapsMatmulParams {
        /// Rows of `a`.
        m: u32,
        /// Output units.
        n: u32,
        /// Inputs.
        k: u32,
        /// Fours of rows of `a`, where there are several.
        fours: u32,
        /// Where the matrix begins in `a`, where that is not turned.
        a_begin: u32,
        /// Where the matrix begins in `c`.
        c_begin: u32,
        /// First workgroup of this launch.
        first_x: u32,
        /// The same along y.
        first_y: u32,
        /// The same along z.
        first_z: u32,
    }
}

/// Strands of a slice, slices of a workgroup, and weights of a strand in a block.
const LANES: usize = 8;
const SLICES: usize = 8;
const BLOCK: usize = 8;
/// The row of a strand of no row: past the last of any matrix.
const NOBODY: u32 = u32::MAX;

impl GapsMatmul {
    pub(super) fn of(product: PackedProduct, strands: Strands) -> Self {
        Self { product, strands }
    }

    /// Rows of `a` of an invocation.
    fn rows(&self) -> u32 {
        self.product.rows(8)
    }
}

impl Kernel for GapsMatmul {
    const NAME: &'static str = "gaps_matmul";
    const WGSL: &'static str = texts!("common/packed_row.wgsl", "gaps_matmul.wgsl");
    const VARIANTS: &'static [Variant] =
        &[Variant { name: "rows", wgsl: texts!("common/packed_rows.wgsl", "gaps_matmul.wgsl") }];
    const OPERANDS: &'static [Operand] = &[
        read("a"),
        read("values"),
        read("gaps"),
        read("strands"),
        read("begins"),
        read("bias"),
        write("c"),
    ];
    type Params = GapsMatmulParams;

    fn bind(&self) -> Vec<Bound> {
        let [a, bias, c] = self.product.touched();
        let b = self.product.b;
        let Strands { bits, slices, blocks, .. } = self.strands;
        let lanes = u64::from(blocks) * LANES as u64;
        let halves = u64::from(b.of.values == PackedValues::F16);
        vec![
            self.product.a.needs(a),
            b.slot(0).needs(((lanes * BLOCK as u64) >> halves).max(4)),
            b.slot(1).needs((lanes * u64::from(bits / 4)).max(1)),
            b.slot(2).needs(u64::from(slices) * LANES as u64 * 2),
            b.slot(3).needs(u64::from(slices) + 1),
            self.product.bias.map_or(Bound::NONE, |slot| slot.needs(bias)),
            self.product.c.needs(c),
        ]
    }

    fn params(&self) -> GapsMatmulParams {
        let PackedShape { units: n, inputs: k, .. } = self.product.b.of;
        let (m, fours) = (self.product.m, self.product.fours());
        let [a_begin, c_begin] = self.product.begin;
        GapsMatmulParams { m, n, k, fours, a_begin, c_begin, ..GapsMatmulParams::default() }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let mut constants = self.product.constants(self.rows());
        let Strands { bits, parts, .. } = self.strands;
        let own = [("BITS", bits, 4), ("PARTS", parts, 1)];
        let differs = own.into_iter().filter(|(_, value, default)| value != default);
        constants.extend(differs.map(|(name, value, _)| (name, f64::from(value))));
        constants
    }

    fn variant(&self) -> Option<&'static Variant> {
        (self.product.m > 1).then_some(&Self::VARIANTS[0])
    }

    fn grid(&self) -> [u32; 3] {
        [self.strands.slices / SLICES as u32, self.product.m.div_ceil(self.rows()), 1]
    }

    fn cut(&self) -> Option<Cut> {
        let weights = u64::from(self.strands.blocks) * (LANES * BLOCK) as u64;
        let operations = weights.saturating_mul(self.product.m.into());
        Some(Cut { operations, first: std::mem::offset_of!(GapsMatmulParams, first_x) })
    }

    fn check(&self) -> Result<(), String> {
        self.product.check()
    }
}

/// What a strand walks: how far to each weight from the one before it, and the weight.
type Step = (u8, f32);

/// The steps to the `kept` columns, with a zero wherever a gap is longer than `most`.
fn steps(kept: impl Iterator<Item = (u32, f32)>, most: u32) -> Vec<Step> {
    let (mut steps, mut at) = (Vec::new(), 0);
    for (column, value) in kept {
        while column - at > most {
            steps.push((most as u8, 0.0));
            at += most;
        }
        steps.push(((column - at) as u8, value));
        at = column;
    }
    steps
}

/// Bits of a gap, with which all takes fewer bytes.
fn bits_for(rows: &KeptRows<'_>, of: PackedShape) -> u32 {
    let bytes = |bits: u32| {
        let most = (1 << bits) - 1;
        let fillers = |unit| {
            let mut at = 0;
            let gaps =
                rows.kept(unit).map(|(column, _)| column - std::mem::replace(&mut at, column));
            gaps.map(|gap| u64::from(gap.saturating_sub(1) / most)).sum::<u64>()
        };
        let steps = u64::from(of.kept) + (0..of.units).map(fillers).sum::<u64>();
        let value = if of.values == PackedValues::F16 { 16 } else { 32 };
        steps * (value + u64::from(bits))
    };
    if bytes(8) < bytes(4) { 8 } else { 4 }
}

/// Strands of a row: one on a software adapter, whose few cores are busy with the rows; else as
/// many as leave each some 64 weights.
fn parts_for(of: PackedShape, target: Target) -> u32 {
    let each = of.kept / of.units.max(1) / 64;
    if target.software { 1 } else { ((each + 1).next_power_of_two() / 2).clamp(1, SLICES as u32) }
}

/// How the rows are shared out, and the slots of the matrix: weights, gaps, strands, and where
/// slices begin.
pub(super) fn pack(
    rows: &KeptRows<'_>,
    of: PackedShape,
    target: Target,
) -> Result<(Strands, Words), String> {
    let (bits, parts) = (bits_for(rows, of), parts_for(of, target));
    let mut walked: Vec<(u32, Vec<Step>)> =
        (0..of.units).map(|unit| (unit, steps(rows.kept(unit), (1 << bits) - 1))).collect();
    // Neighbours are about as long as each other, and the longest are walked first.
    walked.sort_by_key(|(unit, steps)| (std::cmp::Reverse(steps.len()), *unit));
    let mut made = Made { bits, kind: of.values, begins: vec![0], ..Made::default() };
    for eight in walked.chunks(LANES) {
        for part in 0..parts as usize {
            made.slice(eight, part, parts as usize)?;
        }
    }
    while !(made.begins.len() - 1).is_multiple_of(SLICES) {
        made.slice(&[], 0, 1)?;
    }
    let Made { values, gaps, strands, begins, .. } = made;
    let (slices, blocks) = (begins.len() as u32 - 1, begins[begins.len() - 1]);
    // Even where nothing is kept a slot has an element: four words are one.
    let some = |mut words: Vec<u32>| {
        words.resize(words.len().max(4), 0);
        words
    };
    let values = some(words_of(&values, of.values)?);
    let words =
        vec![("values", values), ("gaps", some(gaps)), ("strands", strands), ("begins", begins)];
    Ok((Strands { bits, parts, slices, blocks }, words))
}

/// What is packed so far.
#[derive(Default)]
struct Made {
    bits: u32,
    kind: PackedValues,
    values: Vec<f32>,
    gaps: Vec<u32>,
    strands: Vec<u32>,
    begins: Vec<u32>,
}

impl Made {
    /// Appends the slice of the `part` of `parts` of these rows.
    fn slice(
        &mut self,
        rows: &[(u32, Vec<Step>)],
        part: usize,
        parts: usize,
    ) -> Result<(), String> {
        let strand = |lane: usize| {
            let Some((unit, steps)) = rows.get(lane) else { return (NOBODY, 0, &[][..]) };
            let (first, last) = (steps.len() * part / parts, steps.len() * (part + 1) / parts);
            let column = steps[..first].iter().map(|&(gap, _)| u32::from(gap)).sum::<u32>();
            (*unit, column, &steps[first..last])
        };
        let strands: [_; LANES] = std::array::from_fn(strand);
        let blocks = strands.iter().map(|(.., steps)| steps.len().div_ceil(BLOCK)).max();
        let blocks = blocks.unwrap_or(0);
        let words =
            (self.values.len() + blocks * LANES * BLOCK).max(self.strands.len() + 2 * LANES);
        if blocks > MAX_LOOP_ITERATIONS as usize || u32::try_from(words).is_err() {
            return Err(format!("{} weights in a row, {words} in all: too many", blocks * BLOCK));
        }
        let words = self.bits as usize / 4;
        for block in 0..blocks {
            let step = |lane: usize, i: usize| -> Step {
                strands[lane].2.get(block * BLOCK + i).copied().unwrap_or((0, 0.0))
            };
            let begin = self.values.len();
            self.values.resize(begin + LANES * BLOCK, 0.0);
            for (lane, i) in (0..LANES).flat_map(|lane| (0..BLOCK).map(move |i| (lane, i))) {
                self.values[begin + place(self.kind, 0, lane, i)] = step(lane, i).1;
            }
            for word in 0..words {
                let of_word = BLOCK / words;
                let gaps = |lane| {
                    let gap = |i: usize| u32::from(step(lane, word * of_word + i).0);
                    (0..of_word).map(|i| gap(i) << (i as u32 * self.bits)).sum::<u32>()
                };
                self.gaps.extend((0..LANES).map(gaps));
            }
        }
        self.strands.extend(strands.iter().flat_map(|&(unit, column, _)| [unit, column]));
        self.begins.push(self.begins[self.begins.len() - 1] + blocks as u32);
        Ok(())
    }
}

/// Calls `put` with unit, input and value of each kept weight.
pub(super) fn visit(
    of: Strands,
    shape: PackedShape,
    words: &[&[u32]],
    put: &mut impl FnMut(u32, u32, f32),
) {
    let &[values, gaps, strands, begins] = words else { return };
    let per_word = 32 / of.bits as usize;
    for s in 0..of.slices as usize * LANES {
        let (slice, lane, [unit, mut column]) =
            (s / LANES, s % LANES, [strands[s * 2], strands[s * 2 + 1]]);
        for block in begins[slice] as usize..begins[slice + 1] as usize {
            for i in 0..BLOCK {
                let word = gaps[(block * BLOCK / per_word + i / per_word) * LANES + lane];
                column += word >> (i % per_word * of.bits as usize) & ((1 << of.bits) - 1);
                let at = place(shape.values, block, lane, i);
                let value = value_in(values, at, shape.values);
                if value != 0.0 {
                    put(unit, column, value);
                }
            }
        }
    }
}

/// Place of a weight among the values: those of a strand lie four, or as halves eight, together.
fn place(values: PackedValues, block: usize, lane: usize, i: usize) -> usize {
    match values {
        PackedValues::F32 => ((block * 2 + i / 4) * LANES + lane) * 4 + i % 4,
        PackedValues::F16 => (block * LANES + lane) * BLOCK + i,
    }
}
