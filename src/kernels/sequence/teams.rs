//! How the workgroups of attention share out its positions: one variant for each kind of adapter.
use super::attention::{Attention, AttentionKeyGradient, AttentionQueryGradient};
use super::heads::{Heads, HeadsParams};
use super::matrices::Matrices;
use crate::Result;
use crate::gpu::{
    Bound, Cut, Kernel, MAX_LOOP_ITERATIONS, Operand, PlanBuilder, Slot, Target, Uniform, Variant,
};

/// Lanes of the subgroups that `attention_lanes.wgsl` is for.
const LANES: u32 = 8;

/// The texts of a kernel on `shaders/common/attention.wgsl`, whose own file is `$file`; `$way` is
/// which of the two mains it has.
macro_rules! texts {
    ($way:tt, $file:literal) => {
        texts!(text "tiles", $way, $file)
    };
    (variants $way:tt, $file:literal) => {
        &[
            crate::gpu::Variant { name: "lanes", wgsl: texts!(text "lanes", $way, $file) },
            crate::gpu::Variant { name: "coop_8", wgsl: texts!(text "coop_8", $way, $file) },
            crate::gpu::Variant { name: "coop_16", wgsl: texts!(text "coop_16", $way, $file) },
        ]
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
    (text "coop_8", $way:tt, $file:literal) => {
        texts!(matrices "common/coop_8.wgsl", "common/attention_coop_8.wgsl", $way, $file)
    };
    (text "coop_16", $way:tt, $file:literal) => {
        texts!(matrices "common/coop_16.wgsl", "common/attention_coop_16.wgsl", $way, $file)
    };
    (matrices $matrices:literal, $sums:literal, "forward", $file:literal) => {
        texts!(enabled $matrices, $sums, "common/attention_coop_forward.wgsl", $file)
    };
    (matrices $matrices:literal, $sums:literal, "backward", $file:literal) => {
        texts!(enabled $matrices, $sums, "common/attention_coop_backward.wgsl", $file)
    };
    // What they enable comes first.
    (enabled $matrices:literal, $sums:literal, $main:literal, $file:literal) => {
        crate::wgsl!(
            $matrices,
            $sums,
            "common/cut.wgsl",
            "common/attention.wgsl",
            "common/f16_operand.wgsl",
            "common/attention_coop.wgsl",
            $main,
            $file
        )
    };
    (all $sums:literal, $main:literal, $file:literal) => {
        crate::wgsl!("common/cut.wgsl", "common/attention.wgsl", $sums, $main, $file)
    };
}
pub(super) use texts;

/// Who has the rows of a workgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Team {
    /// `attention_tiles.wgsl`: 128 invocations that share memory.
    Tiles,
    /// `attention_lanes.wgsl`: a subgroup of a software adapter.
    Lanes,
    /// `attention_coop.wgsl`: subgroups with cooperative matrices.
    Matrices(Matrices),
}

/// A kernel on `shaders/common/attention.wgsl`.
pub(super) trait Attends: Kernel<Params = HeadsParams> + Copy {
    /// Products of rows and columns, and sums over columns, of each pair of positions.
    const WORK: [u64; 2];

    /// Extents.
    fn shape(&self) -> &Heads;

    /// Heads that have rows.
    fn heads(&self) -> u32;

    /// Whether it adds to what is there.
    fn adds(&self) -> bool;

    /// What is wrong with extents and operands, in whatever way it is launched.
    fn check_operands(&self) -> Result<(), String>;
}

impl Team {
    fn of<K: Attends>(kernel: &K, target: Target) -> Self {
        let gradient = K::WORK != [1, 1];
        let matrices = Matrices::of(target, kernel.shape().width, gradient);
        let lanes = target.software && target.subgroup == Some(LANES);
        let other = if lanes { Self::Lanes } else { Self::Tiles };
        matrices.map_or(other, Self::Matrices)
    }

    fn rows(self) -> u32 {
        match self {
            Self::Tiles => 64,
            Self::Lanes => 16,
            Self::Matrices(matrices) => matrices.rows(),
        }
    }

    /// Columns that a workgroup goes through at a time.
    fn block(self) -> u32 {
        match self {
            Self::Tiles => 64,
            Self::Lanes => 32,
            Self::Matrices(matrices) => matrices.block(),
        }
    }

    /// Channels of the sums that a workgroup makes.
    fn slice(self, [_, mixes]: [u64; 2], width: u32) -> u32 {
        match self {
            Self::Lanes if width <= 32 => 32,
            // Two sums of so many channels would take more registers than a lane has.
            Self::Tiles if width > 64 && mixes == 1 => 128,
            Self::Matrices(_) => 128,
            _ => 64,
        }
    }

    /// The grid for rows in so many heads.
    pub(super) fn grid<K: Attends>(self, kernel: &K) -> [u32; 3] {
        let (shape, heads) = (kernel.shape(), kernel.heads());
        let slices = shape.width.div_ceil(self.slice(K::WORK, shape.width));
        [shape.length.div_ceil(self.rows()), heads, shape.batch.saturating_mul(slices)]
    }

    /// Most iterations of an invocation that goes through a block of columns.
    fn iterations(self, [dots, mixes]: [u64; 2], width: u32) -> u64 {
        let (dot, mix, own) = match self {
            Self::Matrices(matrices) => return matrices.iterations(width),
            Self::Tiles => (width.div_ceil(16) * 9, 4 * 9, 8),
            Self::Lanes => (width.div_ceil(2), self.block() + 4, 1),
        };
        dots * u64::from(dot) + mixes * u64::from(mix) + own
    }

    /// Most columns of one launch.
    fn columns(self, work: [u64; 2], width: u32) -> u32 {
        // The sums are stored after that: 128 iterations at most.
        let blocks = u64::from(MAX_LOOP_ITERATIONS - 128 * 2) / self.iterations(work, width);
        u32::try_from(blocks).unwrap_or(0) * self.block()
    }

    /// Columns of the launches that go through all of them, at most `most` each.
    fn spans<K: Attends>(self, kernel: &K, most: u32) -> Vec<[u32; 2]> {
        let (length, block) = (kernel.shape().length, self.block());
        let most = self.columns(K::WORK, kernel.shape().width).min(most);
        let step = most.max(1).next_multiple_of(block);
        // At least one launch, whose check says what is wrong with no positions.
        let begins = (0..length.max(1)).step_by(step as usize);
        begins.map(|begin| [begin, length.min(begin.saturating_add(step))]).collect()
    }

    /// Only what differs from the WGSL's defaults, but all of a workgroup with matrices.
    fn constants<K: Attends>(
        self,
        kernel: &K,
        flags: [(&'static str, bool); 2],
    ) -> Vec<(&'static str, f64)> {
        let mut constants = kernel.shape().constants();
        constants.extend(flags.iter().filter(|(_, on)| *on).map(|&(name, _)| (name, 1.0)));
        match self {
            Self::Matrices(matrices) => constants.extend(matrices.constants()),
            _ => {
                let slice = self.slice(K::WORK, kernel.shape().width);
                constants.extend((slice != 64).then_some(("SLICE", slice.into())));
            }
        }
        constants
    }

    fn cut<K: Attends>(self, kernel: &K, columns: u32) -> Cut {
        let (shape, [dots, mixes]) = (kernel.shape(), K::WORK);
        let slices = shape.width.div_ceil(self.slice(K::WORK, shape.width));
        let pairs = shape.elements(kernel.heads().into()).saturating_mul(columns.into());
        let products = dots * u64::from(slices) + mixes;
        let first = std::mem::offset_of!(HeadsParams, first_x);
        Cut { operations: pairs.saturating_mul(products * 2), first }
    }

    fn check(self, work: [u64; 2], shape: &Heads, columns: u32) -> Result<(), String> {
        let (length, width) = (shape.length, shape.width);
        if columns > self.columns(work, width) {
            let blocks = u64::from(columns.div_ceil(self.block()));
            let iterations = blocks * self.iterations(work, width);
            return Err(format!(
                "sequences of {length} positions and heads of {width} channels take {iterations} \
                 iterations of one invocation, at most {MAX_LOOP_ITERATIONS}; take narrower heads"
            ));
        }
        Ok(())
    }
}

/// The grid of a kernel in tiles, which runs anywhere.
pub(super) fn grid(kernel: &impl Attends) -> [u32; 3] {
    Team::Tiles.grid(kernel)
}

/// Its [`Kernel::cut`].
pub(super) fn cut<K: Attends>(kernel: &K) -> Cut {
    Team::Tiles.cut(kernel, kernel.shape().length)
}

/// Its [`Kernel::constants`].
pub(super) fn constants<K: Attends>(kernel: &K) -> Vec<(&'static str, f64)> {
    Team::Tiles.constants(kernel, [("ACCUMULATE", kernel.adds()), ("RESUMED", false)])
}

/// Its [`Kernel::check`].
pub(super) fn check<K: Attends>(kernel: &K) -> Result<(), String> {
    kernel.check_operands()?;
    Team::Tiles.check(K::WORK, kernel.shape(), kernel.shape().length)
}

/// Appends `kernel`, whose launches add to what is there, to `plan` as suits its target: one
/// launch, or as many as keep each invocation's loops under [`MAX_LOOP_ITERATIONS`].
pub(super) fn push<K: Attends>(kernel: K, plan: &mut PlanBuilder) -> Result<()>
where
    HeadsParams: Uniform<Part<K>>,
{
    let team = Team::of(&kernel, plan.target());
    let spans = team.spans(&kernel, u32::MAX).into_iter();
    spans.map(|span| Part { kernel, team, span, before: None }).try_for_each(|part| plan.push(part))
}

/// The same of the result, with at most `most` columns a launch. Each but the first goes on from
/// the logarithms and the result of the one before; where slices of channels share logarithms, no
/// launch may write those that it reads.
pub(super) fn push_forward(kernel: Attention, plan: &mut PlanBuilder, most: u32) -> Result<()> {
    let team = Team::of(&kernel, plan.target());
    let spans = team.spans(&kernel, most);
    let mut before = None;
    for (n, &span) in spans.iter().enumerate() {
        let logs = match n + 1 == spans.len() {
            true => kernel.logs,
            false => plan.scratch("attention.logs", kernel.of.shape.queries()),
        };
        plan.push(Part { kernel: Attention { logs, ..kernel }, team, span, before })?;
        before = Some(logs);
    }
    Ok(())
}

/// One launch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<K> {
    kernel: K,
    team: Team,
    /// Its first column, and one past the last.
    span: [u32; 2],
    /// The logarithms that the launch before has left, where it goes on from them.
    before: Option<Slot>,
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
        let mut bound = self.kernel.bind();
        if let Some(before) = self.before {
            let place = K::OPERANDS.iter().position(|operand| operand.name == "before");
            bound[place.expect("only the result goes on")] =
                before.needs(self.kernel.shape().queries().into());
        }
        bound
    }

    fn params(&self) -> HeadsParams {
        let [met_begin, met_end] = self.span;
        HeadsParams { met_begin, met_end, ..self.kernel.params() }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let adds = self.kernel.adds() || (self.before.is_none() && self.span[0] > 0);
        self.team
            .constants(&self.kernel, [("ACCUMULATE", adds), ("RESUMED", self.before.is_some())])
    }

    fn variant(&self) -> Option<&'static Variant> {
        let text = match self.team {
            Team::Tiles => return None,
            Team::Lanes => "lanes",
            Team::Matrices(matrices) => matrices.text(),
        };
        let variant = K::VARIANTS.iter().find(|variant| variant.name == text);
        Some(variant.expect("a kernel has a text for each team that it asks for"))
    }

    fn grid(&self) -> [u32; 3] {
        self.team.grid(&self.kernel)
    }

    fn cut(&self) -> Option<Cut> {
        Some(self.team.cut(&self.kernel, self.span[1] - self.span[0]))
    }

    fn check(&self) -> Result<(), String> {
        self.kernel.check_operands()?;
        self.team.check(K::WORK, self.kernel.shape(), self.span[1] - self.span[0])
    }
}
