//! How the workgroups of a product over halves share rows and columns on cooperative matrices.
use crate::gpu::Target;

/// The tiles of a workgroup in `product_coop.wgsl`, on the matrices of an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coop {
    /// Rows, columns and terms of a matrix: 8 or 16.
    pub(super) side: u32,
    /// Invocations of the adapter's largest subgroup.
    subgroup: u32,
    shape: Shape,
    /// Terms of a tile.
    depth: u32,
}

/// What a workgroup computes at a time, in matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    name: &'static str,
    /// Subgroups that have matrices, down and across.
    subgroups: [u32; 2],
    /// Matrices of each, down and across.
    matrices: [u32; 2],
}

/// By size. Of two with one name the first that runs is meant: the second has as many matrices for
/// half as many subgroups, which are twice as large.
const SHAPES: [Shape; 5] = [
    Shape { name: "matrices-4x4", subgroups: [2, 2], matrices: [2, 2] },
    Shape { name: "matrices-16x4", subgroups: [4, 2], matrices: [4, 2] },
    Shape { name: "matrices-8x8", subgroups: [2, 4], matrices: [4, 2] },
    Shape { name: "matrices-8x8", subgroups: [2, 2], matrices: [4, 4] },
    Shape { name: "matrices-16x8", subgroups: [4, 2], matrices: [4, 4] },
];

/// Most invocations of a workgroup.
const INVOCATIONS: u32 = 256;
/// Most fours of halves of an operand that an invocation has on their way.
const FOURS: u32 = 8;
/// Halves that a row of a tile has more than are used.
const PADDING: u32 = 8;
/// Workgroup memory that every adapter has (WebGPU).
const WORKGROUP_BYTES: u32 = 16_384;
/// Workgroups that leave few multiprocessors of a large GPU without one.
const ENOUGH: u64 = 128;

impl Coop {
    /// All that run on a device that `target` says, by size; each name once.
    pub(super) fn all(target: Target) -> Vec<Self> {
        let largest = target.largest_subgroup.or(target.subgroup);
        let (Some(side), Some(subgroup)) = (target.cooperative, largest) else {
            return Vec::new();
        };
        let of = |shape| {
            let deep = Self { side, subgroup, shape, depth: 32 };
            [deep, Self { depth: 16, ..deep }].into_iter().find(|coop| coop.runs_on(target))
        };
        let mut all: Vec<Self> = SHAPES.into_iter().filter_map(of).collect();
        all.dedup_by_key(|coop| coop.shape.name);
        all
    }

    /// The largest whose workgroups are enough for so many rows, columns and groups, and make few
    /// sums past the edges; else the smallest.
    pub(super) fn of(target: Target, extents: [u32; 3]) -> Option<Self> {
        let all = Self::all(target);
        let enough = |coop: &&Self| coop.workgroups(extents) >= ENOUGH;
        let made = |coop: &Self| {
            let of_workgroup: u32 = coop.extent().iter().product();
            coop.workgroups(extents) * u64::from(of_workgroup)
        };
        let least = all.iter().filter(enough).map(made).min().unwrap_or(0);
        let tight = |coop: &&Self| made(coop) <= least + least / 4;
        all.iter().rev().filter(enough).find(tight).or(all.first()).copied()
    }

    fn runs_on(self, target: Target) -> bool {
        let invocations = self.invocations();
        let [a, b] = self.fours();
        let bytes = target.workgroup_bytes.max(WORKGROUP_BYTES);
        let whole = a.is_multiple_of(invocations) && b.is_multiple_of(invocations);
        // Fours of the longest row of a tile: an invocation's are in one column.
        let across = self.extent().into_iter().fold(self.depth, u32::max) / 4;
        let even = whole && invocations.is_multiple_of(across);
        let fits = invocations <= INVOCATIONS && self.bytes() <= bytes;
        fits && even && a.max(b) <= FOURS * invocations
    }

    fn workgroups(self, [rows, columns, groups]: [u32; 3]) -> u64 {
        let [height, width] = self.extent();
        let of = [rows.div_ceil(height), columns.div_ceil(width), groups];
        of.map(u64::from).iter().product()
    }

    /// Rows and columns of a workgroup.
    pub(super) fn extent(self) -> [u32; 2] {
        let Shape { subgroups, matrices, .. } = self.shape;
        [0, 1].map(|axis| subgroups[axis] * matrices[axis] * self.side)
    }

    fn subgroups(self) -> u32 {
        self.shape.subgroups.iter().product()
    }

    fn invocations(self) -> u32 {
        self.subgroups() * self.subgroup
    }

    /// Fours of halves of a tile of each operand.
    fn fours(self) -> [u32; 2] {
        self.extent().map(|extent| extent * self.depth / 4)
    }

    /// Halves of workgroup memory that a tile of each operand takes, whichever way it is stored.
    fn halves(self) -> [u32; 2] {
        self.extent().map(|extent| {
            let by_terms = self.depth * (extent + PADDING);
            by_terms.max(extent * (self.depth + PADDING))
        })
    }

    /// Bytes of workgroup memory.
    fn bytes(self) -> u32 {
        self.halves().iter().sum::<u32>() * 2 + self.sums() * 4
    }

    /// Words of workgroup memory for the sums of one matrix of each subgroup.
    fn sums(self) -> u32 {
        self.subgroups() * self.side * self.side
    }

    /// Constants of the WGSL, each with its default there.
    pub(super) fn constants(self) -> [(&'static str, u32, u32); 11] {
        let Self { subgroup, shape: Shape { subgroups, matrices, .. }, depth, .. } = self;
        let [fours_a, fours_b] = self.fours().map(|fours| fours / self.invocations());
        // In `coop_16.wgsl` tiles are arrays of fours.
        let element = if self.side == 16 { 4 } else { 1 };
        let [tile_a, tile_b] = self.halves().map(|halves| halves / element);
        [
            ("SUBGROUP", subgroup, 32),
            ("DOWN", subgroups[0], 2),
            ("ACROSS", subgroups[1], 2),
            ("ROWS", matrices[0], 2),
            ("COLUMNS", matrices[1], 2),
            ("DEPTH", depth, 32),
            ("FOURS_A", fours_a, 4),
            ("FOURS_B", fours_b, 4),
            ("TILE_A", tile_a, 640),
            ("TILE_B", tile_b, 640),
            ("SUMS", self.sums(), 1024),
        ]
    }

    pub(super) fn name(self) -> &'static str {
        self.shape.name
    }
}
