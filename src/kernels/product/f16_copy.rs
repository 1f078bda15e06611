//! `f16_copy`: what `f16_matmul` reads of a matrix, and `f16_conv2d` of images and kernels.
use crate::kernels::bit;
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// Rows and columns of a copy are multiples of this, for cooperative matrices of any size.
const WHOLE: u32 = 16;

/// `out = half(power * x)`, in whole sixteens of rows and columns; `power` is the power of two that
/// brings the largest finite magnitude of `x` to 2^14 or more and below 2^15. Each block of rows
/// begins a whole sixteen: those of a tap of a kernel, for convolutions.
#[derive(Debug, Clone, Copy)]
pub struct F16Copy {
    /// `[rows, columns]`, or a part of a larger matrix: see `begin` and `stride`.
    pub x: Slot,
    /// Bit `i` for element `i` of the slot `x`: where it is not set the copy is 0.
    pub mask: Option<Slot>,
    /// The largest magnitudes of tensors, from [`crate::kernels::MagnitudePeak`].
    pub peaks: Slot,
    /// Which of them is that of `x`.
    pub at: u32,
    /// Two halves a word, [`F16Copy::words`].
    pub out: Slot,
    /// Rows of `x`.
    pub rows: u32,
    /// Columns of `x`.
    pub columns: u32,
    /// Rows of a block, of which `rows` are whole ones; all of them for a matrix.
    pub block: u32,
    /// Where the first row begins in its slot.
    pub begin: u32,
    /// Elements from one row to the next, at least `columns`.
    pub stride: u32,
}

crate::uniform! {
    /// Uniform of [`F16Copy`].
    pub struct F16CopyParams {
        /// Rows of `x`.
        rows: u32,
        /// Columns of `x`.
        columns: u32,
        /// Pairs of a row of `out`.
        pairs: u32,
        /// Pairs of `out`.
        len: u32,
        /// Place in `peaks`.
        at: u32,
        /// Rows of a block.
        block: u32,
        /// Rows of a block in `out`.
        whole_block: u32,
        /// Where `x` begins.
        begin: u32,
        /// From one row of `x` to the next.
        stride: u32,
    }
}

impl F16Copy {
    /// The copy `out` of all of `x [rows, columns]`, whose peak is word `at` of `peaks`. What else a
    /// launch can do is a field to set.
    pub fn new([x, peaks, out]: [Slot; 3], at: u32, [rows, columns]: [u32; 2]) -> Self {
        let (mask, block, begin, stride) = (None, rows, 0, columns);
        Self { x, mask, peaks, at, out, rows, columns, block, begin, stride }
    }

    /// Words of a copy of a matrix `[rows, columns]`; `None` from 2^32 halves on.
    pub fn words(rows: u32, columns: u32) -> Option<u32> {
        Self::words_in_blocks([rows, columns], rows)
    }

    /// Words of a copy of a matrix `[rows, columns]` in blocks of so many rows; `None` from 2^32
    /// halves on.
    pub fn words_in_blocks([rows, columns]: [u32; 2], block: u32) -> Option<u32> {
        let whole = block.checked_next_multiple_of(WHOLE)?;
        let halves = (rows / block.max(1)).checked_mul(whole)?.checked_mul(Self::stride(columns));
        halves.map(|halves| halves / 2)
    }

    /// Whether so many rows or columns are copied as they are.
    pub fn is_whole(extent: u32) -> bool {
        extent.is_multiple_of(WHOLE)
    }

    /// Halves of a row of a copy with so many columns, which is a pixel of images and results with
    /// so many channels; and how many rows there are of a block of so many.
    pub(super) fn stride(columns: u32) -> u32 {
        columns.checked_next_multiple_of(WHOLE).unwrap_or(u32::MAX)
    }

    fn pairs(&self) -> Option<u32> {
        let whole = self.block > 0 && self.rows.is_multiple_of(self.block);
        let words = Self::words_in_blocks([self.rows, self.columns], self.block);
        words.filter(|&words| whole && words > 0)
    }
}

impl Kernel for F16Copy {
    const NAME: &'static str = "f16_copy";
    const WGSL: &'static str = crate::wgsl!(
        "common/f16.wgsl",
        "common/f16_operand.wgsl",
        "common/grid.wgsl",
        "common/bits.wgsl",
        "f16_copy.wgsl"
    );
    const OPERANDS: &'static [Operand] = &[read("x"), read("mask"), read("peaks"), write("out")];
    type Params = F16CopyParams;

    fn bind(&self) -> Vec<Bound> {
        let before = u64::from(self.rows.saturating_sub(1)) * u64::from(self.stride);
        let end = u64::from(self.begin) + before + u64::from(self.columns);
        vec![
            self.x.needs(end),
            self.mask.map_or(Bound::NONE, |s| s.needs(end.div_ceil(32))),
            self.peaks.needs(u64::from(self.at) + 1),
            self.out.needs(self.pairs().unwrap_or(0).into()),
        ]
    }

    fn params(&self) -> F16CopyParams {
        let &Self { rows, columns, at, block, begin, stride, .. } = self;
        let (pairs, len) = (Self::stride(columns) / 2, self.pairs().unwrap_or(0));
        let whole_block = Self::stride(block);
        F16CopyParams { rows, columns, pairs, len, at, block, whole_block, begin, stride }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        // Whole sixteens lie as a matrix does.
        let in_blocks = self.block < self.rows && !Self::is_whole(self.block);
        let masked = self.mask.map(|_| ("MASKED", 1.0));
        masked.into_iter().chain(in_blocks.then_some(("IN_BLOCKS", 1.0))).collect()
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.pairs().unwrap_or(0))
    }

    fn check(&self) -> Result<(), String> {
        let &Self { rows, columns, block, stride, .. } = self;
        if stride < columns {
            return Err(format!("a row every {stride} elements: must be {columns} or more"));
        }
        self.pairs().map(|_| ()).ok_or_else(|| {
            let of = "none may be 0, blocks must be whole, and 2^32 halves are too many";
            format!("{rows} x {columns} in blocks of {block}: {of}")
        })
    }
}

/// The power of two that a tensor whose largest finite magnitude is `peak` is multiplied with.
pub fn f16_power(peak: f32) -> f64 {
    let exponent = (268 - (peak.to_bits() >> 23).min(268)).min(253);
    f64::from(exponent as i32 - 127).exp2()
}

/// Host reference: `power * x` before it is rounded to 11 bits, padded as the copy is, in blocks of
/// `block` rows.
pub fn f16_copy_reference(
    x: &[f32],
    mask: Option<&[u32]>,
    [rows, columns]: [usize; 2],
    block: usize,
) -> Vec<f64> {
    let finite = x.iter().map(|x| x.abs()).filter(|x| x.is_finite());
    let power = f16_power(finite.fold(0.0, f32::max));
    let whole = |extent: usize| extent.next_multiple_of(WHOLE as usize);
    let one = |place: usize| {
        let (row, column) = (place / whole(columns), place % whole(columns));
        let (nth, within) = (row / whole(block), row % whole(block));
        let at = (nth * block + within) * columns + column;
        let inside = within < block && column < columns;
        let kept = inside && mask.is_none_or(|words| bit(words, at));
        if kept { f64::from(x[at]) * power } else { 0.0 }
    };
    (0..rows / block * whole(block) * whole(columns)).map(one).collect()
}
