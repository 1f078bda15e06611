//! `conv2d`: a convolution and its gradients, as products whose patches are never in memory.
use super::convolution::Convolution;
use super::part_sum::PartSum;
use super::parts::{self, Product, texts};
use super::tiling::Tiling;
use crate::kernels::{Activation, Form, bit};
use crate::Result;
use crate::gpu::{Bound, Kernel, Operand, PlanBuilder, Slot, Variant, read, write};

/// One of the three products of a [`Convolution`]: [`Form::NN`] `y = activation(x * w + bias)` with
/// `a = x`, `b = w`; [`Form::NT`] the gradient of `x` with `a` that of `y`, `b = w`; [`Form::TN`]
/// that of `w` with `a = x`, `b` that of `y`. The result may be multiplied by the slope of `gate`.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Conv2d {
    /// Which of the three.
    pub form: Form,
    /// The extents.
    pub shape: Convolution,
    /// Images, or the gradient of the result.
    pub a: Slot,
    /// Kernels, or the gradient of the result.
    pub b: Slot,
    /// Mask over the kernels, bit `i` for element `i` as stored.
    pub mask: Option<Slot>,
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
    /// Uniform of [`Conv2d`]: rows, columns and terms of the product of one group; the extents.
    pub struct Conv2dParams {
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
        /// Groups.
        groups: u32,
        /// Height of an image.
        height: u32,
        /// Width of an image.
        width: u32,
        /// Channels of a group.
        channels: u32,
        /// Height of the result.
        out_height: u32,
        /// Width of the result.
        out_width: u32,
        /// Outputs of a group.
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
        /// First workgroup of this launch.
        first_x: u32,
        /// The same along y.
        first_y: u32,
        /// The same along z.
        first_z: u32,
    }
}

impl Conv2d {
    /// `c` of `a` and `b` alone. What else a launch can do is a field to set.
    pub fn new(form: Form, shape: Convolution, [a, b, c]: [Slot; 3]) -> Self {
        let (mask, bias, gate, activation) = (None, None, None, Activation::Identity);
        Self { form, shape, a, b, mask, bias, activation, gate, c }
    }

    /// Appends it to `plan`, in as many launches as its sums need.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] for extents that do not fit each other or the slots.
    pub fn push(self, plan: &mut PlanBuilder) -> Result<()> {
        parts::push(self, plan)
    }

    /// The same, added to what `c` holds, before bias and activation.
    pub fn push_onto(self, plan: &mut PlanBuilder) -> Result<()> {
        parts::push_onto(self, plan)
    }
}

impl Product for Conv2d {
    const EPILOGUE: [usize; 2] = [3, 4];
    const FIRST: usize = std::mem::offset_of!(Conv2dParams, first_x);
    const PART: usize = std::mem::offset_of!(Conv2dParams, part_terms);

    fn terms(&self) -> [u32; 2] {
        [0, self.shape.extents(self.form)[2]]
    }

    fn form(&self) -> Form {
        self.form
    }

    fn extents(&self) -> [u32; 3] {
        let [m, n, _] = self.shape.extents(self.form);
        [m, n, self.shape.groups]
    }

    /// Only what differs from the WGSL's defaults.
    fn meaning(&self) -> Vec<(&'static str, f64)> {
        let &Self { form, shape, bias, activation, gate, .. } = self;
        let mut constants = meaning_of(form, &shape, bias.is_some(), activation, gate);
        constants.extend(self.mask.map(|_| ("MASKED", 1.0)));
        constants
    }

    fn params_of(&self, k_begin: u32, k_end: u32) -> Conv2dParams {
        let ([m, n, k], s) = (self.shape.extents(self.form), &self.shape);
        let groups = s.groups.max(1);
        Conv2dParams {
            m,
            n,
            k,
            k_begin,
            k_end,
            groups,
            height: s.size[0],
            width: s.size[1],
            channels: s.channels / groups,
            out_height: s.out[0],
            out_width: s.out[1],
            outputs: s.outputs / groups,
            kernel_width: s.kernel[1],
            stride_y: s.stride[0],
            stride_x: s.stride[1],
            dilation_y: s.dilation[0],
            dilation_x: s.dilation[1],
            pad_y: s.pad[0],
            pad_x: s.pad[1],
            ..Conv2dParams::default()
        }
    }

    fn bare(self) -> Self {
        Self { bias: None, gate: None, activation: Activation::Identity, ..self }
    }

    fn sum(&self, parts: Slot) -> PartSum {
        let &Self { bias, activation, gate, c, .. } = self;
        let [m, n, groups] = self.extents();
        let (len, units) = (m * n * groups, n * groups);
        let (count, begin, adds) = (parts.words / len, 0, false);
        PartSum { parts, count, len, bias, units, activation, gate, c, begin, adds }
    }

    fn check_sizes(&self) -> Result<(), String> {
        self.shape.check()?;
        if self.form == Form::TN && self.mask.is_some() {
            return Err("a mask is over kernels, which this gradient does not read".into());
        }
        Ok(())
    }
}

impl Kernel for Conv2d {
    const NAME: &'static str = "conv2d";
    const WGSL: &'static str = texts!(
        ["common/all_terms.wgsl", "common/images.wgsl"]
        "common/product_blocks.wgsl", "conv2d.wgsl"
    );
    const VARIANTS: &'static [Variant] = texts!(
        variants ["common/all_terms.wgsl", "common/images.wgsl"] "conv2d.wgsl"
    );
    const OPERANDS: &'static [Operand] =
        &[read("a"), read("b"), read("mask"), read("bias"), read("gate"), write("c")];
    type Params = Conv2dParams;

    fn bind(&self) -> Vec<Bound> {
        let [a, b, c] = self.shape.lens(self.form);
        vec![
            self.a.needs(a),
            self.b.needs(b),
            self.mask.map_or(Bound::NONE, |s| s.needs(b.div_ceil(32))),
            self.bias.map_or(Bound::NONE, |s| s.needs(self.shape.outputs.into())),
            self.gate.map_or(Bound::NONE, |(s, _)| s.needs(c)),
            self.c.needs(c),
        ]
    }

    fn params(&self) -> Conv2dParams {
        self.params_of(0, self.shape.extents(self.form)[2])
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

/// What `common/images.wgsl` computes and what is done to the sums, in constants that differ from the
/// WGSL's.
pub(super) fn meaning_of(
    form: Form,
    shape: &Convolution,
    bias: bool,
    activation: Activation,
    gate: Option<(Slot, Activation)>,
) -> Vec<(&'static str, f64)> {
    let gate = gate.map_or(Activation::Identity, |(_, activation)| activation);
    let flag = |set: bool| f64::from(u8::from(set));
    let code = match form {
        Form::NN => 0.0,
        Form::NT => 1.0,
        Form::TN => 2.0,
    };
    [
        ("FORM", code),
        ("STRIDED", flag(form == Form::NT && shape.stride != [1, 1])),
        ("BIAS", flag(bias)),
        ("ACTIVATION", activation.code()),
        ("GATE", gate.code()),
    ]
    .into_iter()
    .filter(|&(_, value)| value != 0.0)
    .collect()
}

/// Host reference: each element in f64, with the sum of its terms' magnitudes.
pub fn conv2d_reference(
    form: Form,
    s: &Convolution,
    (a, b): (&[f32], &[f32]),
    mask: Option<&[u32]>,
) -> Vec<(f64, f64)> {
    let len = match form {
        Form::NN => s.output_len(),
        Form::NT => s.input_len(),
        Form::TN => s.weight_len(),
    };
    let mut sums = vec![(0.0, 0.0); len as usize];
    for [x, w, y] in s.terms() {
        let kept = || mask.is_none_or(|m| bit(m, w));
        let (into, a, b) = match form {
            Form::NN => (y, a[x], if kept() { b[w] } else { 0.0 }),
            Form::NT => (x, a[y], if kept() { b[w] } else { 0.0 }),
            Form::TN => (w, a[x], b[y]),
        };
        let term = f64::from(a) * f64::from(b);
        sums[into].0 += term;
        sums[into].1 += term.abs();
    }
    sums
}
