//! What `matmul` and `conv2d` share: long sums in parts, one after the other or side by side.
use super::part_sum::PartSum;
use super::split::Split;
use super::tiling::Tiling;
use super::{
    Conv2d, Conv2dParams, F16Conv2d, F16Conv2dParams, F16Matmul, F16MatmulParams, LiveMatmul,
    Matmul, MatmulParams,
};
use crate::Result;
use crate::gpu::{
    Bound, Cut, Kernel, MAX_LOOP_ITERATIONS, Operand, PlanBuilder, Slot, Target, Uniform, Variant,
};
use crate::kernels::{Activation, Form};

/// The texts of a kernel on `shaders/common/product.wgsl`, whose own file is `$file`: blocks, and
/// the variants of [`Tiling`].
macro_rules! texts {
    ([$($first:literal),*] $($sums:literal),+) => {
        crate::wgsl!(
            $($first,)*
            "common/bits.wgsl",
            "common/activation.wgsl",
            "common/cut.wgsl",
            "common/product.wgsl",
            $($sums),+
        )
    };
    (variants $first:tt $file:literal $(, $more:expr)*) => {
        &[
            Variant { name: "lanes", wgsl: texts!($first "common/product_lanes.wgsl", $file) },
            Variant {
                name: "tiles",
                wgsl: texts!($first "common/no_sums.wgsl", "common/product_tiles.wgsl", $file),
            },
            $($more,)*
        ]
    };
    // The variant over the cooperative matrices of a file.
    (matrices $name:literal $matrices:literal [$($first:literal),*] $file:literal) => {
        Variant {
            name: $name,
            wgsl: texts!(
                [
                    $matrices,
                    "common/f16_operand.wgsl",
                    "common/f16_powers.wgsl",
                    $($first,)*
                    "common/coop_loads.wgsl"
                ]
                "common/product_coop.wgsl", $file
            ),
        }
    };
}
pub(super) use texts;

/// [`Product::meaning`] of a product of matrices.
pub(super) fn meaning_of(
    form: Form,
    masked: bool,
    bias: bool,
    activation: Activation,
    gate: Option<(Slot, Activation)>,
) -> Vec<(&'static str, f64)> {
    let gate = gate.map_or(Activation::Identity, |(_, activation)| activation);
    let flag = |set: bool| f64::from(u8::from(set));
    [
        ("TRANS_A", flag(form == Form::TN)),
        ("TRANS_B", flag(form == Form::NT)),
        ("MASKED", flag(masked)),
        ("BIAS", flag(bias)),
        ("ACTIVATION", activation.code()),
        ("GATE", gate.code()),
    ]
    .into_iter()
    .filter(|&(_, value)| value != 0.0)
    .collect()
}

/// A kernel on `shaders/common/product.wgsl`.
pub(super) trait Product: Kernel<Params: Uniform<Part<Self>>> + Copy {
    /// Places of bias and gate among the operands.
    const EPILOGUE: [usize; 2];
    /// Place of the result among them.
    const RESULT: usize = 5;
    /// Place in its uniform of the launch's first workgroup.
    const FIRST: usize;
    /// Place in its uniform of the terms of a part.
    const PART: usize;

    /// Terms of each sum, from the first to one past the last.
    fn terms(&self) -> [u32; 2];

    /// Which of the three that training needs.
    fn form(&self) -> Form;

    /// Rows, columns and groups.
    fn extents(&self) -> [u32; 3];

    /// Elements of the result; saturated, where `check_sizes` refuses them. Fewer than the extents
    /// say, where some rows are of padding.
    fn results(&self) -> u32 {
        self.extents().into_iter().fold(1, u32::saturating_mul)
    }

    /// How they are shared out on a device that `target` says.
    fn tiling(&self, target: Target) -> Tiling {
        Tiling::of(target, self.form(), self.extents())
    }

    /// What is computed, in constants that differ from the WGSL's.
    fn meaning(&self) -> Vec<(&'static str, f64)>;

    /// Its uniform for the terms `begin..end`.
    fn params_of(&self, begin: u32, end: u32) -> Self::Params;

    /// The same without what is done to the finished sums, with the matrix of `c` at its begin.
    fn bare(self) -> Self;

    /// What is done to them where the sums of the parts are in a slot: `[parts, rows, columns]`.
    fn sum(&self, parts: Slot) -> PartSum;

    fn check_sizes(&self) -> Result<(), String>;
}

/// Appends `product` to `plan`: one launch, or as many as keep each invocation's loop under
/// [`MAX_LOOP_ITERATIONS`], each adding its terms to the sums so far.
pub(super) fn push(product: impl Product, plan: &mut PlanBuilder) -> Result<()> {
    let tiling = product.tiling(plan.target());
    push_as(product, tiling, plan)
}

/// The same, added to what the result's slot holds: sums of more than [`MAX_LOOP_ITERATIONS`] terms
/// part by part.
pub(super) fn push_onto(product: impl Product, plan: &mut PlanBuilder) -> Result<()> {
    let tiling = product.tiling(plan.target());
    parts(product, tiling, true, plan)
}

/// As [`push_onto`] for what is symmetric: the workgroups that have anything on the diagonal or to
/// the right of it, in strips of neighbouring rows.
pub(super) fn push_upper_onto(product: impl Product, plan: &mut PlanBuilder) -> Result<()> {
    let (tiling, extents) = (product.tiling(plan.target()), product.extents());
    let ([height, width], [wide, high, deep]) = (tiling.of_group(extents), tiling.grid(extents));
    let strip = high.div_ceil(STRIPS).max(STRIP_ROWS.div_ceil(height));
    let [mut begin, last] = product.terms();
    loop {
        let end = last.min(begin.saturating_add(MAX_LOOP_ITERATIONS));
        for y in (0..high).step_by(strip as usize) {
            let first = [(y * height / width).min(wide - 1), y, 0];
            let within = Some(Within { first, grid: [wide - first[0], strip.min(high - y), deep] });
            plan.push(Part { product, tiling, begin, end, adds: true, within, split: None })?;
        }
        if end == last {
            return Ok(());
        }
        begin = end;
    }
}

/// Most strips of an upper triangle, which then is a 32nd more than half of the square,
const STRIPS: u32 = 16;
/// and rows of one, at least.
const STRIP_ROWS: u32 = 128;

/// Some workgroups of a grid.
#[derive(Debug, Clone, Copy)]
struct Within {
    first: [u32; 3],
    grid: [u32; 3],
}

/// Appends `product` in one variant.
pub(super) fn push_as(product: impl Product, tiling: Tiling, plan: &mut PlanBuilder) -> Result<()> {
    parts(product, tiling, false, plan)
}

fn parts(product: impl Product, tiling: Tiling, onto: bool, plan: &mut PlanBuilder) -> Result<()> {
    let [first, last] = product.terms();
    let split = Split::of(plan.target(), product.extents(), last.saturating_sub(first));
    if let Some(split) = split.filter(|_| product.check_sizes().is_ok()) {
        return push_split(product, tiling, split, onto, plan);
    }
    // At least one launch, whose check says what is wrong with no terms.
    let mut begin = first;
    loop {
        let end = last.min(begin.saturating_add(MAX_LOOP_ITERATIONS));
        let adds = onto || begin > first;
        plan.push(Part { product, tiling, begin, end, adds, within: None, split: None })?;
        if end == last {
            return Ok(());
        }
        begin = end;
    }
}

/// The sums of all parts side by side, then what they come to.
///
/// Not one launch whose last workgroup adds them up: nothing in WGSL orders what one workgroup
/// stores before what another loads, within a launch.
fn push_split(
    product: impl Product,
    tiling: Tiling,
    split: Split,
    adds: bool,
    plan: &mut PlanBuilder,
) -> Result<()> {
    let sums = plan.scratch("parts", split.parts * product.results());
    let ([begin, end], within) = (product.terms(), None);
    let split = Some((split, sums));
    plan.push(Part { product: product.bare(), tiling, begin, end, adds: false, within, split })?;
    plan.push(PartSum { adds, ..product.sum(sums) })
}

/// One launch of a product: its terms `begin..end`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<P> {
    product: P,
    tiling: Tiling,
    begin: u32,
    end: u32,
    /// Whether it adds to what is there.
    adds: bool,
    /// All workgroups where it does not say.
    within: Option<Within>,
    /// Into how many parts its terms are split, and where the parts' sums go.
    split: Option<(Split, Slot)>,
}

crate::kernels::parts! {
    Part<Conv2d>: Conv2dParams,
    Part<F16Conv2d>: F16Conv2dParams,
    Part<F16Matmul>: F16MatmulParams,
    Part<LiveMatmul>: MatmulParams,
    Part<Matmul>: MatmulParams,
}

impl<P: Product> Part<P> {
    fn is_last(&self) -> bool {
        self.end == self.product.terms()[1]
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
        if let Some((split, sums)) = self.split {
            let len = u64::from(self.product.results());
            bound[P::RESULT] = sums.needs(u64::from(split.parts) * len);
        }
        bound
    }

    fn params(&self) -> P::Params {
        let mut params = self.product.params_of(self.begin, self.end);
        if let Some(Within { first, .. }) = self.within {
            let place = &mut bytemuck::bytes_of_mut(&mut params)[P::FIRST..P::FIRST + 12];
            place.copy_from_slice(bytemuck::bytes_of(&first));
        }
        if let Some((split, _)) = self.split {
            let place = &mut bytemuck::bytes_of_mut(&mut params)[P::PART..P::PART + 4];
            place.copy_from_slice(bytemuck::bytes_of(&split.terms));
        }
        params
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let part = if self.is_last() { self.product } else { self.product.bare() };
        let mut constants = part.meaning();
        constants.extend(self.tiling.constants(part.extents()));
        if self.adds {
            constants.push(("ACCUMULATE", 1.0));
        }
        if self.split.is_some() {
            constants.push(("SPLIT", 1.0));
        }
        constants
    }

    fn variant(&self) -> Option<&'static Variant> {
        self.tiling.variant::<P>()
    }

    fn grid(&self) -> [u32; 3] {
        let [wide, high, deep] = self.tiling.grid(self.product.extents());
        match (self.within, self.split) {
            (Some(some), _) => some.grid,
            (None, Some((split, _))) => [wide, high, deep * split.parts],
            (None, None) => [wide, high, deep],
        }
    }

    fn cut(&self) -> Option<Cut> {
        let terms = u64::from(self.end.saturating_sub(self.begin));
        let mut sums = self.product.extents().map(u64::from);
        if let Some(Within { grid: [wide, high, _], .. }) = self.within {
            let [height, width] = self.tiling.of_group(self.product.extents());
            sums[0] = sums[0].min(u64::from(high) * u64::from(height));
            sums[1] = sums[1].min(u64::from(wide) * u64::from(width));
        }
        let operations = sums.into_iter().fold(terms, u64::saturating_mul);
        Some(Cut { operations, first: P::FIRST })
    }

    fn check(&self) -> Result<(), String> {
        self.product.check_sizes()
    }
}

/// Refuses a launch of all terms at once where they are too many.
pub(super) fn check_whole(product: &impl Product) -> Result<(), String> {
    let [first, last] = product.terms();
    let k = last.saturating_sub(first);
    if k > MAX_LOOP_ITERATIONS {
        return Err(format!("{k} terms are over {MAX_LOOP_ITERATIONS}; use its push"));
    }
    product.check_sizes()
}
