//! The gradient of a table of embeddings: `embedding_clear`, `embedding_ends`, `embedding_links`,
//! `embedding_gradient`.
use super::embedding::{check, len};
use crate::Result;
use crate::gpu::{
    Bound, Cut, Kernel, MAX_LOOP_ITERATIONS, Operand, PlanBuilder, Slot, grid_1d, read, write,
};

/// The gradient of the table: its rows are cleared once, and then only those of tokens that occur
/// are written, each sum in the order of positions.
#[derive(Debug, Clone, Copy)]
pub struct TableGradient {
    /// `[positions]`, whole numbers as f32; one past the table is its last row.
    pub tokens: Slot,
    /// Of the result, `[positions, columns]`.
    pub gradient: Slot,
    /// `[rows, columns]`
    pub out: Slot,
    /// Tokens.
    pub positions: u32,
    /// Rows of the table.
    pub rows: u32,
    /// Columns of the table.
    pub columns: u32,
}

impl TableGradient {
    /// Positions of one part: if all are the same token, one invocation reads them all.
    const PART: u32 = MAX_LOOP_ITERATIONS / 256 * 256;

    /// Appends it to `plan`, in as many parts as the positions need.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] for extents that do not fit the slots.
    pub fn push(self, plan: &mut PlanBuilder) -> Result<()> {
        let Self { tokens, gradient, out, positions, rows, columns } = self;
        let ends = plan.scratch("embedding.ends", rows.saturating_mul(2));
        let links = plan.scratch("embedding.links", positions.min(Self::PART));
        let mut begin = 0u32;
        loop {
            let end = positions.min(begin.saturating_add(Self::PART));
            let cleared = if begin == 0 { columns } else { 0 };
            plan.push(EmbeddingClear { ends, out, rows, columns: cleared })?;
            plan.push(EmbeddingEnds { tokens, ends, begin, end, rows })?;
            plan.push(EmbeddingLinks { tokens, ends, links, begin, end, rows })?;
            let of = EmbeddingGradient { tokens, gradient, ends, links, out, begin, end, rows, columns };
            plan.push(of)?;
            if end == positions {
                return Ok(());
            }
            begin = end;
        }
    }
}

/// `out = 0`, or nothing of it, and no token has occurred yet.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddingClear {
    /// Written: `[rows, 2]`, the first position of each token, and the last.
    pub ends: Slot,
    /// `[rows, columns]`
    pub out: Slot,
    /// Rows of the table.
    pub rows: u32,
    /// Columns, all of which are cleared; 0 where none are.
    pub columns: u32,
}

crate::uniform! {
    /// Uniform of [`EmbeddingClear`].
    pub struct EmbeddingClearParams {
        /// Elements to clear.
        len: u32,
        /// Rows of the table.
        rows: u32,
    }
}

impl Kernel for EmbeddingClear {
    const NAME: &'static str = "embedding_clear";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "embedding_clear.wgsl");
    const OPERANDS: &'static [Operand] = &[write("ends"), write("out")];
    type Params = EmbeddingClearParams;

    fn bind(&self) -> Vec<Bound> {
        // A launch that clears no columns binds a word all the same.
        let cleared = len(self.rows, self.columns).max(1);
        vec![self.ends.needs(len(self.rows, 2)), self.out.needs(cleared)]
    }

    fn params(&self) -> EmbeddingClearParams {
        EmbeddingClearParams { len: self.rows * self.columns, rows: self.rows }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.rows.saturating_mul(self.columns.max(1)))
    }

    fn check(&self) -> Result<(), String> {
        check(0, self.rows, self.columns)
    }
}

/// Where each token of some positions occurs first, and where last.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddingEnds {
    /// `[positions]`, whole numbers as f32.
    pub tokens: Slot,
    /// `[rows, 2]`, as [`EmbeddingClear`] leaves it.
    pub ends: Slot,
    /// First position.
    pub begin: u32,
    /// One past the last.
    pub end: u32,
    /// Rows of the table.
    pub rows: u32,
}

crate::uniform! {
    /// Uniform of [`EmbeddingEnds`].
    pub struct EmbeddingEndsParams {
        /// First position.
        begin: u32,
        /// One past the last.
        end: u32,
        /// Rows of the table.
        rows: u32,
    }
}

impl Kernel for EmbeddingEnds {
    const NAME: &'static str = "embedding_ends";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "embedding_ends.wgsl");
    const OPERANDS: &'static [Operand] = &[read("tokens"), write("ends")];
    type Params = EmbeddingEndsParams;

    fn bind(&self) -> Vec<Bound> {
        vec![self.tokens.needs(self.end.into()), self.ends.needs(len(self.rows, 2))]
    }

    fn params(&self) -> EmbeddingEndsParams {
        let Self { begin, end, rows, .. } = *self;
        EmbeddingEndsParams { begin, end, rows }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.end - self.begin)
    }
}

/// From each position of some to the next with the same token.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddingLinks {
    /// `[positions]`, whole numbers as f32.
    pub tokens: Slot,
    /// What [`EmbeddingEnds`] found.
    pub ends: Slot,
    /// Written: a position for each; the last of a token has its own.
    pub links: Slot,
    /// First position.
    pub begin: u32,
    /// One past the last.
    pub end: u32,
    /// Rows of the table.
    pub rows: u32,
}

crate::uniform! {
    /// Uniform of [`EmbeddingLinks`].
    pub struct EmbeddingLinksParams {
        /// First position.
        begin: u32,
        /// One past the last.
        end: u32,
        /// Rows of the table.
        rows: u32,
        /// First workgroup of this launch.
        first_x: u32,
        /// The same along y.
        first_y: u32,
        /// The same along z.
        first_z: u32,
    }
}

impl Kernel for EmbeddingLinks {
    const NAME: &'static str = "embedding_links";
    const WGSL: &'static str = crate::wgsl!("common/cut.wgsl", "embedding_links.wgsl");
    const OPERANDS: &'static [Operand] = &[read("tokens"), read("ends"), write("links")];
    type Params = EmbeddingLinksParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.tokens.needs(self.end.into()),
            self.ends.needs(len(self.rows, 2)),
            self.links.needs((self.end - self.begin).into()),
        ]
    }

    fn params(&self) -> EmbeddingLinksParams {
        let Self { begin, end, rows, .. } = *self;
        EmbeddingLinksParams { begin, end, rows, ..EmbeddingLinksParams::default() }
    }

    fn grid(&self) -> [u32; 3] {
        [(self.end - self.begin).div_ceil(256), 1, 1]
    }

    /// At most half of all pairs are looked at: where half of the tokens occur once more, far away.
    fn cut(&self) -> Option<Cut> {
        let operations = len(self.end - self.begin, self.end - self.begin) / 2;
        Some(Cut { operations, first: std::mem::offset_of!(EmbeddingLinksParams, first_x) })
    }

    fn check(&self) -> Result<(), String> {
        check_part(self.end - self.begin)
    }
}

/// The sums: of each token where it occurs first.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddingGradient {
    /// `[positions]`, whole numbers as f32.
    pub tokens: Slot,
    /// Of the result, `[positions, columns]`.
    pub gradient: Slot,
    /// What [`EmbeddingEnds`] found.
    pub ends: Slot,
    /// What [`EmbeddingLinks`] found.
    pub links: Slot,
    /// `[rows, columns]`, overwritten where tokens occur, or added to where `begin` is not 0.
    pub out: Slot,
    /// First position.
    pub begin: u32,
    /// One past the last.
    pub end: u32,
    /// Rows of the table.
    pub rows: u32,
    /// Columns of the table.
    pub columns: u32,
}

crate::uniform! {
    /// Uniform of [`EmbeddingGradient`].
    pub struct EmbeddingGradientParams {
        /// First position.
        begin: u32,
        /// Positions times columns.
        len: u32,
        /// Rows of the table.
        rows: u32,
        /// Columns of the table.
        columns: u32,
    }
}

impl Kernel for EmbeddingGradient {
    const NAME: &'static str = "embedding_gradient";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "embedding_gradient.wgsl");
    const OPERANDS: &'static [Operand] =
        &[read("tokens"), read("gradient"), read("ends"), read("links"), write("out")];
    type Params = EmbeddingGradientParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.tokens.needs(self.end.into()),
            self.gradient.needs(len(self.end, self.columns)),
            self.ends.needs(len(self.rows, 2)),
            self.links.needs((self.end - self.begin).into()),
            self.out.needs(len(self.rows, self.columns)),
        ]
    }

    fn params(&self) -> EmbeddingGradientParams {
        let Self { begin, rows, columns, .. } = *self;
        EmbeddingGradientParams { begin, len: (self.end - begin) * columns, rows, columns }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        if self.begin > 0 { vec![("ACCUMULATE", 1.0)] } else { Vec::new() }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d((self.end - self.begin).saturating_mul(self.columns))
    }

    fn check(&self) -> Result<(), String> {
        check_part(self.end - self.begin)?;
        check(self.end, self.rows, self.columns)
    }
}

fn check_part(positions: u32) -> Result<(), String> {
    let most = TableGradient::PART;
    if positions > most {
        return Err(format!("{positions} positions in one launch, at most {most}"));
    }
    Ok(())
}

/// Host reference.
pub fn embedding_gradient_reference(
    tokens: &[f64],
    gradient: &[f64],
    [rows, columns]: [usize; 2],
) -> Vec<f64> {
    let mut out = vec![0.0; rows * columns];
    for (t, gradient) in tokens.iter().zip(gradient.chunks(columns)) {
        let row = &mut out[*t as usize * columns..][..columns];
        row.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += g);
    }
    out
}
