//! `bitmask_matmul`: a product with a matrix of which the kept weights are there, and a bit for
//! each.
use super::packed::{KeptRows, PackedShape, PackedValues, Words, value_in, words_of};
use super::packed_product::{PackedProduct, texts};
use crate::gpu::{Bound, Cut, Kernel, Operand, Slot, Target, Variant, read, write};
use crate::kernels::bit;

/// `c = activation(a b^T + bias)`: [`PackedProduct`] with [`PackedForm::Bitmask`].
///
/// [`PackedForm::Bitmask`]: super::PackedForm::Bitmask
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct BitmaskMatmul {
    product: PackedProduct,
    /// Invocations that share four rows.
    lanes: u32,
}

crate::uniform! {
    /// Uniform of [`BitmaskMatmul`].
    pub struct BitmaskMatmulParams {
        /// Rows of `a`.
        m: u32,
        /// Output units.
        n: u32,
        /// Inputs.
        k: u32,
        /// Words of bits of a unit.
        words: u32,
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

/// Invocations of a workgroup, and rows of the matrix of a team.
const INVOCATIONS: u32 = 64;
const TEAM_ROWS: u32 = 4;

impl BitmaskMatmul {
    /// A launch for what `target` says.
    pub(super) fn of(product: PackedProduct, target: Target) -> Self {
        // A software adapter's subgroup loads a word once for the four columns of each lane; a GPU
        // reads the 32 columns of a word side by side.
        Self { product, lanes: if target.software { 8 } else { 32 } }
    }

    /// Rows of `a` of an invocation.
    fn rows(&self) -> u32 {
        self.product.rows(4)
    }

    fn slots(&self) -> [Slot; 3] {
        [0, 1, 2].map(|at| self.product.b.slot(at))
    }
}

impl Kernel for BitmaskMatmul {
    const NAME: &'static str = "bitmask_matmul";
    const WGSL: &'static str = texts!("common/packed_row.wgsl", "bitmask_matmul.wgsl");
    const VARIANTS: &'static [Variant] =
        &[Variant { name: "rows", wgsl: texts!("common/packed_rows.wgsl", "bitmask_matmul.wgsl") }];
    const OPERANDS: &'static [Operand] =
        &[read("a"), read("values"), read("bits"), read("offsets"), read("bias"), write("c")];
    type Params = BitmaskMatmulParams;

    fn bind(&self) -> Vec<Bound> {
        let [a, bias, c] = self.product.touched();
        let [values, bits, offsets] = self.slots();
        let of = self.product.b.of;
        let kept = u64::from(of.kept) + 1;
        vec![
            self.product.a.needs(a),
            values.needs(if of.values == PackedValues::F16 { kept.div_ceil(2) } else { kept }),
            bits.needs(u64::from(of.units) * u64::from(row_words(of))),
            offsets.needs(of.units.into()),
            self.product.bias.map_or(Bound::NONE, |slot| slot.needs(bias)),
            self.product.c.needs(c),
        ]
    }

    fn params(&self) -> BitmaskMatmulParams {
        let of = self.product.b.of;
        let [m, n, k, words] = [self.product.m, of.units, of.inputs, row_words(of)];
        let fours = self.product.fours();
        let [a_begin, c_begin] = self.product.begin;
        let default = BitmaskMatmulParams::default();
        BitmaskMatmulParams { m, n, k, words, fours, a_begin, c_begin, ..default }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let mut constants = self.product.constants(self.rows());
        if self.lanes != 32 {
            constants.push(("LANES", self.lanes.into()));
        }
        constants
    }

    fn variant(&self) -> Option<&'static Variant> {
        (self.product.m > 1).then_some(&Self::VARIANTS[0])
    }

    fn grid(&self) -> [u32; 3] {
        let of_group = INVOCATIONS / self.lanes * TEAM_ROWS;
        let units = self.product.b.of.units;
        [units.div_ceil(of_group), self.product.m.div_ceil(self.rows()), 1]
    }

    fn cut(&self) -> Option<Cut> {
        let PackedShape { units, inputs, .. } = self.product.b.of;
        let first = std::mem::offset_of!(BitmaskMatmulParams, first_x);
        let sums = u64::from(self.product.m) * u64::from(units);
        Some(Cut { operations: sums.saturating_mul(inputs.into()), first })
    }

    fn check(&self) -> Result<(), String> {
        self.product.check()
    }
}

fn row_words(of: PackedShape) -> u32 {
    of.inputs.div_ceil(32)
}

/// The slots of a matrix: the kept weights and one more word, bits, and where rows begin.
pub(super) fn pack(rows: &KeptRows<'_>, of: PackedShape) -> Result<Words, String> {
    let words = row_words(of) as usize;
    let all = of.units.checked_mul(row_words(of));
    let (Some(all), Some(_)) = (all, of.kept.checked_add(1)) else {
        let PackedShape { units, inputs, .. } = of;
        return Err(format!("{units} x {inputs} weights have 2^32 words of bits or more"));
    };
    let (mut values, mut bits) = (Vec::new(), vec![0; all as usize]);
    let mut offsets = Vec::new();
    for unit in 0..of.units {
        offsets.push(values.len() as u32);
        for (input, value) in rows.kept(unit) {
            bits[unit as usize * words + input as usize / 32] |= 1 << (input % 32);
            values.push(value);
        }
    }
    values.push(0.0);
    let values = words_of(&values, of.values)?;
    Ok(vec![("values", values), ("bits", bits), ("offsets", offsets)])
}

/// Calls `put` with unit, input and value of each kept weight.
pub(super) fn visit(of: PackedShape, words: &[&[u32]], put: &mut impl FnMut(u32, u32, f32)) {
    let &[values, bits, _] = words else { return };
    let mut at = 0;
    for unit in 0..of.units {
        let row = &bits[unit as usize * row_words(of) as usize..];
        for input in (0..of.inputs).filter(|&input| bit(row, input as usize)) {
            put(unit, input, value_in(values, at, of.values));
            at += 1;
        }
    }
}
