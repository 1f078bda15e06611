//! `weight_gradient`: the gradients of a layer's weights and of its bias in one launch.
use super::split::Split;
use super::tiling::{Tile, Tiling};
use crate::gpu::{Bound, Cut, Kernel, Operand, Slot, Target, read, write};
use crate::kernels::{Form, column_sum};

/// `c = a^T b`, and the sums of the columns of `b` or of `a`: the bits of a
/// [`Matmul`](crate::kernels::Matmul) of the form TN and of a
/// [`ColumnSum`](crate::kernels::ColumnSum), which would read the same gradient again.
#[derive(Debug, Clone, Copy)]
pub struct WeightGradient {
    a: Slot,
    b: Slot,
    c: Slot,
    sums: Slot,
    m: u32,
    n: u32,
    k: u32,
    of_a: bool,
    tile: Tile,
}

crate::uniform! {
    /// Uniform of [`WeightGradient`].
    pub struct WeightGradientParams {
        /// Rows of `c`, columns of `a`.
        m: u32,
        /// Columns.
        n: u32,
        /// Terms: rows of `a` and `b`.
        k: u32,
        /// First workgroup of this launch.
        first_x: u32,
        /// The same along y.
        first_y: u32,
        /// The same along z.
        first_z: u32,
    }
}

impl WeightGradient {
    /// That of `[a, b, c, sums]` for `a [k, m]`, `b [k, n]`, `c [m, n]`, and `sums [n]` of `b`, or
    /// `[m]` of `a` if `of_a`.
    ///
    /// `None` where the two launches stay apart: on software adapters, where launches cost little
    /// and nothing is staged; where the product's terms are split, or the sums'; and in the largest
    /// tiles, which have no registers left and take far longer than a launch.
    pub fn of(
        [m, n, k]: [u32; 3],
        of_a: bool,
        target: Target,
    ) -> Option<impl FnOnce([Slot; 4]) -> Self> {
        let columns = if of_a { m } else { n };
        let split = Split::of(target, [m, n, 1], k).is_some();
        let apart = target.software || split || column_sum::parts(k, columns, target).is_some();
        match Tiling::of(target, Form::TN, [m, n, 1]) {
            Tiling::Tiles(tile) if tile.is_deep() && !apart => {
                Some(move |[a, b, c, sums]: [Slot; 4]| Self { a, b, c, sums, m, n, k, of_a, tile })
            }
            _ => None,
        }
    }

    fn extents(&self) -> [u32; 3] {
        [self.m, self.n, 1]
    }
}

impl Kernel for WeightGradient {
    const NAME: &'static str = "weight_gradient";
    const WGSL: &'static str = crate::wgsl!(
        "common/cut.wgsl",
        "common/all_terms.wgsl",
        "common/product_tiles.wgsl",
        "weight_gradient.wgsl"
    );
    const OPERANDS: &'static [Operand] = &[read("a"), read("b"), write("c"), write("sums")];
    type Params = WeightGradientParams;

    fn bind(&self) -> Vec<Bound> {
        let [m, n, k] = [self.m, self.n, self.k].map(u64::from);
        let sums = if self.of_a { m } else { n };
        vec![self.a.needs(k * m), self.b.needs(k * n), self.c.needs(m * n), self.sums.needs(sums)]
    }

    fn params(&self) -> WeightGradientParams {
        let &Self { m, n, k, .. } = self;
        WeightGradientParams { m, n, k, ..WeightGradientParams::default() }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let of_a = self.of_a.then_some(("OF_A", 1.0));
        self.tile.all_constants().into_iter().chain(of_a).collect()
    }

    fn grid(&self) -> [u32; 3] {
        Tiling::Tiles(self.tile).grid(self.extents())
    }

    fn cut(&self) -> Option<Cut> {
        let operations =
            [self.m, self.n, self.k].iter().fold(1_u64, |all, &n| all.saturating_mul(n.into()));
        Some(Cut { operations, first: std::mem::offset_of!(WeightGradientParams, first_x) })
    }

    fn check(&self) -> Result<(), String> {
        let &Self { m, n, k, .. } = self;
        let fits = |x: u32, y: u32| x.checked_mul(y).is_some();
        match ![m, n, k].contains(&0) && fits(m, n) && fits(k, m) && fits(k, n) {
            true => Ok(()),
            false => Err(format!("m {m}, n {n}, k {k}: each matrix must have 1 to 2^32 - 1 elements")),
        }
    }
}
