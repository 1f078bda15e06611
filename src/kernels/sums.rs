//! How the workgroups of a product share its rows and columns: one variant for each kind of adapter.
use super::Form;
use crate::gpu::{Kernel, Target, Variant};

/// Each sum has the same terms in the same order in any, so which one is launched changes no bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sums {
    /// `product_blocks.wgsl`.
    Blocks,
    /// `product_lanes.wgsl`.
    Lanes,
    /// `product_tiles.wgsl`.
    Tiles(Tile),
}

/// The square that a workgroup computes where it has tiles in its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tile {
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

impl Sums {
    /// All, in the order of the numbers that a tuner's choices are kept as.
    pub(super) const ALL: [Self; 5] =
        [Self::Blocks, Self::Lanes, Self::Tiles(SMALL), Self::Tiles(MEDIUM), Self::Tiles(LARGE)];

    /// What the tuner chose, or else what is known of such adapters.
    pub(super) fn of(target: Target, form: Form, extents: [u32; 3]) -> Self {
        let chosen = target.products[form as usize][class(extents)];
        let chosen = chosen.and_then(|at| Self::ALL.get(usize::from(at)));
        if let Some(&sums) = chosen.filter(|sums| sums.runs_on(target)) {
            return sums;
        }
        match target.software {
            true if Self::Lanes.runs_on(target) => Self::Lanes,
            true => Self::Blocks,
            // Large tiles read less, small ones leave fewer of the GPU's processors idle.
            false => Self::Tiles([SMALL, MEDIUM, LARGE][class(extents)]),
        }
    }

    pub(super) fn runs_on(self, target: Target) -> bool {
        self != Self::Lanes || target.subgroup == Some(LANES)
    }

    /// The grid for so many rows, columns and groups.
    pub(super) fn grid(self, [rows, columns, groups]: [u32; 3]) -> [u32; 3] {
        let [height, width] = match self {
            Self::Blocks => [64 / block_lanes(columns) * 8, block_lanes(columns) * 4],
            Self::Lanes => [8 * 16, LANES * lane_columns(columns)],
            Self::Tiles(tile) => [tile.extent(); 2],
        };
        [columns.div_ceil(width), rows.div_ceil(height), groups]
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
        };
        let differs = all.iter().filter(|(_, value, default)| value != default);
        differs.map(|&(name, value, _)| (name, value.into())).collect()
    }

    /// Its text among a kernel's variants.
    pub(super) fn variant<K: Kernel>(self) -> Option<&'static Variant> {
        match self {
            Self::Blocks => None,
            Self::Lanes => Some(&K::VARIANTS[0]),
            Self::Tiles(_) => Some(&K::VARIANTS[1]),
        }
    }

    /// What the tuner calls it.
    pub(super) fn name(self) -> String {
        match self {
            Self::Blocks => "blocks".to_owned(),
            Self::Lanes => "lanes".to_owned(),
            Self::Tiles(tile) => format!("tiles of {}", tile.extent()),
        }
    }
}

/// 0, 1 or 2: how large a result is, by how many large or medium tiles keep a GPU busy.
fn class([rows, columns, groups]: [u32; 3]) -> usize {
    let count = |tile: Tile| {
        let along = |extent: u32| u64::from(extent.div_ceil(tile.extent()));
        along(rows) * along(columns) * u64::from(groups)
    };
    if count(LARGE) >= 256 { 2 } else { usize::from(count(MEDIUM) >= 64) }
}

impl Tile {
    /// Rows, and columns.
    fn extent(self) -> u32 {
        self.side * self.fours * 4
    }
}

/// Invocations of a workgroup side by side, of 64: each has four columns, so that few columns leave few idle.
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
