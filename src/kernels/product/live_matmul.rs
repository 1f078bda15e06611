//! `live_matmul`: a product with a weight that is pruned in blocks or vectors, without the terms that
//! are zeros for all columns of a workgroup.
use super::matmul::{self, Form, Matmul, MatmulParams};
use super::part_sum::PartSum;
use super::parts::{self, Product, texts};
use super::tiling::Tiling;
use crate::Result;
use crate::gpu::{Bound, Kernel, Operand, PlanBuilder, Slot, Variant, read, write};
use crate::kernels::{LiveInputs, Units};

/// A [`Matmul`] with a weight as `b`, to its bits: what is left out are terms that are zeros. Or one
/// that is the gradient of a weight, whose sums are 0 in place of what they are where a workgroup has
/// pruned weights only: of a pruned weight no optimizer reads one.
///
/// The bits differ in two cases. A sum that has come to -0, by products too small for f32, stays -0
/// where a zero more would make it 0. And an infinity or a NaN in `a` meets no pruned weight where a
/// term is left out, so it makes no NaN of it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct LiveMatmul {
    /// The product.
    pub product: Matmul,
    /// Which terms count.
    pub live: Live,
}

/// What [`LiveInputs`] has made of the mask of a weight, for a product with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Live {
    /// The table.
    pub slot: Slot,
    /// What is summed over.
    pub terms: LiveTerms,
}

/// What the terms of a product with a weight are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveTerms {
    /// The weight's inputs, and units are columns: a forward product.
    Inputs,
    /// Its output units, and inputs are columns: the gradient of what it is multiplied with.
    Units,
    /// Rows of a batch: the gradient of a weight whose rows are its inputs.
    RowsOfInputs,
    /// Rows of a batch: the gradient of a weight whose rows are its output units.
    RowsOfUnits,
}

impl LiveMatmul {
    /// `product` without the terms that `live` says count for nothing.
    pub fn new(product: Matmul, live: Live) -> Self {
        Self { product, live }
    }

    /// As [`Matmul::push`].
    ///
    /// # Errors
    /// [`crate::Error::Plan`]
    pub fn push(self, plan: &mut PlanBuilder) -> Result<()> {
        parts::push(self, plan)
    }

    /// As [`Matmul::push_onto`].
    ///
    /// # Errors
    /// [`crate::Error::Plan`]
    pub fn push_onto(self, plan: &mut PlanBuilder) -> Result<()> {
        parts::push_onto(self, plan)
    }

    /// As [`Matmul::push_as`].
    ///
    /// # Errors
    /// [`crate::Error::Plan`]
    pub fn push_as(self, tiling: Tiling, plan: &mut PlanBuilder) -> Result<()> {
        parts::push_as(self, tiling, plan)
    }

    /// The weight by its units.
    fn of(&self) -> Units {
        let Matmul { m, n, k, .. } = self.product;
        Units::new(match self.live.terms {
            LiveTerms::Inputs => [k, n],
            LiveTerms::Units => [n, k],
            LiveTerms::RowsOfInputs => [m, n],
            LiveTerms::RowsOfUnits => [n, m],
        })
    }
}

impl Product for LiveMatmul {
    const EPILOGUE: [usize; 2] = [3, 4];
    const RESULT: usize = 6;
    const FIRST: usize = matmul::FIRST;
    const PART: usize = matmul::PART;

    fn terms(&self) -> [u32; 2] {
        Product::terms(&self.product)
    }

    fn form(&self) -> Form {
        self.product.form
    }

    fn extents(&self) -> [u32; 3] {
        self.product.extents()
    }

    fn meaning(&self) -> Vec<(&'static str, f64)> {
        let skips = match self.live.terms {
            LiveTerms::Inputs => None,
            LiveTerms::Units => Some(2.0),
            LiveTerms::RowsOfInputs => Some(3.0),
            LiveTerms::RowsOfUnits => Some(4.0),
        };
        let skips = skips.map(|skips| ("SKIPS", skips));
        self.product.meaning().into_iter().chain(skips).collect()
    }

    fn params_of(&self, begin: u32, end: u32) -> MatmulParams {
        self.product.params_of(begin, end)
    }

    fn bare(self) -> Self {
        Self { product: self.product.bare(), ..self }
    }

    fn sum(&self, parts: Slot) -> PartSum {
        self.product.sum(parts)
    }

    fn check_sizes(&self) -> Result<(), String> {
        let first = self.product.first_column;
        if first > 0 {
            return Err(format!("first column {first}: the table is of all columns"));
        }
        self.product.check_sizes()
    }
}

impl Kernel for LiveMatmul {
    const NAME: &'static str = "live_matmul";
    const WGSL: &'static str = texts!(
        ["common/matrices.wgsl", "common/live_terms.wgsl", "common/dense.wgsl"]
        "common/product_blocks.wgsl", "live_matmul.wgsl"
    );
    const VARIANTS: &'static [Variant] = texts!(
        variants ["common/matrices.wgsl", "common/live_terms.wgsl", "common/dense.wgsl"]
        "live_matmul.wgsl"
    );
    const OPERANDS: &'static [Operand] = &[
        read("a"),
        read("b"),
        read("mask"),
        read("bias"),
        read("gate"),
        read("live"),
        write("c"),
    ];
    type Params = MatmulParams;

    fn bind(&self) -> Vec<Bound> {
        let mut bound = self.product.bind();
        bound.insert(5, self.live.slot.needs(LiveInputs::words(self.of())));
        bound
    }

    fn params(&self) -> MatmulParams {
        self.product.params()
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        [self.meaning(), Tiling::Blocks.constants(self.extents())].concat()
    }

    fn grid(&self) -> [u32; 3] {
        Tiling::Blocks.grid(self.extents())
    }

    fn check(&self) -> Result<(), String> {
        parts::check_whole(self)
    }
}
