//! `embedding`: rows of a table by token.
use crate::kernels::bit;
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// `out[i] = table[tokens[i]]`; a token past the table is its last row.
#[derive(Debug, Clone, Copy)]
pub struct Embedding {
    /// `[positions]`, whole numbers as f32.
    pub tokens: Slot,
    /// `[rows, columns]`
    pub table: Slot,
    /// Mask over the table.
    pub mask: Option<Slot>,
    /// `[positions, columns]`
    pub out: Slot,
    /// Tokens.
    pub positions: u32,
    /// Rows of the table.
    pub rows: u32,
    /// Columns of the table.
    pub columns: u32,
}

crate::uniform! {
    /// Uniform of [`Embedding`].
    pub struct EmbeddingParams {
        /// Elements of the result.
        len: u32,
        /// Rows of the table.
        rows: u32,
        /// Columns of the table.
        columns: u32,
    }
}

pub(super) fn len(x: u32, y: u32) -> u64 {
    u64::from(x) * u64::from(y)
}

pub(super) fn check(positions: u32, rows: u32, columns: u32) -> Result<(), String> {
    // Larger whole numbers are not all numbers in f32.
    let most = 1 << 24;
    if rows > most {
        return Err(format!("{rows} rows of a table, at most {most}"));
    }
    if len(positions, columns).max(len(rows, columns)) > u64::from(u32::MAX) {
        return Err(format!("{positions} positions and {rows} rows of {columns}: over 2^32 elements"));
    }
    Ok(())
}

impl Kernel for Embedding {
    const NAME: &'static str = "embedding";
    const WGSL: &'static str =
        crate::wgsl!("common/grid.wgsl", "common/bits.wgsl", "embedding.wgsl");
    const OPERANDS: &'static [Operand] =
        &[read("tokens"), read("table"), read("mask"), write("out")];
    type Params = EmbeddingParams;

    fn bind(&self) -> Vec<Bound> {
        let table = len(self.rows, self.columns);
        vec![
            self.tokens.needs(self.positions.into()),
            self.table.needs(table),
            self.mask.map_or(Bound::NONE, |s| s.needs(table.div_ceil(32))),
            self.out.needs(len(self.positions, self.columns)),
        ]
    }

    fn params(&self) -> EmbeddingParams {
        let Self { positions, rows, columns, .. } = *self;
        EmbeddingParams { len: positions * columns, rows, columns }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.mask.iter().map(|_| ("MASKED", 1.0)).collect()
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.positions.saturating_mul(self.columns))
    }

    fn check(&self) -> Result<(), String> {
        check(self.positions, self.rows, self.columns)
    }
}

/// Host reference.
pub fn embedding_reference(
    tokens: &[f64],
    table: &[f64],
    mask: Option<&[u32]>,
    columns: usize,
) -> Vec<f64> {
    let kept = |at: &usize| mask.is_none_or(|words| bit(words, *at));
    let row = |t: &f64| *t as usize * columns..(*t as usize + 1) * columns;
    let one = |at: usize| if kept(&at) { table[at] } else { 0.0 };
    tokens.iter().flat_map(|t| row(t).map(one)).collect()
}
