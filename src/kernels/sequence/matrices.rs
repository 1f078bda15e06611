//! How the workgroups of attention share rows and columns on cooperative matrices.
use crate::gpu::{Precision, Target};

/// A workgroup of `attention_coop.wgsl`, on the matrices of an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Matrices {
    /// Rows, columns and terms of a matrix: 8 or 16.
    side: u32,
    /// Invocations of the adapter's largest subgroup.
    subgroup: u32,
    /// Matrices of products that a subgroup has, down and across: 1 or 2.
    height: u32,
    columns: u32,
    /// Operands that rows have, and columns at a time.
    operands: u32,
    /// Channels of a head, in chunks of 32.
    chunks: u32,
}

/// Narrowest heads: of narrower ones most of a matrix would be zeros.
const NARROWEST: u32 = 16;
/// Widest heads: more sums than these would have take more registers than a subgroup has.
const WIDEST: u32 = 128;
/// Most invocations of a workgroup.
const INVOCATIONS: u32 = 256;
/// Most fours of a tile of columns that an invocation has on their way.
const FOURS: u32 = 16;
/// Numbers that a row of a tile of halves, and of sums, has more than are used.
const PADDING: [u32; 2] = [8, 4];
/// Workgroup memory that every adapter has (WebGPU).
const WORKGROUP_BYTES: u32 = 16_384;

impl Matrices {
    /// For heads of so many channels; `None` where the device that `target` says has no matrices
    /// for halves, or too little workgroup memory, and for widths that are no multiple of 4, below
    /// 16 or above 128.
    pub(super) fn of(target: Target, width: u32, gradient: bool) -> Option<Self> {
        let side = target.cooperative.filter(|_| target.precision == Precision::Mixed)?;
        let subgroup = target.largest_subgroup.or(target.subgroup)?;
        if !width.is_multiple_of(4) || !(NARROWEST..=WIDEST).contains(&width) {
            return None;
        }
        let (chunks, operands) = (width.div_ceil(32), if gradient { 2 } else { 1 });
        let of = |[height, columns]: [u32; 2]| Self {
            side,
            subgroup,
            height,
            columns,
            operands,
            chunks,
        };
        // Gradients have four operands in memory, and weights of one block in registers.
        let sizes: &[[u32; 2]] = if gradient { &[[2, 1], [1, 1]] } else { &[[2, 2], [2, 1]] };
        sizes.iter().map(|&size| of(size)).find(|matrices| matrices.runs_on(target))
    }

    fn runs_on(self, target: Target) -> bool {
        let (invocations, rows) = (self.invocations(), self.rows());
        let bytes = target.workgroup_bytes.max(WORKGROUP_BYTES);
        // Each row has as many invocations, and each of these whole fours of columns.
        let even = invocations.is_multiple_of(rows)
            && (self.block() * rows).is_multiple_of(invocations * 4);
        // Whole tiles of columns, in powers of two of rows for each chunk of channels.
        let tile = self.block() * 8;
        let whole = tile.is_multiple_of(invocations) && (tile / invocations).is_power_of_two();
        // Gradients keep the weights of a row's columns in registers.
        let few = self.operands == 1 || self.block() * rows <= invocations * 16;
        even && whole
            && few
            && invocations <= INVOCATIONS
            && self.fours() <= FOURS
            && self.bytes() <= bytes
    }

    /// Positions of a workgroup.
    pub(super) fn rows(self) -> u32 {
        2 * self.height * self.side
    }

    /// Columns that it goes through at a time.
    pub(super) fn block(self) -> u32 {
        self.across() * self.columns * self.side
    }

    /// Subgroups side by side: small matrices are for twice as many.
    fn across(self) -> u32 {
        if self.side == 8 { 4 } else { 2 }
    }

    fn invocations(self) -> u32 {
        2 * self.across() * self.subgroup
    }

    /// Fours of a tile of columns that an invocation loads.
    fn fours(self) -> u32 {
        self.block() * self.chunks * 8 / self.invocations()
    }

    /// Halves of a row that has channels, and of one that has columns.
    fn pitches(self) -> [u32; 2] {
        [self.chunks * 32, self.block()].map(|halves| halves + PADDING[0])
    }

    /// Halves of the tiles: the rows' operand with the weights, and what columns have.
    fn tiles(self) -> [u32; 2] {
        let [channels, columns] = self.pitches();
        let of_rows = self.operands * channels + columns;
        [self.rows() * of_rows, self.operands * self.block() * channels]
    }

    /// Numbers of f32: the products of a block, or two matrices of each subgroup.
    fn sums(self) -> u32 {
        let matrices = 2 * 2 * self.across() * self.side * self.side;
        matrices.max(self.rows() * (self.block() + PADDING[1]))
    }

    /// Bytes of workgroup memory.
    fn bytes(self) -> u32 {
        // Peaks, columns that are seen, and what is known of each column, or of each invocation and
        // row.
        let known = if self.operands == 2 { 2 * self.block() } else { self.invocations() + 64 };
        let others = 8 + 64 + known;
        self.tiles().iter().sum::<u32>() * 2 + (self.sums() + others) * 4
    }

    /// Most iterations of an invocation that goes through a block: terms of both products, weights
    /// twice, and sums that fade.
    pub(super) fn iterations(self, width: u32) -> u64 {
        let products = width.div_ceil(self.side) + self.block() / self.side;
        let weights = 2 * self.block() * self.rows() / self.invocations() / 4;
        let found = self.invocations() / self.rows();
        let fours = 2 * self.across() * self.side * self.side / 4;
        let faded = 4 * self.chunks * (1 + fours.div_ceil(self.invocations()));
        u64::from(products + weights + found + faded + 4)
    }

    /// Constants of the WGSL.
    pub(super) fn constants(self) -> [(&'static str, f64); 12] {
        // In the texts for 16 arrays are of fours.
        let element = if self.side == 16 { 4 } else { 1 };
        let [tile_a, tile_b] = self.tiles().map(|halves| halves / element);
        let steps = (self.block() * 8 / self.invocations()).ilog2();
        [
            ("INVOCATIONS", self.invocations()),
            ("ACROSS", self.across()),
            ("BLOCK", self.block()),
            ("HEIGHT", self.height),
            ("COLUMNS", self.columns),
            ("ROWS", self.rows()),
            ("CHUNKS", self.chunks),
            ("FOURS", self.fours()),
            ("STEPS", steps),
            ("TILE_A", tile_a),
            ("TILE_B", tile_b),
            ("SUMS", self.sums() / element),
        ]
        .map(|(name, value)| (name, value.into()))
    }

    /// Its text's name.
    pub(super) fn text(self) -> &'static str {
        if self.side == 8 { "coop_8" } else { "coop_16" }
    }
}
