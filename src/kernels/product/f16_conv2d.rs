//! `f16_conv2d`: a convolution and its gradients, as products over copies in halves.
use super::conv2d::meaning_of;
use super::convolution::Convolution;
use super::part_sum::PartSum;
use super::parts::{self, Product, texts};
use super::tiling::Tiling;
use crate::kernels::{Activation, F16Copy, F16Operand, Form};
use crate::Result;
use crate::gpu::{Bound, Kernel, Operand, PlanBuilder, Slot, Target, Variant, read, write};

/// One of the three products of a [`Convolution`] of one group, as [`crate::kernels::Conv2d`] has
/// them, over copies in halves; sums are in f32.
///
/// Images and results are copied as matrices of pixels by channels, kernels as matrices of taps and
/// channels by outputs, in blocks of a tap's channels ([`F16Copy::block`]).
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct F16Conv2d {
    /// Which of the three.
    pub form: Form,
    /// The extents.
    pub shape: Convolution,
    /// Images, or the gradient of the result.
    pub a: F16Operand,
    /// Kernels, or the gradient of the result.
    pub b: F16Operand,
    /// The largest magnitudes of tensors.
    pub peaks: Slot,
    /// `[outputs]`, added to every pixel.
    pub bias: Option<Slot>,
    /// Applied after the bias.
    pub activation: Activation,
    /// Outputs of an activation, as many as there are results, whose slope multiplies them.
    pub gate: Option<(Slot, Activation)>,
    /// The result, the gradient of the images or that of the kernels.
    pub c: Slot,
}

crate::uniform! {
    /// Uniform of [`F16Conv2d`]: rows, columns and terms of the product; the extents of the copies.
    pub struct F16Conv2dParams {
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
        /// Height of an image.
        height: u32,
        /// Width of an image.
        width: u32,
        /// Channels of the copies.
        channels: u32,
        /// Height of the result.
        out_height: u32,
        /// Width of the result.
        out_width: u32,
        /// Outputs of the copies.
        outputs: u32,
        /// Width of a kernel.
        kernel_width: u32,
        /// Rows from one output to the next.
        stride_y: u32,
        /// Columns from one output to the next.
        stride_x: u32,
        /// Rows from one weight to the next.
        dilation_y: u32,
        /// Columns from one weight to the next.
        dilation_x: u32,
        /// Rows of zeros above.
        pad_y: u32,
        /// Columns of zeros to the left.
        pad_x: u32,
        /// Channels that there are.
        result_channels: u32,
        /// Rows of the result.
        result_rows: u32,
        /// Place of the peak of `a`.
        a_peak: u32,
        /// Place of the peak of `b`.
        b_peak: u32,
        /// First workgroup of this launch.
        first_x: u32,
        /// The same along y.
        first_y: u32,
        /// The same along z.
        first_z: u32,
    }
}

impl F16Conv2d {
    /// `c` of `a` and `b` alone, by copies whose peaks are in `peaks`. What else a launch can do is
    /// a field to set.
    pub fn new(
        form: Form,
        shape: Convolution,
        [a, b]: [F16Operand; 2],
        [peaks, c]: [Slot; 2],
    ) -> Self {
        let (bias, gate, activation) = (None, None, Activation::Identity);
        Self { form, shape, a, b, peaks, bias, activation, gate, c }
    }

    /// Appends it to `plan`, in as many launches as its sums need.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] for extents that do not fit each other or the slots, and for groups.
    pub fn push(self, plan: &mut PlanBuilder) -> Result<()> {
        parts::push(self, plan)
    }

    /// The same, added to what `c` holds, before bias and activation.
    ///
    /// # Errors
    /// As [`F16Conv2d::push`].
    pub fn push_onto(self, plan: &mut PlanBuilder) -> Result<()> {
        parts::push_onto(self, plan)
    }

    /// The same in one variant, for tests.
    ///
    /// # Errors
    /// As [`F16Conv2d::push`]. A variant that the adapter does not run fails where its pipeline is
    /// made; plans do not know it: [`Tiling::runs_on`].
    pub fn push_as(self, tiling: Tiling, plan: &mut PlanBuilder) -> Result<()> {
        parts::push_as(self, tiling, plan)
    }

    /// The convolution that the copies are of.
    fn copied(&self) -> Convolution {
        let [channels, outputs] = [self.shape.channels, self.shape.outputs].map(F16Copy::stride);
        Convolution { channels, outputs, ..self.shape }
    }

    /// Words of the copies of `a` and `b`.
    fn words(&self) -> [u64; 2] {
        let Convolution { channels, outputs, .. } = self.shape;
        let [results, pixels, kernels] =
            [Form::NN, Form::NT, Form::TN].map(|form| self.shape.extents(form)[0]);
        let x = F16Copy::words(pixels, channels);
        let w = F16Copy::words_in_blocks([kernels, outputs], channels);
        let y = F16Copy::words(results, outputs);
        match self.form {
            Form::NN => [x, w],
            Form::NT => [y, w],
            Form::TN => [x, y],
        }
        .map(|words| words.map_or(u64::MAX, u64::from))
    }
}

impl Product for F16Conv2d {
    const EPILOGUE: [usize; 2] = [3, 4];
    const FIRST: usize = std::mem::offset_of!(F16Conv2dParams, first_x);
    const PART: usize = std::mem::offset_of!(F16Conv2dParams, part_terms);

    fn terms(&self) -> [u32; 2] {
        [0, self.copied().extents(self.form)[2]]
    }

    fn form(&self) -> Form {
        self.form
    }

    /// Those of the copies, but for the columns: there a tiling leaves out what is past the edge.
    fn extents(&self) -> [u32; 3] {
        let [m, _, _] = self.copied().extents(self.form);
        let [_, n, _] = self.shape.extents(self.form);
        [m, n, 1]
    }

    fn results(&self) -> u32 {
        let [m, n, _] = self.shape.extents(self.form);
        m.saturating_mul(n)
    }

    fn tiling(&self, target: Target) -> Tiling {
        Tiling::of_f16(target, self.form, self.extents())
    }

    fn meaning(&self) -> Vec<(&'static str, f64)> {
        let &Self { form, shape, bias, activation, gate, .. } = self;
        let mut constants = meaning_of(form, &shape, bias.is_some(), activation, gate);
        if form == Form::TN && !F16Copy::is_whole(shape.channels) {
            constants.push(("PADDED", 1.0));
        }
        constants
    }

    fn params_of(&self, k_begin: u32, k_end: u32) -> F16Conv2dParams {
        let (s, [m, n, _], [_, k]) = (self.copied(), self.extents(), self.terms());
        F16Conv2dParams {
            m,
            n,
            k,
            k_begin,
            k_end,
            height: s.size[0],
            width: s.size[1],
            channels: s.channels,
            out_height: s.out[0],
            out_width: s.out[1],
            outputs: s.outputs,
            kernel_width: s.kernel[1],
            stride_y: s.stride[0],
            stride_x: s.stride[1],
            dilation_y: s.dilation[0],
            dilation_x: s.dilation[1],
            pad_y: s.pad[0],
            pad_x: s.pad[1],
            result_channels: self.shape.channels,
            result_rows: self.shape.extents(self.form)[0],
            a_peak: self.a.at,
            b_peak: self.b.at,
            ..F16Conv2dParams::default()
        }
    }

    fn bare(self) -> Self {
        Self { bias: None, gate: None, activation: Activation::Identity, ..self }
    }

    fn sum(&self, parts: Slot) -> PartSum {
        let &Self { bias, activation, gate, c, .. } = self;
        let (len, units) = (self.results(), self.extents()[1]);
        let (count, begin, adds) = (parts.words / len, 0, false);
        PartSum { parts, count, len, bias, units, activation, gate, c, begin, adds }
    }

    fn check_sizes(&self) -> Result<(), String> {
        self.shape.check()?;
        match self.shape.groups {
            1 => self.copied().check(),
            groups => Err(format!("{groups} groups of channels: halves are of one, use `conv2d`")),
        }
    }
}

impl Kernel for F16Conv2d {
    const NAME: &'static str = "f16_conv2d";
    const WGSL: &'static str = texts!(
        [
            "common/f16.wgsl",
            "common/f16_operand.wgsl",
            "common/f16_powers.wgsl",
            "common/images.wgsl",
            "common/f16_terms.wgsl",
            "common/all_terms.wgsl"
        ]
        "common/product_blocks.wgsl", "f16_conv2d.wgsl"
    );
    const VARIANTS: &'static [Variant] = texts!(
        variants [
            "common/f16.wgsl",
            "common/f16_operand.wgsl",
            "common/f16_powers.wgsl",
            "common/images.wgsl",
            "common/f16_terms.wgsl",
            "common/all_terms.wgsl"
        ] "f16_conv2d.wgsl",
        texts!(
            matrices "coop_8" "common/coop_8.wgsl"
            ["common/images.wgsl", "common/coop_images.wgsl"] "f16_conv2d.wgsl"
        ),
        texts!(
            matrices "coop_16" "common/coop_16.wgsl"
            ["common/images.wgsl", "common/coop_images.wgsl"] "f16_conv2d.wgsl"
        )
    );
    const OPERANDS: &'static [Operand] =
        &[read("a"), read("b"), read("peaks"), read("bias"), read("gate"), write("c")];
    type Params = F16Conv2dParams;

    fn bind(&self) -> Vec<Bound> {
        let ([a, b], [_, _, c]) = (self.words(), self.shape.lens(self.form));
        let peaks = u64::from(self.a.at.max(self.b.at)) + 1;
        vec![
            self.a.copy.needs(a),
            self.b.copy.needs(b),
            self.peaks.needs(peaks),
            self.bias.map_or(Bound::NONE, |s| s.needs(self.extents()[1].into())),
            self.gate.map_or(Bound::NONE, |(s, _)| s.needs(c)),
            self.c.needs(c),
        ]
    }

    fn params(&self) -> F16Conv2dParams {
        self.params_of(0, self.terms()[1])
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
