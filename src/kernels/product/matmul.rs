//! `matmul`: the three products that training needs, with mask, bias and activation in one pass.
use super::part_sum::PartSum;
use super::parts::{self, Product, texts};
use super::matvec::Matvec;
use super::tiling::Tiling;
use crate::kernels::{Activation, bit, mask_words};
use crate::Result;
use crate::gpu::{Bound, Kernel, Operand, PlanBuilder, Slot, Variant, read, write};

/// Which operands are stored transposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `a b`: forward.
    NN,
    /// `a b^T`: gradient of the inputs.
    NT,
    /// `a^T b`: gradient of the weights.
    TN,
}

/// `c = activation(op(a) op(b) + bias) * slope(gate)`, all row-major, `op(a)` is `[m, k]`, `op(b)`
/// is `[k, n]`.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Matmul {
    /// Which operands are stored transposed.
    pub form: Form,
    /// `[m, k]`, or `[k, m]` in the form TN.
    pub a: Slot,
    /// `[k, n]`, or `[n, k]` in the form NT.
    pub b: Slot,
    /// Mask over `b`, bit `i` for element `i` as stored.
    pub mask: Option<Slot>,
    /// `[n]`, added to every row.
    pub bias: Option<Slot>,
    /// Applied after the bias.
    pub activation: Activation,
    /// `[m, n]` outputs of an activation, whose slope multiplies the result.
    pub gate: Option<(Slot, Activation)>,
    /// `[m, n]`
    pub c: Slot,
    /// Rows of `c`.
    pub m: u32,
    /// Columns of `c`.
    pub n: u32,
    /// Terms of each sum.
    pub k: u32,
    /// Where the matrices begin in `a` and `c`: those of one time of many.
    pub begin: [u32; 2],
    /// Which of the `k` terms are added up, from the first to one past the last; all by default.
    pub terms: Option<[u32; 2]>,
    /// The row of `b` for the first column, in the form NT: `b` is `[first_column + n, k]`, or has
    /// more rows.
    pub first_column: u32,
}

crate::uniform! {
    /// Uniform of [`Matmul`].
    pub struct MatmulParams {
        /// Rows.
        m: u32,
        /// Columns.
        n: u32,
        /// Terms.
        k: u32,
        /// First term of this launch.
        k_begin: u32,
        /// One past the last term of this launch.
        k_end: u32,
        /// Terms of a part, where they are split.
        part_terms: u32,
        /// Where the matrix begins in `a`.
        a_begin: u32,
        /// Where the matrix begins in `c`.
        c_begin: u32,
        /// Row of `b` for the first column.
        first_column: u32,
        /// First workgroup of this launch.
        first_x: u32,
        /// The same along y.
        first_y: u32,
        /// The same along z.
        first_z: u32,
    }
}

impl Matmul {
    /// `c = op(a) op(b)` of `m` rows, `n` columns and `k` terms. What else a launch can do is a
    /// field to set.
    pub fn new(form: Form, [a, b, c]: [Slot; 3], [m, n, k]: [u32; 3]) -> Self {
        let (mask, bias, gate, activation) = (None, None, None, Activation::Identity);
        let (begin, terms, first_column) = ([0; 2], None, 0);
        Self { form, a, b, mask, bias, activation, gate, c, m, n, k, begin, terms, first_column }
    }

    /// Appends the product to `plan`: one launch, or as many as keep each invocation's loop under
    /// [`crate::gpu::MAX_LOOP_ITERATIONS`], each adding its terms to the sums so far.
    pub fn push(self, plan: &mut PlanBuilder) -> Result<()> {
        match Matvec::of(&self, false, plan.target()) {
            Some(one) => plan.push(one),
            None => parts::push(self, plan),
        }
    }

    /// The same, added to what `c` holds, before bias and activation.
    pub fn push_onto(self, plan: &mut PlanBuilder) -> Result<()> {
        match Matvec::of(&self, true, plan.target()) {
            Some(one) => plan.push(one),
            None => parts::push_onto(self, plan),
        }
    }

    /// As [`push_onto`](Self::push_onto) for a square `c` that is symmetric: what is on its diagonal
    /// and to the right of it. Some of what is to the left is written, too.
    pub fn push_upper_onto(self, plan: &mut PlanBuilder) -> Result<()> {
        parts::push_upper_onto(self, plan)
    }

    /// As [`push`](Self::push) in a tiling of one's choice, which changes no bit; the device must
    /// know it: [`Tiling::runs_on`].
    pub fn push_as(self, tiling: Tiling, plan: &mut PlanBuilder) -> Result<()> {
        parts::push_as(self, tiling, plan)
    }
}

/// Where things are in the uniform of a product of dense matrices.
pub(super) const FIRST: usize = std::mem::offset_of!(MatmulParams, first_x);
pub(super) const PART: usize = std::mem::offset_of!(MatmulParams, part_terms);

impl Product for Matmul {
    const EPILOGUE: [usize; 2] = [3, 4];
    const FIRST: usize = FIRST;
    const PART: usize = PART;

    fn terms(&self) -> [u32; 2] {
        self.terms.unwrap_or([0, self.k])
    }

    fn form(&self) -> Form {
        self.form
    }

    fn extents(&self) -> [u32; 3] {
        [self.m, self.n, 1]
    }

    /// Only what differs from the WGSL's defaults, so that the plan's text stays readable.
    fn meaning(&self) -> Vec<(&'static str, f64)> {
        let &Self { form, activation, gate, .. } = self;
        parts::meaning_of(form, self.mask.is_some(), self.bias.is_some(), activation, gate)
    }

    fn params_of(&self, k_begin: u32, k_end: u32) -> MatmulParams {
        let &Self { m, n, k, begin: [a_begin, c_begin], first_column, .. } = self;
        MatmulParams {
            m,
            n,
            k,
            k_begin,
            k_end,
            a_begin,
            c_begin,
            first_column,
            ..MatmulParams::default()
        }
    }

    fn bare(self) -> Self {
        let begin = [self.begin[0], 0];
        Self { bias: None, gate: None, activation: Activation::Identity, begin, ..self }
    }

    fn sum(&self, parts: Slot) -> PartSum {
        let &Self { m, n, bias, activation, gate, c, begin: [_, begin], .. } = self;
        let (count, len, units, adds) = (parts.words / (m * n), m * n, n, false);
        PartSum { parts, count, len, bias, units, activation, gate, c, begin, adds }
    }

    fn check_sizes(&self) -> Result<(), String> {
        let [m, n, k] = [self.m, self.n, self.k];
        if [m, n, k].contains(&0) {
            return Err(format!("m {m}, n {n}, k {k}: none may be 0"));
        }
        let [begin, end] = Product::terms(self);
        if begin >= end || end > k {
            return Err(format!("terms {begin} to {end} of {k}: must be some of them"));
        }
        if self.first_column > 0 && self.form != Form::NT {
            let (first, form) = (self.first_column, self.form);
            return Err(format!("first column {first} in the form {form:?}: only NT has one"));
        }
        let fits = |x: u32, y: u32| x.checked_mul(y).is_some();
        let rows_of_b = n.saturating_add(self.first_column);
        if !(fits(m, n) && fits(m, k) && fits(k, rows_of_b)) {
            return Err(format!("m {m}, n {n}, k {k}: a matrix has 2^32 elements or more"));
        }
        Ok(())
    }
}

impl Kernel for Matmul {
    const NAME: &'static str = "matmul";
    const WGSL: &'static str = texts!(
        ["common/matrices.wgsl", "common/all_terms.wgsl", "common/dense.wgsl"]
        "common/product_blocks.wgsl", "matmul.wgsl"
    );
    const VARIANTS: &'static [Variant] = texts!(
        variants ["common/matrices.wgsl", "common/all_terms.wgsl", "common/dense.wgsl"]
        "matmul.wgsl"
    );
    const OPERANDS: &'static [Operand] =
        &[read("a"), read("b"), read("mask"), read("bias"), read("gate"), write("c")];
    type Params = MatmulParams;

    fn bind(&self) -> Vec<Bound> {
        let [m, n, k] = [self.m, self.n, self.k].map(u64::from);
        let [a_begin, c_begin] = self.begin.map(u64::from);
        let b = k * (n + u64::from(self.first_column));
        vec![
            self.a.needs(a_begin + m * k),
            self.b.needs(b),
            self.mask.map_or(Bound::NONE, |s| s.needs(b.div_ceil(32))),
            self.bias.map_or(Bound::NONE, |s| s.needs(n)),
            self.gate.map_or(Bound::NONE, |(s, _)| s.needs(c_begin + m * n)),
            self.c.needs(c_begin + m * n),
        ]
    }

    fn params(&self) -> MatmulParams {
        let [begin, end] = Product::terms(self);
        self.params_of(begin, end)
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

/// Host reference: `op(a) op(b)` with `b` masked, in f64, and the sum of the terms' magnitudes,
/// which scales the rounding error of any order of summation.
pub fn matmul_reference(
    form: Form,
    (a, b): (&[f32], &[f32]),
    mask: Option<&[u32]>,
    [m, n, k]: [usize; 3],
) -> Vec<(f64, f64)> {
    debug_assert!(mask.is_none_or(|w| w.len() >= mask_words((k * n) as u32) as usize));
    let a_at = |i: usize, t: usize| if form == Form::TN { t * m + i } else { i * k + t };
    let b_at = |t: usize, j: usize| if form == Form::NT { j * k + t } else { t * n + j };
    let term = |i: usize, j: usize, t: usize| {
        let at = b_at(t, j);
        let kept = mask.is_none_or(|words| bit(words, at));
        if kept { f64::from(a[a_at(i, t)]) * f64::from(b[at]) } else { 0.0 }
    };
    let sum = |x: usize| {
        (0..k).fold((0.0, 0.0), |(sum, magnitude), t| {
            let product = term(x / n, x % n, t);
            (sum + product, magnitude + product.abs())
        })
    };
    (0..m * n).map(sum).collect()
}
