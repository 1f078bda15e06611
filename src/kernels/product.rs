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
}

impl Sums {
    fn of(target: Target) -> Self {
        let broadcasts = target.software && target.subgroup == Some(LANES);
        if broadcasts { Self::Lanes } else { Self::Blocks }
    }

    /// The grid for so many rows, columns and groups.
    pub(super) fn grid(self, [rows, columns, groups]: [u32; 3]) -> [u32; 3] {
        let [height, width] = match self {
            Self::Blocks => [64 / block_lanes(columns) * 8, block_lanes(columns) * 4],
            Self::Lanes => [8 * 16, LANES * lane_columns(columns)],
        };
        [columns.div_ceil(width), rows.div_ceil(height), groups]
    }

    /// The constants that say so, where they differ from the WGSL's.
    pub(super) fn constants(self, columns: u32) -> Vec<(&'static str, f64)> {
        match self {
            Self::Blocks => {
                let lanes = block_lanes(columns);
                let all = [("LANES", lanes), ("LANE_ROWS", 64 / lanes)];
                let named = all.into_iter().filter(|_| lanes != 16);
                named.map(|(name, value)| (name, value.into())).collect()
            }
            Self::Lanes => {
                let of_a_lane = Some(lane_columns(columns)).filter(|&n| n != 4);
                of_a_lane.map(|n| ("COLUMNS", n.into())).into_iter().collect()
            }
        }
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
        constants.extend(self.sums.constants(part.extents()[1]));
        if self.begin > 0 {
            constants.push(("ACCUMULATE", 1.0));
        }
        constants
    }

    fn variant(&self) -> Option<&'static Variant> {
        (self.sums == Sums::Lanes).then(|| &P::VARIANTS[0])
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
