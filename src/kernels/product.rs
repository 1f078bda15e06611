//! What `matmul` and `conv2d` share: long sums in parts.
use crate::Result;
use crate::gpu::{Bound, Kernel, MAX_LOOP_ITERATIONS, Operand, PlanBuilder, Target, Variant};

/// How the workgroups of a product share its rows and columns. Each sum has the same terms in the same order in any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sums {
    /// `product_blocks.wgsl`.
    Blocks,
    /// `product_lanes.wgsl`.
    Lanes,
    /// `product_tiles.wgsl`.
    Tiles,
}

impl Sums {
    fn of(target: Target) -> Self {
        match target {
            Target { software: true, subgroup: Some(LANES) } => Self::Lanes,
            Target { software: true, .. } => Self::Blocks,
            Target { software: false, .. } => Self::Tiles,
        }
    }

    /// The grid for so many rows, columns and groups.
    pub(super) fn grid(self, extents: [u32; 3]) -> [u32; 3] {
        let [rows, columns, groups] = extents;
        let [height, width] = match self {
            Self::Blocks => [64 / block_lanes(columns) * 8, block_lanes(columns) * 4],
            Self::Lanes => [8 * 16, LANES * lane_columns(columns)],
            Self::Tiles => [Tile::of(extents).extent(); 2],
        };
        [columns.div_ceil(width), rows.div_ceil(height), groups]
    }

    /// The constants that say so, where they differ from the WGSL's.
    pub(super) fn constants(self, extents: [u32; 3]) -> Vec<(&'static str, f64)> {
        let columns = extents[1];
        let all: &[(&str, u32, u32)] = match self {
            Self::Blocks => {
                let lanes = block_lanes(columns);
                &[("LANES", lanes, 16), ("LANE_ROWS", 64 / lanes, 4)]
            }
            Self::Lanes => &[("COLUMNS", lane_columns(columns), 4)],
            Self::Tiles => {
                let &Tile { side, fours, depth } = Tile::of(extents);
                &[("SIDE", side, 16), ("FOURS", fours, 1), ("DEPTH", depth, 16)]
            }
        };
        let differs = all.iter().filter(|(_, value, default)| value != default);
        differs.map(|&(name, value, _)| (name, value.into())).collect()
    }

    /// Its place among a kernel's variants.
    fn variant<K: Kernel>(self) -> Option<&'static Variant> {
        match self {
            Self::Blocks => None,
            Self::Lanes => Some(&K::VARIANTS[0]),
            Self::Tiles => Some(&K::VARIANTS[1]),
        }
    }
}

/// The square that a workgroup computes where it has tiles in its memory.
struct Tile {
    /// Invocations in each direction.
    side: u32,
    /// Fours of rows, and of columns, of an invocation.
    fours: u32,
    /// Terms of a tile.
    depth: u32,
}

impl Tile {
    /// Large ones read less, small ones leave fewer of the GPU's processors idle.
    const ALL: [(Self, u32); 3] = [
        (Self { side: 16, fours: 2, depth: 8 }, 256),
        (Self { side: 16, fours: 1, depth: 16 }, 64),
        (Self { side: 8, fours: 1, depth: 16 }, 0),
    ];

    /// The largest of which there are enough.
    fn of([rows, columns, groups]: [u32; 3]) -> &'static Self {
        let count = |tile: &Self| {
            let along = |extent: u32| u64::from(extent.div_ceil(tile.extent()));
            along(rows) * along(columns) * u64::from(groups)
        };
        let enough = |&&(ref tile, least): &&(Self, u32)| count(tile) >= u64::from(least);
        &Self::ALL.iter().find(enough).expect("the last is always enough").0
    }

    /// Rows, and columns.
    fn extent(&self) -> u32 {
        self.side * self.fours * 4
    }
}

/// Lanes of the subgroups that `product_lanes.wgsl` is for.
const LANES: u32 = 8;

/// Invocations of a workgroup side by side, of 64: each has four columns, so that few columns leave few idle.
fn block_lanes(columns: u32) -> u32 {
    match columns {
        0..=16 => 4,
        17..=32 => 8,
        _ => 16,
    }
}

/// Columns of a lane.
fn lane_columns(columns: u32) -> u32 {
    match columns {
        0..=8 => 1,
        9..=16 => 2,
        _ => 4,
    }
}

/// The texts of a kernel on `shaders/common/product.wgsl`, whose own file is `$file`: blocks, and the variants of [`Sums`].
macro_rules! texts {
    ($sums:literal, $file:literal) => {
        crate::wgsl!(
            "common/bits.wgsl",
            "common/activation.wgsl",
            "common/product.wgsl",
            $sums,
            $file
        )
    };
    (variants, $file:literal) => {
        &[
            Variant { name: "lanes", wgsl: texts!("common/product_lanes.wgsl", $file) },
            Variant { name: "tiles", wgsl: texts!("common/product_tiles.wgsl", $file) },
        ]
    };
}
pub(super) use texts;

/// A kernel on `shaders/common/product.wgsl`.
pub(super) trait Product: Kernel + Copy {
    /// Places of bias and gate among the operands.
    const EPILOGUE: [usize; 2];

    /// Terms of each sum.
    fn terms(&self) -> u32;

    /// Rows, columns and groups.
    fn extents(&self) -> [u32; 3];

    /// What is computed, in constants that differ from the WGSL's.
    fn meaning(&self) -> Vec<(&'static str, f64)>;

    /// Its uniform for the terms `begin..end`.
    fn params_of(&self, begin: u32, end: u32) -> Self::Params;

    /// The same without what is done to the finished sums.
    fn bare(self) -> Self;

    fn check_sizes(&self) -> Result<(), String>;
}

/// Appends `product` to `plan`: one launch, or as many as keep each invocation's loop under
/// [`MAX_LOOP_ITERATIONS`], each adding its terms to the sums so far.
pub(super) fn push(product: impl Product, plan: &mut PlanBuilder) -> Result<()> {
    let sums = Sums::of(plan.target());
    // At least one launch, whose check says what is wrong with no terms.
    let mut begin = 0;
    loop {
        let end = product.terms().min(begin + MAX_LOOP_ITERATIONS);
        plan.push(Part { product, sums, begin, end })?;
        if end == product.terms() {
            return Ok(());
        }
        begin = end;
    }
}

/// One launch of a product: its terms `begin..end`.
#[derive(Debug, Clone, Copy)]
struct Part<P> {
    product: P,
    sums: Sums,
    begin: u32,
    end: u32,
}

impl<P: Product> Part<P> {
    fn is_last(&self) -> bool {
        self.end == self.product.terms()
    }
}

impl<P: Product> Kernel for Part<P> {
    const NAME: &'static str = P::NAME;
    const WGSL: &'static str = P::WGSL;
    const VARIANTS: &'static [Variant] = P::VARIANTS;
    const OPERANDS: &'static [Operand] = P::OPERANDS;
    type Params = P::Params;

    fn bind(&self) -> Vec<Bound> {
        let mut bound = self.product.bind();
        if !self.is_last() {
            P::EPILOGUE.into_iter().for_each(|at| bound[at] = Bound::NONE);
        }
        bound
    }

    fn params(&self) -> P::Params {
        self.product.params_of(self.begin, self.end)
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let part = if self.is_last() { self.product } else { self.product.bare() };
        let mut constants = part.meaning();
        constants.extend(self.sums.constants(part.extents()));
        if self.begin > 0 {
            constants.push(("ACCUMULATE", 1.0));
        }
        constants
    }

    fn variant(&self) -> Option<&'static Variant> {
        self.sums.variant::<P>()
    }

    fn grid(&self) -> [u32; 3] {
        self.sums.grid(self.product.extents())
    }

    fn check(&self) -> Result<(), String> {
        self.product.check_sizes()
    }
}

/// Refuses a launch of all terms at once where they are too many.
pub(super) fn check_whole(product: &impl Product) -> Result<(), String> {
    let k = product.terms();
    if k > MAX_LOOP_ITERATIONS {
        return Err(format!("{k} terms are over {MAX_LOOP_ITERATIONS}; use its push"));
    }
    product.check_sizes()
}
