//! The product with a packed matrix, whatever its form.
use super::packed::{Arranged, Packed, PackedShape, PackedValues};
use super::{BitmaskMatmul, BlockMatmul, GapsMatmul};
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{Activation, Rearrange, Strides};
use crate::{Error, Result};

/// The texts of a kernel on `shaders/common/packed.wgsl`, whose own file is `$file`.
macro_rules! texts {
    ($rows:literal, $file:literal) => {
        crate::wgsl!(
            "common/activation.wgsl",
            "common/cut.wgsl",
            "common/packed.wgsl",
            $rows,
            $file
        )
    };
}
pub(super) use texts;

/// `c = activation(a b^T + bias)`, row-major, where `b` is packed by its output units: `a` is
/// `[m, inputs]`, `c` is `[m, units]`. Blocks are for any number of rows. The other forms are for
/// few: an invocation has up to eight, and each eight of them go through the weights anew.
///
/// A weight that is zero is not multiplied with, so an infinity or a NaN that it would meet in `a`
/// may not show.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct PackedProduct {
    /// `[m, inputs]`
    pub a: Slot,
    /// `[units, inputs]`
    pub b: Packed,
    /// `[units]`, added to every row.
    pub bias: Option<Slot>,
    /// Applied after the bias.
    pub activation: Activation,
    /// `[m, units]`
    pub c: Slot,
    /// Rows of `a` and `c`.
    pub m: u32,
    /// Whether it is added to what `c` holds, before bias and activation.
    pub onto: bool,
    /// Where the matrices begin in `a` and `c`: those of one time of many.
    pub begin: [u32; 2],
}

impl PackedProduct {
    /// `c = a b^T` of `m` rows. What else a launch can do is a field to set.
    pub fn new(a: Slot, b: Packed, c: Slot, m: u32) -> Self {
        let (bias, activation) = (None, Activation::Identity);
        Self { a, b, bias, activation, c, m, onto: false, begin: [0; 2] }
    }

    /// Appends it to `plan`.
    ///
    /// # Errors
    /// [`crate::Error::Plan`]
    pub fn push(self, plan: &mut PlanBuilder) -> Result<()> {
        let product = match (self.m, self.b.arranged) {
            // Blocks are multiplied with rows as they lie.
            (0 | 1, _) | (_, Arranged::Blocks(_)) => self,
            _ => self.turned(plan)?,
        };
        match self.b.arranged {
            Arranged::Bitmask => plan.push(BitmaskMatmul::of(product, plan.target())),
            Arranged::Gaps(strands) => plan.push(GapsMatmul::of(product, strands)),
            Arranged::Blocks(shape) => BlockMatmul::push(product, shape, plan),
        }
    }

    /// The same with the columns of `a` as rows: what `common/packed_rows.wgsl` reads.
    fn turned(self, plan: &mut PlanBuilder) -> Result<Self> {
        let kernel = "packed_product".to_owned();
        self.check().map_err(|message| Error::Plan { kernel, message })?;
        let (k, width) = (self.b.of.inputs, self.fours() * 4);
        let turned = plan.scratch("turned", k * width);
        let from = Strides { begin: self.begin[0], outer: 1, inner: k };
        let to = Strides { begin: 0, outer: width, inner: 1 };
        plan.push(Rearrange::new([self.a, turned], [k, self.m, 1], [from, to]))?;
        Ok(Self { a: turned, begin: [0, self.begin[1]], ..self })
    }

    /// Fours of rows of `a` in a column of it that is turned: whole eights where there are more.
    pub(in crate::kernels) fn fours(&self) -> u32 {
        match self.m {
            0 | 1 => 0,
            2..=4 => 1,
            m => m.div_ceil(8) * 2,
        }
    }

    /// Rows of `a` of an invocation that has at most so many.
    pub(in crate::kernels) fn rows(&self, most: u32) -> u32 {
        match self.m {
            0 | 1 => 1,
            2..=4 => 4,
            _ => most,
        }
    }

    /// What a launch of it does, in constants that differ from the WGSL's, for `rows` rows of `a`
    /// an invocation.
    pub(in crate::kernels) fn constants(&self, rows: u32) -> Vec<(&'static str, f64)> {
        let flag = |set: bool| f64::from(u8::from(set));
        let rows = if rows == 1 { 0.0 } else { f64::from(rows) };
        let all = [
            ("BIAS", flag(self.bias.is_some())),
            ("ACTIVATION", self.activation.code()),
            ("ACCUMULATE", flag(self.onto)),
            ("ROWS", rows),
            ("HALVES", flag(self.b.of.values == PackedValues::F16)),
        ];
        all.into_iter().filter(|&(_, value)| value != 0.0).collect()
    }

    /// Words of `a`, which is turned where it has several rows, bias and `c`.
    pub(in crate::kernels) fn touched(&self) -> [u64; 3] {
        let [m, n, k] = [self.m, self.b.of.units, self.b.of.inputs].map(u64::from);
        let [a_begin, c_begin] = self.begin.map(u64::from);
        [a_begin + k * u64::from(self.fours() * 4).max(1), n, c_begin + m * n]
    }

    pub(in crate::kernels) fn check(&self) -> Result<(), String> {
        let PackedShape { units: n, inputs: k, .. } = self.b.of;
        let m = self.m;
        let fits = |x: u32, y: u32| x.checked_mul(y).is_some();
        match m > 0 && m < 1 << 29 && fits(m, n) && fits(m.next_multiple_of(8), k) {
            true => Ok(()),
            false => Err(format!("m {m}, n {n}, k {k}: m may not be 0, nor a matrix 2^32 words")),
        }
    }
}
