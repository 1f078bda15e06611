//! How the workgroups of attention share out its positions: one variant for each kind of adapter.
use super::attention::{Attention, AttentionKeyGradient, AttentionQueryGradient};
use super::heads::{Heads, HeadsParams};
use crate::Result;
use crate::gpu::{
    Bound, Cut, Kernel, MAX_LOOP_ITERATIONS, Operand, PlanBuilder, Target, Uniform, Variant,
};

/// Columns that a workgroup goes through at a time, as in the WGSL.
const BLOCK: u32 = 32;

/// Lanes of the subgroups that `attention_lanes.wgsl` is for.
const LANES: u32 = 8;

/// The texts of a kernel on `shaders/common/attention.wgsl`, whose own file is `$file`; `$way` is
/// which of the two mains it has.
macro_rules! texts {
    ($way:tt, $file:literal) => {
        texts!(text "tiles", $way, $file)
    };
    (variants $way:tt, $file:literal) => {
        &[crate::gpu::Variant { name: "lanes", wgsl: texts!(text "lanes", $way, $file) }]
    };
    (text "tiles", "forward", $file:literal) => {
        texts!(all "common/attention_tiles.wgsl", "common/attention_tiles_forward.wgsl", $file)
    };
    (text "tiles", "backward", $file:literal) => {
        texts!(all "common/attention_tiles.wgsl", "common/attention_tiles_backward.wgsl", $file)
    };
    (text "lanes", "forward", $file:literal) => {
        texts!(all "common/attention_lanes.wgsl", "common/attention_lanes_forward.wgsl", $file)
    };
    (text "lanes", "backward", $file:literal) => {
        texts!(all "common/attention_lanes.wgsl", "common/attention_lanes_backward.wgsl", $file)
    };
    (all $sums:literal, $main:literal, $file:literal) => {
        crate::wgsl!("common/cut.wgsl", "common/attention.wgsl", $sums, $main, $file)
    };
}
pub(super) use texts;

/// Who has the rows of a workgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Team {
    /// `attention_tiles.wgsl`: 64 invocations that share memory.
    Tiles,
    /// `attention_lanes.wgsl`: a subgroup of a software adapter.
    Lanes,
}

/// A kernel on `shaders/common/attention.wgsl`.
pub(super) trait Attends: Kernel<Params = HeadsParams> + Copy {
    /// Products of rows and columns, and sums over columns, of each pair of positions.
    const WORK: [u64; 2];
    /// Whether its sums can be added to those of a launch before.
    const ADDS: bool;

    /// Extents.
    fn shape(&self) -> &Heads;

    /// Heads that have rows.
    fn heads(&self) -> u32;

    /// What is wrong with extents and operands, in whatever way it is launched.
    fn check_operands(&self) -> Result<(), String>;
}

impl Team {
    fn of(target: Target) -> Self {
        let lanes = target.software && target.subgroup == Some(LANES);
        if lanes { Self::Lanes } else { Self::Tiles }
    }

    fn rows(self) -> u32 {
        if self == Self::Lanes { 16 } else { 32 }
    }

    /// Channels of the sums that a workgroup makes.
    fn slice(self, width: u32) -> u32 {
        if self == Self::Lanes && width <= 32 { 32 } else { 64 }
    }

    /// The grid for rows in so many heads.
    pub(super) fn grid(self, shape: &Heads, heads: u32) -> [u32; 3] {
        let slices = shape.width.div_ceil(self.slice(shape.width));
        [shape.length.div_ceil(self.rows()), heads, shape.batch.saturating_mul(slices)]
    }

    /// Most iterations of an invocation that goes through a block of columns.
    fn iterations(self, [dots, mixes]: [u64; 2], width: u32) -> u64 {
        let (dot, mix, own) = match self {
            Self::Tiles => (width.div_ceil(16) * 11, 26, 9),
            Self::Lanes => (width.div_ceil(2), BLOCK + 4, 1),
        };
        dots * u64::from(dot) + mixes * u64::from(mix) + own
    }

    /// Most columns of one launch.
    fn columns(self, work: [u64; 2], width: u32) -> u32 {
        // The sums are stored after that: 128 iterations at most.
        let blocks = u64::from(MAX_LOOP_ITERATIONS - 128 * 2) / self.iterations(work, width);
        u32::try_from(blocks).unwrap_or(0) * BLOCK
    }

    fn cut<K: Attends>(self, kernel: &K, columns: u32) -> Cut {
        let (shape, [dots, mixes]) = (kernel.shape(), K::WORK);
        let slices = shape.width.div_ceil(self.slice(shape.width));
        let pairs = shape.elements(kernel.heads().into()).saturating_mul(columns.into());
        let products = dots * u64::from(slices) + mixes;
        let first = std::mem::offset_of!(HeadsParams, first_x);
        Cut { operations: pairs.saturating_mul(products * 2), first }
    }

    fn check(self, work: [u64; 2], shape: &Heads, columns: u32) -> Result<(), String> {
        let (length, width) = (shape.length, shape.width);
        if columns > self.columns(work, width) {
            let blocks = u64::from(columns.div_ceil(BLOCK));
            let iterations = blocks * self.iterations(work, width);
            return Err(format!(
                "sequences of {length} positions and heads of {width} channels take {iterations} \
                 iterations of one invocation, at most {MAX_LOOP_ITERATIONS}; take fewer positions"
            ));
        }
        Ok(())
    }
}

/// The grid of a kernel in tiles, which runs anywhere.
pub(super) fn grid(kernel: &impl Attends) -> [u32; 3] {
    Team::Tiles.grid(kernel.shape(), kernel.heads())
}

/// Its [`Kernel::cut`].
pub(super) fn cut<K: Attends>(kernel: &K) -> Cut {
    Team::Tiles.cut(kernel, kernel.shape().length)
}

/// Its [`Kernel::check`].
pub(super) fn check<K: Attends>(kernel: &K) -> Result<(), String> {
    kernel.check_operands()?;
    Team::Tiles.check(K::WORK, kernel.shape(), kernel.shape().length)
}

/// Appends `kernel` to `plan` as suits its target: one launch, or as many as keep each invocation's
/// loops under [`MAX_LOOP_ITERATIONS`], where each can add to the sums so far.
pub(super) fn push<K: Attends>(kernel: K, plan: &mut PlanBuilder) -> Result<()>
where
    HeadsParams: Uniform<Part<K>>,
{
    let team = Team::of(plan.target());
    let Heads { length, width, .. } = *kernel.shape();
    let most = if K::ADDS { team.columns(K::WORK, width).max(BLOCK) } else { length };
    // At least one launch, whose check says what is wrong with no positions.
    let mut begin = 0u32;
    loop {
        let end = length.min(begin.saturating_add(most));
        plan.push(Part { kernel, team, begin, end })?;
        if end == length {
            return Ok(());
        }
        begin = end;
    }
}

/// One launch: the columns `begin..end`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<K> {
    kernel: K,
    team: Team,
    begin: u32,
    end: u32,
}

crate::kernels::parts! {
    Part<Attention>: HeadsParams,
    Part<AttentionQueryGradient>: HeadsParams,
    Part<AttentionKeyGradient>: HeadsParams,
}

impl<K: Attends> Kernel for Part<K>
where
    HeadsParams: Uniform<Self>,
{
    const NAME: &'static str = K::NAME;
    const WGSL: &'static str = K::WGSL;
    const VARIANTS: &'static [Variant] = K::VARIANTS;
    const OPERANDS: &'static [Operand] = K::OPERANDS;
    type Params = HeadsParams;

    fn bind(&self) -> Vec<Bound> {
        self.kernel.bind()
    }

    fn params(&self) -> HeadsParams {
        let [met_begin, met_end] = [self.begin, self.end];
        HeadsParams { met_begin, met_end, ..self.kernel.params() }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        const ACCUMULATE: (&str, f64) = ("ACCUMULATE", 1.0);
        let mut constants = self.kernel.constants();
        if self.begin > 0 && !constants.contains(&ACCUMULATE) {
            constants.push(ACCUMULATE);
        }
        if self.team == Team::Lanes {
            let slice = self.team.slice(self.kernel.shape().width);
            constants.extend((slice != 64).then_some(("SLICE", slice.into())));
        }
        constants
    }

    fn variant(&self) -> Option<&'static Variant> {
        (self.team == Team::Lanes).then(|| &K::VARIANTS[0])
    }

    fn grid(&self) -> [u32; 3] {
        self.team.grid(self.kernel.shape(), self.kernel.heads())
    }

    fn cut(&self) -> Option<Cut> {
        Some(self.team.cut(&self.kernel, self.end - self.begin))
    }

    fn check(&self) -> Result<(), String> {
        self.kernel.check_operands()?;
        self.team.check(K::WORK, self.kernel.shape(), self.end - self.begin)
    }
}
