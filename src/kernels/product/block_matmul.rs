//! `block_matmul`: a product with a matrix of weights of which only blocks are kept.
use super::kept_blocks::BlockShape;
use crate::Result;
use crate::gpu::{
    Bound, Cut, Kernel, MAX_LOOP_ITERATIONS, Operand, PlanBuilder, Slot, Target, Variant, read,
    write,
};
use crate::kernels::Activation;

/// `c = activation(a W + bias)` for row-major `a [m, inputs]` and `c [m, outputs]`, and a `W` of
/// which the blocks of [`KeptBlocks`](super::KeptBlocks) are there: what is pruned costs nothing, at
/// any batch. For more than four rows the bits are those of [`Matmul`](super::Matmul) with zeros for
/// what is pruned; of fewer each sum is made of eight parts. An infinity in `a` meets no such zero.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct BlockMatmul {
    /// `[m, inputs]`
    pub a: Slot,
    /// `[groups + 1]`, [`KeptBlocks::begins`](super::KeptBlocks::begins).
    pub begins: Slot,
    /// `[blocks]`, [`KeptBlocks::inputs`](super::KeptBlocks::inputs).
    pub inputs: Slot,
    /// `[blocks, height, width]`, [`KeptBlocks::values`](super::KeptBlocks::values).
    pub values: Slot,
    /// `[outputs]`, added to every row.
    pub bias: Option<Slot>,
    /// Applied after the bias.
    pub activation: Activation,
    /// `[m, outputs]`
    pub c: Slot,
    /// Rows of `c`.
    pub m: u32,
    /// What is kept of `W`.
    pub shape: BlockShape,
}

crate::uniform! {
    /// Uniform of [`BlockMatmul`].
    pub struct BlockMatmulParams {
        /// Rows.
        m: u32,
        /// Columns.
        n: u32,
        /// Inputs.
        k: u32,
        /// Blocks.
        blocks: u32,
        /// First term of each sum in this launch.
        begin: u32,
        /// One past its last.
        end: u32,
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
            $sums,
            "block_matmul.wgsl"
        )
    };
}

/// How workgroups share rows; each has the outputs of one list of blocks.
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
        // Three rows are four, of which one is not stored.
        let few = if m == 3 { 4 } else { m };
        let all: &[(&str, u32, u32)] = match self {
            Self::Registers => &[("LANES", width / 4, 8), ("LANE_ROWS", 256 / width, 8)],
            Self::Lanes => &[("SETS", sets(width, m), 1)],
            Self::Tiles => &[
                ("SIDE", width / 4, 8),
                ("ROWS", tile_rows(width), 16),
                ("FOURS", fours(width, m), 2),
            ],
            Self::Few => &[("COLUMNS", width, 32), ("ROWS", few, 1)],
            Self::FewLanes => &[("ROWS", few, 1)],
        };
        let differs = all.iter().filter(|(_, value, default)| value != default);
        differs.map(|&(name, value, _)| (name, value.into())).collect()
    }

    fn variant(self) -> Option<&'static Variant> {
        let name = match self {
            Self::Registers => return None,
            Self::Lanes => "lanes",
            Self::Tiles => "tiles",
            Self::Few => "few",
            Self::FewLanes => "few_lanes",
        };
        BlockMatmul::VARIANTS.iter().find(|variant| variant.name == name)
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
    /// `c = a W` for `m` rows, `W` having its lists at `[begins, inputs, values]`. What else a launch
    /// can do is a field to set.
    pub fn new(a: Slot, weights: [Slot; 3], c: Slot, m: u32, shape: BlockShape) -> Self {
        let ([begins, inputs, values], activation) = (weights, Activation::Identity);
        Self { a, begins, inputs, values, bias: None, activation, c, m, shape }
    }

    /// Appends the product to `plan`: one launch, or as many as keep each invocation's loop under
    /// [`MAX_LOOP_ITERATIONS`], each adding its terms to the sums so far.
    ///
    /// # Errors
    /// [`Error::Plan`](crate::Error::Plan) for sizes and slots that do not fit.
    pub fn push(self, plan: &mut PlanBuilder) -> Result<()> {
        self.parts(plan, false)
    }

    /// The same, added to what `c` holds, before bias and activation.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_onto(self, plan: &mut PlanBuilder) -> Result<()> {
        self.parts(plan, true)
    }

    fn parts(self, plan: &mut PlanBuilder, onto: bool) -> Result<()> {
        let (sharing, terms) = (Sharing::of(plan.target(), self.m), self.terms());
        let mut begin = 0;
        // At least one launch, where nothing is kept too: its sums are zeros.
        loop {
            let end = terms.min(begin + MAX_LOOP_ITERATIONS);
            let (product, adds) = (self, onto || begin > 0);
            plan.push(Part { product, sharing, begin, end, adds })?;
            if end == terms {
                return Ok(());
            }
            begin = end;
        }
    }

    /// Terms of the longest sum.
    fn terms(&self) -> u32 {
        self.shape.most.saturating_mul(self.shape.height)
    }

    fn whole(self) -> Part {
        let end = self.terms();
        Part { product: self, sharing: Sharing::Registers, begin: 0, end, adds: false }
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
        read("begins"),
        read("inputs"),
        read("values"),
        read("bias"),
        write("c"),
    ];
    type Params = BlockMatmulParams;

    fn bind(&self) -> Vec<Bound> {
        let BlockShape { inputs, outputs, blocks, .. } = self.shape;
        let [m, n, k] = [self.m, outputs, inputs].map(u64::from);
        vec![
            self.a.needs(m * k),
            self.begins.needs(u64::from(self.shape.groups()) + 1),
            self.inputs.needs(blocks.max(1).into()),
            self.values.needs(self.shape.weights().max(1)),
            self.bias.map_or(Bound::NONE, |slot| slot.needs(n)),
            self.c.needs(m * n),
        ]
    }

    fn params(&self) -> BlockMatmulParams {
        self.whole().params()
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.whole().constants()
    }

    fn grid(&self) -> [u32; 3] {
        self.whole().grid()
    }

    fn cut(&self) -> Option<Cut> {
        self.whole().cut()
    }

    fn check(&self) -> Result<(), String> {
        let terms = self.terms();
        if terms > MAX_LOOP_ITERATIONS {
            return Err(format!("{terms} terms are over {MAX_LOOP_ITERATIONS}; use its push"));
        }
        self.whole().check()
    }
}

/// One launch: of each sum the terms `begin..end`.
#[derive(Debug, Clone, Copy)]
struct Part {
    product: BlockMatmul,
    sharing: Sharing,
    begin: u32,
    end: u32,
    /// Whether it adds to what is there.
    adds: bool,
}

crate::kernels::parts! {
    Part: BlockMatmulParams,
}

impl Part {
    fn is_last(&self) -> bool {
        self.end == self.product.terms()
    }
}

impl Kernel for Part {
    const NAME: &'static str = BlockMatmul::NAME;
    const WGSL: &'static str = BlockMatmul::WGSL;
    const VARIANTS: &'static [Variant] = BlockMatmul::VARIANTS;
    const OPERANDS: &'static [Operand] = BlockMatmul::OPERANDS;
    type Params = BlockMatmulParams;

    fn bind(&self) -> Vec<Bound> {
        let bias = self.product.bias.filter(|_| self.is_last());
        BlockMatmul { bias, ..self.product }.bind()
    }

    fn params(&self) -> BlockMatmulParams {
        let &Self { product: BlockMatmul { m, shape, .. }, begin, end, .. } = self;
        let BlockShape { inputs: k, outputs: n, blocks, .. } = shape;
        BlockMatmulParams { m, n, k, blocks, begin, end, ..BlockMatmulParams::default() }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let BlockMatmul { shape: BlockShape { height, width, .. }, m, bias, .. } = self.product;
        let last = self.is_last();
        let flag = |set: bool| f64::from(u8::from(set));
        let activation = if last { self.product.activation.code() } else { 0.0 };
        let all = [
            ("HEIGHT", height.into(), 1.0),
            ("WIDTH", width.into(), 32.0),
            ("BIAS", flag(last && bias.is_some()), 0.0),
            ("ACTIVATION", activation, 0.0),
            ("ACCUMULATE", flag(self.adds), 0.0),
        ];
        let differs = all.into_iter().filter(|(_, value, default)| value != default);
        let meaning = differs.map(|(name, value, _)| (name, value));
        meaning.chain(self.sharing.constants(width, m)).collect()
    }

    fn variant(&self) -> Option<&'static Variant> {
        self.sharing.variant()
    }

    fn grid(&self) -> [u32; 3] {
        let BlockMatmul { shape, m, .. } = self.product;
        [shape.groups(), m.div_ceil(self.sharing.rows(shape.width, m)), 1]
    }

    fn cut(&self) -> Option<Cut> {
        let operations = self.product.shape.weights().saturating_mul(self.product.m.into());
        Some(Cut { operations, first: std::mem::offset_of!(BlockMatmulParams, first_x) })
    }

    fn check(&self) -> Result<(), String> {
        let BlockMatmul { shape, m, .. } = self.product;
        shape.check()?;
        let BlockShape { inputs: k, outputs: n, .. } = shape;
        if m == 0 || m.checked_mul(k).is_none() || m.checked_mul(n).is_none() {
            return Err(format!("m {m}, n {n}, k {k}: a matrix has none or 2^32 elements or more"));
        }
        Ok(())
    }
}
