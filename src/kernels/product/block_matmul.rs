//! `block_matmul`: a product with a matrix of weights of which only blocks are kept.
use super::kept_blocks::{self, BlockShape, KeptBlocks};
use super::PackedProduct;
use super::packed::{KeptRows, PackedShape, PackedValues, Words, value_in, words_of};
use crate::Result;
use crate::gpu::{
    Bound, Cut, Kernel, MAX_LOOP_ITERATIONS, Operand, PlanBuilder, Target, Variant, read, write,
};
use crate::kernels::Activation;

/// A launch of a [`PackedProduct`] with [`PackedForm::Blocks`]: what is pruned costs nothing, at any
/// batch. For more than four rows the bits are those of [`Matmul`](super::Matmul) with zeros for
/// what is pruned; of fewer each sum is made of eight parts.
///
/// [`PackedForm::Blocks`]: super::PackedForm::Blocks
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct BlockMatmul {
    product: PackedProduct,
    shape: BlockShape,
    sharing: Sharing,
    /// Of each sum the terms of this launch.
    terms: [u32; 2],
}

crate::uniform! {
    /// Uniform of [`BlockMatmul`].
    pub struct BlockMatmulParams {
        /// Rows of `a`.
        m: u32,
        /// Output units.
        n: u32,
        /// Inputs.
        k: u32,
        /// Blocks.
        blocks: u32,
        /// First term of each sum in this launch.
        begin: u32,
        /// One past its last.
        end: u32,
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

/// The texts, whose sums are `$sums`.
macro_rules! text {
    ($sums:literal) => {
        crate::wgsl!(
            "common/activation.wgsl",
            "common/cut.wgsl",
            "common/packed.wgsl",
            $sums,
            "block_matmul.wgsl"
        )
    };
}

/// How workgroups share rows; each has the units of one list of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    /// `blocked_registers.wgsl`
    Registers,
    /// `blocked_lanes.wgsl`
    Lanes,
    /// `blocked_tiles.wgsl`
    Tiles,
    /// `blocked_few.wgsl`
    Few,
    /// `blocked_few_lanes.wgsl`
    FewLanes,
}

/// Rows up to which each sum is made of eight parts.
const FEW: u32 = 4;

impl Sharing {
    fn of(target: Target, m: u32) -> Self {
        let lanes = target.software && target.subgroup == Some(8);
        match (m <= FEW, lanes) {
            (true, true) => Self::FewLanes,
            (true, false) => Self::Few,
            (false, true) => Self::Lanes,
            (false, false) if target.software => Self::Registers,
            (false, false) => Self::Tiles,
        }
    }

    /// Rows of a workgroup of `m` in all.
    fn rows(self, width: u32, m: u32) -> u32 {
        match self {
            Self::Registers => 256 / width * 8,
            Self::Lanes => 8 * 16 * sets(width, m),
            Self::Tiles => tile_rows(width) * fours(width, m) * 4,
            Self::Few | Self::FewLanes => FEW,
        }
    }

    /// The constants that say so, where they differ from the WGSL's.
    fn constants(self, width: u32, m: u32) -> Vec<(&'static str, f64)> {
        let all: &[(&str, u32, u32)] = match self {
            Self::Registers => &[("LANES", width / 4, 8), ("LANE_ROWS", 256 / width, 8)],
            Self::Lanes => &[("SETS", sets(width, m), 1)],
            Self::Tiles => &[
                ("SIDE", width / 4, 8),
                ("TILE_ROWS", tile_rows(width), 16),
                ("FOURS", fours(width, m), 2),
            ],
            Self::Few => &[("COLUMNS", width, 32)],
            Self::FewLanes => &[],
        };
        let differs = all.iter().filter(|(_, value, default)| value != default);
        differs.map(|&(name, value, _)| (name, value.into())).collect()
    }
}

/// Sixteens of rows of a subgroup: as many as keep the sums of a lane, but no more than there are.
fn sets(width: u32, m: u32) -> u32 {
    let most = 32 / width.max(8);
    m.div_ceil(16).next_power_of_two().min(most)
}

/// Invocations below each other in a tile, for 64 of them or more.
fn tile_rows(width: u32) -> u32 {
    (256 / width).max(16)
}

/// Fours of rows of an invocation.
fn fours(width: u32, m: u32) -> u32 {
    if width >= 16 && m > 64 { 2 } else { 1 }
}

impl BlockMatmul {
    /// Appends the product to `plan`: one launch, or as many as keep each invocation's loop under
    /// [`MAX_LOOP_ITERATIONS`], each adding its terms to the sums so far.
    pub(super) fn push(
        product: PackedProduct,
        shape: BlockShape,
        plan: &mut PlanBuilder,
    ) -> Result<()> {
        let sharing = Sharing::of(plan.target(), product.m);
        let all = shape.most.saturating_mul(shape.height);
        let mut begin = 0;
        // At least one launch, where nothing is kept too: its sums are zeros.
        loop {
            let end = all.min(begin + MAX_LOOP_ITERATIONS);
            let (mut product, terms) = (product, [begin, end]);
            product.onto |= begin > 0;
            if end < all {
                (product.bias, product.activation) = (None, Activation::Identity);
            }
            plan.push(Self { product, shape, sharing, terms })?;
            if end == all {
                return Ok(());
            }
            begin = end;
        }
    }
}

impl Kernel for BlockMatmul {
    const NAME: &'static str = "block_matmul";
    const WGSL: &'static str = text!("common/blocked_registers.wgsl");
    const VARIANTS: &'static [Variant] = &[
        Variant { name: "lanes", wgsl: text!("common/blocked_lanes.wgsl") },
        Variant { name: "tiles", wgsl: text!("common/blocked_tiles.wgsl") },
        Variant { name: "few", wgsl: text!("common/blocked_few.wgsl") },
        Variant { name: "few_lanes", wgsl: text!("common/blocked_few_lanes.wgsl") },
    ];
    const OPERANDS: &'static [Operand] = &[
        read("a"),
        read("values"),
        read("begins"),
        read("inputs"),
        read("bias"),
        write("c"),
    ];
    type Params = BlockMatmulParams;

    fn bind(&self) -> Vec<Bound> {
        let BlockShape { inputs, units, .. } = self.shape;
        let [m, n, k] = [self.product.m, units, inputs].map(u64::from);
        let [a_begin, c_begin] = self.product.begin.map(u64::from);
        let (b, weights) = (self.product.b, self.shape.weights());
        let halves = b.of.values == PackedValues::F16;
        let values = if halves { weights.div_ceil(2) } else { weights };
        vec![
            self.product.a.needs(a_begin + m * k),
            b.slot(0).needs(values.max(1)),
            b.slot(1).needs(u64::from(self.shape.lists()) + 1),
            b.slot(2).needs(self.shape.blocks.max(1).into()),
            self.product.bias.map_or(Bound::NONE, |slot| slot.needs(n)),
            self.product.c.needs(c_begin + m * n),
        ]
    }

    fn params(&self) -> BlockMatmulParams {
        let BlockShape { inputs: k, units: n, blocks, .. } = self.shape;
        let (m, [begin, end]) = (self.product.m, self.terms);
        let [a_begin, c_begin] = self.product.begin;
        let default = BlockMatmulParams::default();
        BlockMatmulParams { m, n, k, blocks, begin, end, a_begin, c_begin, ..default }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let (BlockShape { height, width, .. }, m) = (self.shape, self.product.m);
        let rows = match self.sharing {
            Sharing::Few | Sharing::FewLanes => m.next_power_of_two(),
            Sharing::Registers | Sharing::Lanes | Sharing::Tiles => 1,
        };
        let mut constants = self.product.constants(rows);
        let own = [("HEIGHT", height, 1), ("WIDTH", width, 32)];
        let differs = own.into_iter().filter(|(_, value, default)| value != default);
        constants.extend(differs.map(|(name, value, _)| (name, f64::from(value))));
        constants.extend(self.sharing.constants(width, m));
        constants
    }

    fn variant(&self) -> Option<&'static Variant> {
        let name = match self.sharing {
            Sharing::Registers => return None,
            Sharing::Lanes => "lanes",
            Sharing::Tiles => "tiles",
            Sharing::Few => "few",
            Sharing::FewLanes => "few_lanes",
        };
        Self::VARIANTS.iter().find(|variant| variant.name == name)
    }

    fn grid(&self) -> [u32; 3] {
        let m = self.product.m;
        [self.shape.lists(), m.div_ceil(self.sharing.rows(self.shape.width, m)), 1]
    }

    fn cut(&self) -> Option<Cut> {
        let operations = self.shape.weights().saturating_mul(self.product.m.into());
        Some(Cut { operations, first: std::mem::offset_of!(BlockMatmulParams, first_x) })
    }

    fn check(&self) -> Result<(), String> {
        self.shape.check()?;
        self.product.check()
    }
}

/// What the weights of a block of so many units cost at a large batch, by ten: a software adapter's
/// lanes share less of what they load for fewer units.
const COSTS: [(u32, u64); 4] = [(32, 10), (16, 11), (8, 14), (4, 30)];

/// What a product of many rows costs, where one with a dense matrix costs ten for each weight.
pub(super) fn cost(shape: BlockShape) -> u64 {
    let of_width = COSTS.iter().find(|(width, _)| *width == shape.width);
    shape.weights().saturating_mul(of_width.map_or(u64::MAX, |(_, cost)| *cost))
}

/// The size of blocks in which `rows` cost least, and of as cheap ones that which takes the fewest
/// bytes.
fn size_of(rows: &KeptRows<'_>, of: PackedShape) -> [u32; 2] {
    let mut least = ((u64::MAX, u64::MAX), [1, 32]);
    for (width, cost) in COSTS {
        let mut blocks = [(32, 0), (16, 0), (8, 0), (4, 0), (1, 0)];
        for first in (0..of.units).step_by(width as usize) {
            let mut inputs = vec![false; of.inputs as usize];
            for unit in first..of.units.min(first + width) {
                rows.kept(unit).for_each(|(input, _)| inputs[input as usize] = true);
            }
            for (height, count) in &mut blocks {
                let kept = |block: &&[bool]| block.contains(&true);
                *count += inputs.chunks(*height as usize).filter(kept).count() as u64;
            }
        }
        for (height, count) in blocks {
            let of_block = u64::from(height * width);
            let found = ((count * of_block * cost, count * (of_block + 1)), [height, width]);
            least = least.min(found);
        }
    }
    least.1
}

/// The blocks of `rows`, of the size that suits them, as they lie on the device.
pub(super) fn pack(
    rows: &KeptRows<'_>,
    of: PackedShape,
) -> Result<(BlockShape, Words), String> {
    let kept = KeptBlocks::gathered(rows, [of.inputs, of.units], size_of(rows, of))?;
    words(&kept, of.values)
}

/// `kept` as it lies on the device, a word at least in each slot.
pub(super) fn words(
    kept: &KeptBlocks,
    values: PackedValues,
) -> Result<(BlockShape, Words), String> {
    let mut words = vec![
        ("values", words_of(kept.values(), values)?),
        ("begins", kept.begins().to_vec()),
        ("inputs", kept.inputs().to_vec()),
    ];
    words.iter_mut().filter(|(_, words)| words.is_empty()).for_each(|(_, words)| words.push(0));
    Ok((kept.shape(), words))
}

/// Calls `put` with unit, input and value of each weight in the blocks.
pub(super) fn visit(
    shape: BlockShape,
    of: PackedShape,
    words: &[&[u32]],
    put: &mut impl FnMut(u32, u32, f32),
) {
    let &[values, begins, inputs] = words else { return };
    kept_blocks::visit(shape, begins, inputs, |at, input, unit| {
        put(unit, input, value_in(values, at, of.values));
    });
}
