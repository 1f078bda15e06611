//! What `matmul` and `conv2d` share: long sums in parts.
use crate::Result;
use crate::gpu::{Bound, Kernel, MAX_LOOP_ITERATIONS, Operand, PlanBuilder};

/// Invocations of a workgroup side by side, of 64: each has four columns, so that few columns leave few idle.
fn lanes_of(columns: u32) -> u32 {
    match columns {
        0..=16 => 4,
        17..=32 => 8,
        _ => 16,
    }
}

/// Rows and columns of the result that one workgroup computes, where it has `columns`. Each sum is the same in any.
pub(super) fn tile(columns: u32) -> [u32; 2] {
    let lanes = lanes_of(columns);
    [64 / lanes * 8, lanes * 4]
}

/// The constants that say so, where they differ from the WGSL's.
pub(super) fn lanes(columns: u32) -> impl Iterator<Item = (&'static str, f64)> {
    let lanes = lanes_of(columns);
    let all = [("LANES", lanes), ("LANE_ROWS", 64 / lanes)];
    all.into_iter().filter(move |_| lanes != 16).map(|(name, value)| (name, value.into()))
}

/// A kernel on `shaders/common/product.wgsl`.
pub(super) trait Product: Kernel + Copy {
    /// Places of bias and gate among the operands.
    const EPILOGUE: [usize; 2];

    /// Terms of each sum.
    fn terms(&self) -> u32;

    /// Its uniform for the terms `begin..end`.
    fn params_of(&self, begin: u32, end: u32) -> Self::Params;

    /// The same without what is done to the finished sums.
    fn bare(self) -> Self;

    fn check_sizes(&self) -> Result<(), String>;
}

/// Appends `product` to `plan`: one launch, or as many as keep each invocation's loop under
/// [`MAX_LOOP_ITERATIONS`], each adding its terms to the sums so far.
pub(super) fn push(product: impl Product, plan: &mut PlanBuilder) -> Result<()> {
    // At least one launch, whose check says what is wrong with no terms.
    let mut begin = 0;
    loop {
        let end = product.terms().min(begin + MAX_LOOP_ITERATIONS);
        plan.push(Part { product, begin, end })?;
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
        let mut constants = part.constants();
        if self.begin > 0 {
            constants.push(("ACCUMULATE", 1.0));
        }
        constants
    }

    fn grid(&self) -> [u32; 3] {
        self.product.grid()
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
