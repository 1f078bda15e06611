//! What `matmul` and `conv2d` share: long sums in parts.
use super::tiling::Tiling;
use super::{Conv2d, Conv2dParams, F16Matmul, F16MatmulParams, Matmul, MatmulParams};
use crate::Result;
use crate::gpu::{
    Bound, Cut, Kernel, MAX_LOOP_ITERATIONS, Operand, PlanBuilder, Slot, Target, Uniform, Variant,
};
use crate::kernels::{Activation, Form};

/// The texts of a kernel on `shaders/common/product.wgsl`, whose own file is `$file`: blocks, and
/// the variants of [`Tiling`].
macro_rules! texts {
    ([$($first:literal),*] $sums:literal, $file:literal) => {
        crate::wgsl!(
            $($first,)*
            "common/bits.wgsl",
            "common/activation.wgsl",
            "common/cut.wgsl",
            "common/product.wgsl",
            $sums,
            $file
        )
    };
    (variants $first:tt $file:literal $(, $more:expr)*) => {
        &[
            Variant { name: "lanes", wgsl: texts!($first "common/product_lanes.wgsl", $file) },
            Variant { name: "tiles", wgsl: texts!($first "common/product_tiles.wgsl", $file) },
            $($more,)*
        ]
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
    /// Place in its uniform of the launch's first workgroup.
    const FIRST: usize;

    /// Terms of each sum.
    fn terms(&self) -> u32;

    /// Which of the three that training needs.
    fn form(&self) -> Form;

    /// Rows, columns and groups.
    fn extents(&self) -> [u32; 3];

    /// How they are shared out on a device that `target` says.
    fn tiling(&self, target: Target) -> Tiling {
        Tiling::of(target, self.form(), self.extents())
    }

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
    let tiling = product.tiling(plan.target());
    push_as(product, tiling, plan)
}

/// The same, added to what the result's slot holds: sums of more than [`MAX_LOOP_ITERATIONS`] terms
/// part by part.
pub(super) fn push_onto(product: impl Product, plan: &mut PlanBuilder) -> Result<()> {
    let tiling = product.tiling(plan.target());
    parts(product, tiling, true, plan)
}

/// Appends `product` in one variant.
pub(super) fn push_as(product: impl Product, tiling: Tiling, plan: &mut PlanBuilder) -> Result<()> {
    parts(product, tiling, false, plan)
}

fn parts(product: impl Product, tiling: Tiling, onto: bool, plan: &mut PlanBuilder) -> Result<()> {
    // At least one launch, whose check says what is wrong with no terms.
    let mut begin = 0;
    loop {
        let end = product.terms().min(begin + MAX_LOOP_ITERATIONS);
        plan.push(Part { product, tiling, begin, end, adds: onto || begin > 0 })?;
        if end == product.terms() {
            return Ok(());
        }
        begin = end;
    }
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
}

crate::kernels::parts! {
    Part<Conv2d>: Conv2dParams,
    Part<F16Matmul>: F16MatmulParams,
    Part<Matmul>: MatmulParams,
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
        constants.extend(self.tiling.constants(part.extents()));
        if self.adds {
            constants.push(("ACCUMULATE", 1.0));
        }
        constants
    }

    fn variant(&self) -> Option<&'static Variant> {
        self.tiling.variant::<P>()
    }

    fn grid(&self) -> [u32; 3] {
        self.tiling.grid(self.product.extents())
    }

    fn cut(&self) -> Option<Cut> {
        let terms = u64::from(self.end - self.begin);
        let sums = self.product.extents().map(u64::from);
        let operations = sums.into_iter().fold(terms, u64::saturating_mul);
        Some(Cut { operations, first: P::FIRST })
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
