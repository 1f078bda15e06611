//! How the workgroups of a product share its rows and columns: one variant for each kind of
//! adapter.
use super::coop::Coop;
use crate::kernels::Form;
use crate::gpu::{Kernel, Target, Variant};

/// A tiling owns its text, its grid, its constants and its name. Each sum has the same terms in the
/// same order in any but the last, so which one is launched changes no bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tiling {
    /// `product_blocks.wgsl`.
    Blocks,
    /// `product_lanes.wgsl`.
    Lanes,
    /// `product_tiles.wgsl`.
    Tiles(Tile),
    /// `product_coop.wgsl`, for f16.
    Coop(Coop),
}

/// The square that a workgroup computes where it has tiles in its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// Invocations in each direction.
    side: u32,
    /// Fours of rows, and of columns, of an invocation.
    fours: u32,
    /// Terms of a tile.
    depth: u32,
}

const LARGE: Tile = Tile { side: 16, fours: 2, depth: 8 };
const MEDIUM: Tile = Tile { side: 16, fours: 1, depth: 16 };
const SMALL: Tile = Tile { side: 8, fours: 1, depth: 16 };

/// Lanes of the subgroups that `product_lanes.wgsl` is for.
const LANES: u32 = 8;

impl Tiling {
    /// Those of products of f32 that a tuner tries.
    pub const ALL: [Self; 5] =
        [Self::Blocks, Self::Lanes, Self::Tiles(SMALL), Self::Tiles(MEDIUM), Self::Tiles(LARGE)];

    /// What the tuner chose, or else what is known of such adapters.
    pub(super) fn of(target: Target, form: Form, extents: [u32; 3]) -> Self {
        let chosen = target.choices.get(Self::place(form, class(extents)));
        let chosen = Self::ALL.into_iter().find(|tiling| chosen == Some(tiling.name()));
        if let Some(tiling) = chosen.filter(|tiling| tiling.runs_on(target)) {
            return tiling;
        }
        match target.software {
            true if Self::Lanes.runs_on(target) => Self::Lanes,
            true => Self::Blocks,
            // Large tiles read less, small ones leave fewer of the GPU's processors idle.
            false => Self::Tiles([SMALL, MEDIUM, LARGE][class(extents)]),
        }
    }

    /// Where [`Choices`](crate::gpu::Choices) have the tiling of products of this form and class of
    /// size: 0 of small results, 2 of large ones.
    pub fn place(form: Form, class: usize) -> usize {
        form as usize * 3 + class
    }

    /// The same of products over halves.
    pub fn place_f16(form: Form, class: usize) -> usize {
        9 + Self::place(form, class)
    }

    /// Those of products over halves that a tuner tries on a device that `target` says: sizes of
    /// tiles on its cooperative matrices besides [`Tiling::ALL`].
    pub fn all_f16(target: Target) -> Vec<Self> {
        let coop = Coop::all(target).into_iter().map(Self::Coop);
        Self::ALL.into_iter().chain(coop).collect()
    }

    /// For f16: what the tuner chose, or else cooperative matrices where there are any.
    pub(super) fn of_f16(target: Target, form: Form, extents: [u32; 3]) -> Self {
        let chosen = target.choices.get(Self::place_f16(form, class(extents)));
        let chosen = chosen.and_then(|name| {
            Self::all_f16(target).into_iter().find(|tiling| tiling.name() == name)
        });
        if let Some(tiling) = chosen.filter(|tiling| tiling.runs_on(target)) {
            return tiling;
        }
        let coop = Coop::of(target, extents).map(Self::Coop);
        coop.unwrap_or_else(|| Self::of(target, form, extents))
    }

    /// Whether a device that `target` says can launch it.
    pub fn runs_on(self, target: Target) -> bool {
        match self {
            Self::Lanes => target.subgroup == Some(LANES),
            Self::Coop(coop) => Coop::all(target).contains(&coop),
            Self::Blocks | Self::Tiles(_) => true,
        }
    }

    /// The grid for so many rows, columns and groups.
    pub(super) fn grid(self, extents @ [rows, columns, groups]: [u32; 3]) -> [u32; 3] {
        let [height, width] = self.of_group(extents);
        [columns.div_ceil(width), rows.div_ceil(height), groups]
    }

    /// Rows and columns of a workgroup.
    pub(super) fn of_group(self, [_, columns, _]: [u32; 3]) -> [u32; 2] {
        match self {
            Self::Blocks => [64 / block_lanes(columns) * 8, block_lanes(columns) * 4],
            Self::Lanes => [8 * 16, LANES * lane_columns(columns)],
            Self::Tiles(tile) => [tile.extent(); 2],
            Self::Coop(coop) => coop.extent(),
        }
    }

    /// The constants that say so, where they differ from the WGSL's.
    pub(super) fn constants(self, [_, columns, _]: [u32; 3]) -> Vec<(&'static str, f64)> {
        let all: &[(&str, u32, u32)] = match self {
            Self::Blocks => {
                let lanes = block_lanes(columns);
                &[("LANES", lanes, 16), ("LANE_ROWS", 64 / lanes, 4)]
            }
            Self::Lanes => &[("COLUMNS", lane_columns(columns), 4)],
            Self::Tiles(Tile { side, fours, depth }) => {
                &[("SIDE", side, 16), ("FOURS", fours, 1), ("DEPTH", depth, 16)]
            }
            Self::Coop(coop) => &coop.constants(),
        };
        let differs = all.iter().filter(|(_, value, default)| value != default);
        differs.map(|&(name, value, _)| (name, value.into())).collect()
    }

    /// Its text among a kernel's variants; `None` is the kernel's own.
    pub(super) fn variant<K: Kernel>(self) -> Option<&'static Variant> {
        let text = match self {
            Self::Blocks => return None,
            Self::Lanes => "lanes",
            Self::Tiles(_) => "tiles",
            Self::Coop(Coop { side: 8, .. }) => "coop_8",
            Self::Coop(_) => "coop_16",
        };
        let variant = K::VARIANTS.iter().find(|variant| variant.name == text);
        Some(variant.expect("a kernel on product.wgsl has a text for each tiling that it asks for"))
    }

    /// What the tuner keeps it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::Lanes => "lanes",
            Self::Tiles(tile) if tile == SMALL => "tiles-32",
            Self::Tiles(tile) if tile == MEDIUM => "tiles-64",
            Self::Tiles(_) => "tiles-128",
            Self::Coop(coop) => coop.name(),
        }
    }
}

/// 0, 1 or 2: how large a result is, by how many large or medium tiles keep a GPU busy.
fn class([rows, columns, groups]: [u32; 3]) -> usize {
    let count = |tile: Tile| {
        let along = |extent: u32| u64::from(extent.div_ceil(tile.extent()));
        along(rows) * along(columns) * u64::from(groups)
    };
    if count(LARGE) >= 256 { 2 } else { usize::from(count(MEDIUM) >= 132) }
}

impl Tile {
    /// Constants that say so, all of them.
    pub(super) fn all_constants(self) -> Vec<(&'static str, f64)> {
        let Self { side, fours, depth } = self;
        [("SIDE", side), ("FOURS", fours), ("DEPTH", depth)].map(|(n, v)| (n, v.into())).into()
    }

    /// Whether it has 16 terms at a time, of four rows and columns an invocation.
    pub(super) fn is_deep(self) -> bool {
        self.fours == 1 && self.depth == 16
    }

    /// Rows, and columns.
    fn extent(self) -> u32 {
        self.side * self.fours * 4
    }
}

/// Invocations of a workgroup side by side, of 64: each has four columns, so that few columns leave
/// few idle.
fn block_lanes(columns: u32) -> u32 {
    match columns {
        0..=16 => 4,
        17..=32 => 8,
        _ => 16,
    }
}

/// Columns of a lane.
fn lane_columns(columns: u32) -> u32 {
    match columns {
        0..=8 => 1,
        9..=16 => 2,
        _ => 4,
    }
}
