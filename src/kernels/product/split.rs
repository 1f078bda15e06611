//! Which products have their terms split among workgroups: pure, by extents and target.
use crate::gpu::{MAX_LOOP_ITERATIONS, Target};

/// A product's terms in parts of neighbours, each of which is summed up from zero; then the parts'
/// sums are added in their order.
///
/// It is part of what a product on a GPU means: it follows from the extents alone and not from
/// tilings or a tuner's choices, so all variants there have the same bits. Software adapters have
/// few processors, and keep sums of all terms in one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Split {
    /// How many.
    pub(super) parts: u32,
    /// Terms of each but the last, which may have fewer: whole matrices of any adapter.
    pub(super) terms: u32,
}

/// Workgroups of 32 x 32 sums that keep a GPU busy: eight for each of some 132 multiprocessors. So
/// the parts' sums take some 4 MiB at most, but where loops are too long.
const BUSY: u32 = 1056;
/// Fewer terms take no longer than the second launch that parts need.
const SHORT: u32 = 256;
/// Terms of a part at least: two tiles, of which the second is loaded while the first is used.
const LEAST: u32 = 32;
/// Terms that a workgroup adds up while `part_sum` adds one part: so a part has this many times as
/// many terms as there are parts, where the parts take longest.
const FASTER: u32 = 4;
/// Both sides of a workgroup.
const SIDE: u32 = 32;
/// Terms of the largest cooperative matrix, and of the deepest tile.
const DEPTH: u32 = 16;

impl Split {
    /// That of a product of so many rows, columns and groups.
    pub(super) fn of(
        target: Target,
        [rows, columns, groups]: [u32; 3],
        terms: u32,
    ) -> Option<Self> {
        if target.software || terms < SHORT {
            return None;
        }
        let along = |extent: u32| u64::from(extent.div_ceil(SIDE));
        let workgroups = (along(rows) * along(columns)).saturating_mul(groups.into()).max(1);
        let [busy, most] = [u64::from(BUSY) / workgroups, (terms / LEAST).into()];
        let wanted = busy.min(most).min((terms / FASTER).isqrt().into());
        if wanted < 2 {
            return None;
        }
        // `wanted` is at most `BUSY`. To the nearest whole tile, so there may be a part more, where
        // that does not begin another round of workgroups.
        let mut tiles = terms.div_ceil(wanted as u32).saturating_add(DEPTH / 2) / DEPTH;
        if u64::from(terms.div_ceil(tiles.max(1) * DEPTH)) > busy {
            tiles += 1;
        }
        let each = tiles.clamp(LEAST / DEPTH, MAX_LOOP_ITERATIONS / DEPTH) * DEPTH;
        let parts = terms.div_ceil(each);
        let sums = [rows, columns, groups].iter().try_fold(parts, |n, &by| n.checked_mul(by));
        let fits = sums.is_some() && parts <= MAX_LOOP_ITERATIONS;
        fits.then_some(Self { parts, terms: each })
    }
}
