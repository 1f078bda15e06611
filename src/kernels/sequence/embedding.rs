//! `embedding` and `embedding_gradient`: rows of a table by token.
use crate::kernels::bit;
use crate::Result;
use crate::gpu::{
    Bound, Cut, Kernel, MAX_LOOP_ITERATIONS, Operand, PlanBuilder, Slot, grid_1d, read, write,
};

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

fn len(x: u32, y: u32) -> u64 {
    u64::from(x) * u64::from(y)
}

fn check(positions: u32, rows: u32, columns: u32) -> Result<(), String> {
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

/// The gradient of the table: only the rows of tokens that occur are other than 0, and only they
/// cost more than looking at the tokens.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddingGradient {
    /// `[positions]`, whole numbers as f32.
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

crate::uniform! {
    /// Uniform of [`EmbeddingGradient`].
    pub struct EmbeddingGradientParams {
        /// First position of this launch.
        begin: u32,
        /// One past the last.
        end: u32,
        /// Rows of the table.
        rows: u32,
        /// Columns of the table.
        columns: u32,
        /// First workgroup of this launch.
        first_x: u32,
        /// The same along y.
        first_y: u32,
        /// The same along z.
        first_z: u32,
    }
}

impl EmbeddingGradient {
    /// Positions of one launch: if all are the same token, one invocation reads them all.
    const PART: u32 = MAX_LOOP_ITERATIONS / 2 / 256 * 256;

    /// Appends it to `plan`, in as many launches as the positions need.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] for extents that do not fit the slots.
    pub fn push(self, plan: &mut PlanBuilder) -> Result<()> {
        let mut begin = 0;
        while begin == 0 || begin < self.positions {
            let end = self.positions.min(begin + Self::PART);
            plan.push(Part { whole: self, begin, end })?;
            begin = end.max(1);
        }
        Ok(())
    }

    /// Each workgroup looks at every position, with two barriers in 256 of them.
    fn cut_of(&self, positions: u32) -> Cut {
        let workgroups = u64::from(self.rows) * u64::from(self.columns.div_ceil(256));
        let operations = workgroups.saturating_mul(u64::from(positions) * 16);
        Cut { operations, first: std::mem::offset_of!(EmbeddingGradientParams, first_x) }
    }
}

/// The positions `begin..end`.
struct Part {
    whole: EmbeddingGradient,
    begin: u32,
    end: u32,
}

crate::kernels::parts! { Part: EmbeddingGradientParams }

impl Kernel for Part {
    const NAME: &'static str = EmbeddingGradient::NAME;
    const WGSL: &'static str = EmbeddingGradient::WGSL;
    const OPERANDS: &'static [Operand] = EmbeddingGradient::OPERANDS;
    type Params = EmbeddingGradientParams;

    fn bind(&self) -> Vec<Bound> {
        self.whole.bind()
    }

    fn params(&self) -> EmbeddingGradientParams {
        EmbeddingGradientParams { begin: self.begin, end: self.end, ..self.whole.params() }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        if self.begin > 0 { vec![("ACCUMULATE", 1.0)] } else { Vec::new() }
    }

    fn grid(&self) -> [u32; 3] {
        self.whole.grid()
    }

    fn cut(&self) -> Option<Cut> {
        Some(self.whole.cut_of(self.end - self.begin))
    }

    fn check(&self) -> Result<(), String> {
        check(self.whole.positions, self.whole.rows, self.whole.columns)
    }
}

impl Kernel for EmbeddingGradient {
    const NAME: &'static str = "embedding_gradient";
    const WGSL: &'static str = crate::wgsl!("common/cut.wgsl", "embedding_gradient.wgsl");
    const OPERANDS: &'static [Operand] = &[read("tokens"), read("gradient"), write("out")];
    type Params = EmbeddingGradientParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.tokens.needs(self.positions.into()),
            self.gradient.needs(len(self.positions, self.columns)),
            self.out.needs(len(self.rows, self.columns)),
        ]
    }

    fn params(&self) -> EmbeddingGradientParams {
        let Self { positions, rows, columns, .. } = *self;
        let whole = EmbeddingGradientParams::default();
        EmbeddingGradientParams { begin: 0, end: positions, rows, columns, ..whole }
    }

    fn grid(&self) -> [u32; 3] {
        [self.rows, self.columns.div_ceil(256), 1]
    }

    fn cut(&self) -> Option<Cut> {
        Some(self.cut_of(self.positions))
    }

    fn check(&self) -> Result<(), String> {
        let (positions, most) = (self.positions, Self::PART);
        if positions > most {
            return Err(format!("{positions} positions in one launch, at most {most}; use its push"));
        }
        check(positions, self.rows, self.columns)
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
