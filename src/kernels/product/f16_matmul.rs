//! `f16_matmul`: the three products that training needs, over copies in halves.
use super::part_sum::PartSum;
use super::parts::{self, Product, texts};
use super::tiling::Tiling;
use crate::kernels::{Activation, Form, F16Copy};
use crate::Result;
use crate::gpu::{Bound, Kernel, Operand, PlanBuilder, Slot, Target, Variant, read, write};

/// A matrix as [`F16Copy`] left it.
#[derive(Debug, Clone, Copy)]
pub struct F16Operand {
    /// The copy.
    pub copy: Slot,
    /// Place of its peak.
    pub at: u32,
}

/// `c = activation(op(a) op(b) + bias) * slope(gate)`, `op(a)` is `[m, k]`, `op(b)` is `[k, n]`,
/// sums are in f32. Cooperative matrices add up in an order of the adapter's own; elsewhere it is
/// that of [`crate::kernels::Matmul`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct F16Matmul {
    /// Which operands are stored transposed.
    pub form: Form,
    /// `[m, k]`, or `[k, m]` in the form TN.
    pub a: F16Operand,
    /// `[k, n]`, or `[n, k]` in the form NT.
    pub b: F16Operand,
    /// The largest magnitudes of tensors.
    pub peaks: Slot,
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
    /// Where the matrix begins in `c`: that of one time of many.
    pub begin: u32,
}

crate::uniform! {
    /// Uniform of [`F16Matmul`].
    pub struct F16MatmulParams {
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
        /// Halves of a row of `a`.
        a_stride: u32,
        /// Halves of a row of `b`.
        b_stride: u32,
        /// Place of the peak of `a`.
        a_peak: u32,
        /// Place of the peak of `b`.
        b_peak: u32,
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

impl F16Matmul {
    /// `c = op(a) op(b)` of `m` rows, `n` columns and `k` terms, by copies whose peaks are in
    /// `peaks`. What else a launch can do is a field to set.
    pub fn new(
        form: Form,
        [a, b]: [F16Operand; 2],
        [peaks, c]: [Slot; 2],
        [m, n, k]: [u32; 3],
    ) -> Self {
        let (bias, gate, activation) = (None, None, Activation::Identity);
        let begin = 0;
        Self { form, a, b, peaks, bias, activation, gate, c, m, n, k, begin }
    }

    /// Appends the product to `plan`: one launch, or as many as keep each invocation's loop under
    /// [`crate::gpu::MAX_LOOP_ITERATIONS`], each adding its terms to the sums so far.
    pub fn push(self, plan: &mut PlanBuilder) -> Result<()> {
        parts::push(self, plan)
    }

    /// The same, added to what `c` holds, before bias and activation.
    pub fn push_onto(self, plan: &mut PlanBuilder) -> Result<()> {
        parts::push_onto(self, plan)
    }

    /// The same in one variant, for tests and the tuner.
    ///
    /// # Errors
    /// As [`F16Matmul::push`]. A variant that the adapter does not run fails where its pipeline is
    /// made; plans do not know it: [`Tiling::runs_on`].
    pub fn push_as(self, tiling: Tiling, plan: &mut PlanBuilder) -> Result<()> {
        parts::push_as(self, tiling, plan)
    }

    /// Rows and columns of `a` and `b` as stored.
    fn stored(&self) -> [[u32; 2]; 2] {
        let Self { form, m, n, k, .. } = *self;
        let a = if form == Form::TN { [k, m] } else { [m, k] };
        let b = if form == Form::NT { [n, k] } else { [k, n] };
        [a, b]
    }
}

impl Product for F16Matmul {
    const EPILOGUE: [usize; 2] = [3, 4];
    const FIRST: usize = std::mem::offset_of!(F16MatmulParams, first_x);
    const PART: usize = std::mem::offset_of!(F16MatmulParams, part_terms);

    fn terms(&self) -> [u32; 2] {
        [0, self.k]
    }

    fn form(&self) -> Form {
        self.form
    }

    fn extents(&self) -> [u32; 3] {
        [self.m, self.n, 1]
    }

    fn tiling(&self, target: Target) -> Tiling {
        Tiling::of_f16(target, self.form, self.extents())
    }

    fn meaning(&self) -> Vec<(&'static str, f64)> {
        let &Self { form, activation, gate, .. } = self;
        parts::meaning_of(form, false, self.bias.is_some(), activation, gate)
    }

    fn params_of(&self, k_begin: u32, k_end: u32) -> F16MatmulParams {
        let [a_stride, b_stride] = self.stored().map(|[_, columns]| F16Copy::stride(columns));
        let [a_peak, b_peak] = [self.a, self.b].map(|operand| operand.at);
        let &Self { m, n, k, begin: c_begin, .. } = self;
        F16MatmulParams {
            m,
            n,
            k,
            k_begin,
            k_end,
            a_stride,
            b_stride,
            a_peak,
            b_peak,
            c_begin,
            ..F16MatmulParams::default()
        }
    }

    fn bare(self) -> Self {
        Self { bias: None, gate: None, activation: Activation::Identity, begin: 0, ..self }
    }

    fn sum(&self, parts: Slot) -> PartSum {
        let &Self { m, n, bias, activation, gate, c, begin, .. } = self;
        let (count, len, units, adds) = (parts.words / (m * n), m * n, n, false);
        PartSum { parts, count, len, bias, units, activation, gate, c, begin, adds }
    }

    fn check_sizes(&self) -> Result<(), String> {
        let [m, n, k] = [self.m, self.n, self.k];
        if [m, n, k].contains(&0) {
            return Err(format!("m {m}, n {n}, k {k}: none may be 0"));
        }
        let fits = |[rows, columns]: [u32; 2]| F16Copy::words(rows, columns).is_some();
        if !(m.checked_mul(n).is_some() && self.stored().into_iter().all(fits)) {
            return Err(format!("m {m}, n {n}, k {k}: a matrix has 2^32 elements or more"));
        }
        Ok(())
    }
}

impl Kernel for F16Matmul {
    const NAME: &'static str = "f16_matmul";
    const WGSL: &'static str = texts!(
        [
            "common/f16.wgsl",
            "common/f16_operand.wgsl",
            "common/f16_powers.wgsl",
            "common/matrices.wgsl",
            "common/f16_terms.wgsl",
            "common/all_terms.wgsl"
        ]
        "common/product_blocks.wgsl", "f16_matmul.wgsl"
    );
    const VARIANTS: &'static [Variant] = texts!(
        variants [
            "common/f16.wgsl",
            "common/f16_operand.wgsl",
            "common/f16_powers.wgsl",
            "common/matrices.wgsl",
            "common/f16_terms.wgsl",
            "common/all_terms.wgsl"
        ] "f16_matmul.wgsl",
        texts!(
            matrices "coop_8" "common/coop_8.wgsl"
            ["common/matrices.wgsl", "common/coop_matrices.wgsl"] "f16_matmul.wgsl"
        ),
        texts!(
            matrices "coop_16" "common/coop_16.wgsl"
            ["common/matrices.wgsl", "common/coop_matrices.wgsl"] "f16_matmul.wgsl"
        )
    );
    const OPERANDS: &'static [Operand] =
        &[read("a"), read("b"), read("peaks"), read("bias"), read("gate"), write("c")];
    type Params = F16MatmulParams;

    fn bind(&self) -> Vec<Bound> {
        let [m, n] = [self.m, self.n].map(u64::from);
        let words = self
            .stored()
            .map(|[rows, columns]| F16Copy::words(rows, columns).map_or(u64::MAX, u64::from));
        let peaks = u64::from(self.a.at.max(self.b.at)) + 1;
        let end = u64::from(self.begin) + m * n;
        vec![
            self.a.copy.needs(words[0]),
            self.b.copy.needs(words[1]),
            self.peaks.needs(peaks),
            self.bias.map_or(Bound::NONE, |s| s.needs(n)),
            self.gate.map_or(Bound::NONE, |(s, _)| s.needs(end)),
            self.c.needs(end),
        ]
    }

    fn params(&self) -> F16MatmulParams {
        self.params_of(0, self.k)
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
