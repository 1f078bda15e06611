//! `rearrange`: blocks of rows from one place to another: parts of an axis, and between the layouts
//! of a recurrent layer.
use crate::kernels::STEP_WORDS;
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// Where the element `(i, j, k)` is: at `begin + i * outer + j * inner + k`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strides {
    /// Place of the first.
    pub begin: u32,
    /// From one `i` to the next.
    pub outer: u32,
    /// From one `j` to the next.
    pub inner: u32,
}

impl Strides {
    fn end(self, [outer, inner, width]: [u32; 3]) -> u64 {
        let steps = [(outer, self.outer), (inner, self.inner)];
        let last: u64 =
            steps.map(|(n, by)| u64::from(n.saturating_sub(1)) * u64::from(by)).iter().sum();
        u64::from(self.begin) + last + u64::from(width)
    }
}

/// `out[to] = x[from]` for all `i`, `j`, `k` below `extents`.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Rearrange {
    /// Read at `from`.
    pub x: Slot,
    /// Written at `to`; not `x`.
    pub out: Slot,
    /// `i`, `j` and `k` stay below these.
    pub extents: [u32; 3],
    /// Where it is in `x`.
    pub from: Strides,
    /// Where it is in `out`, no two elements at one place.
    pub to: Strides,
    /// Clips what is moved to at most that magnitude.
    pub limit: Option<f32>,
    /// Adds to what is there.
    pub adds: bool,
    /// The [`Step`](crate::kernels::Step) whose `follows` says whether to move 0 instead.
    pub resumes: Option<Slot>,
}

impl Rearrange {
    /// Moves `x` into `out` as it is. What else a launch can do is a field to set.
    pub fn new([x, out]: [Slot; 2], extents: [u32; 3], [from, to]: [Strides; 2]) -> Self {
        Self { x, out, extents, from, to, limit: None, adds: false, resumes: None }
    }
}

crate::uniform! {
    /// Uniform of [`Rearrange`].
    pub struct RearrangeParams {
        /// `i` stays below.
        outer: u32,
        /// `j` stays below.
        inner: u32,
        /// `k` stays below.
        width: u32,
        /// Of the first element in `x`.
        from_begin: u32,
        /// From one `i` to the next.
        from_outer: u32,
        /// From one `j` to the next.
        from_inner: u32,
        /// Of the first element in `out`.
        to_begin: u32,
        /// From one `i` to the next.
        to_outer: u32,
        /// From one `j` to the next.
        to_inner: u32,
        /// Highest magnitude.
        limit: f32,
    }
}

impl Kernel for Rearrange {
    const NAME: &'static str = "rearrange";
    const WGSL: &'static str =
        crate::wgsl!("common/grid.wgsl", "common/step.wgsl", "common/nan.wgsl", "rearrange.wgsl");
    const OPERANDS: &'static [Operand] = &[read("x"), read("step"), write("out")];
    type Params = RearrangeParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.x.needs(self.from.end(self.extents)),
            self.resumes.map_or(Bound::NONE, |step| step.needs(STEP_WORDS.into())),
            self.out.needs(self.to.end(self.extents)),
        ]
    }

    fn params(&self) -> RearrangeParams {
        let &Self { extents: [outer, inner, width], from, to, limit, .. } = self;
        RearrangeParams {
            outer,
            inner,
            width,
            from_begin: from.begin,
            from_outer: from.outer,
            from_inner: from.inner,
            to_begin: to.begin,
            to_outer: to.outer,
            to_inner: to.inner,
            limit: limit.unwrap_or(0.0),
        }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let flags = [
            ("LIMITS", self.limit.is_some()),
            ("ADDS", self.adds),
            ("RESUMES", self.resumes.is_some()),
        ];
        flags.into_iter().filter(|&(_, on)| on).map(|(name, _)| (name, 1.0)).collect()
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.extents.iter().fold(1, |n: u32, &e| n.saturating_mul(e)))
    }

    fn check(&self) -> Result<(), String> {
        let elements = self.extents.iter().try_fold(1u32, |n, &e| n.checked_mul(e));
        match elements {
            Some(1..) => Ok(()),
            _ => Err(format!("{:?} are no 1 to 2^32 - 1 elements", self.extents)),
        }
    }
}

/// Host reference: changes `out`. `follows` is [`Step::follows`](crate::kernels::Step), where the
/// launch looks at it.
pub fn rearrange_reference(
    x: &[f64],
    out: &mut [f64],
    extents: [u32; 3],
    [from, to]: [Strides; 2],
    limit: Option<f32>,
    adds: bool,
    follows: bool,
) {
    let [outer, inner, width] = extents;
    let at = |p: Strides, i, j, k| (p.begin + i * p.outer + j * p.inner + k) as usize;
    for (i, j) in (0..outer).flat_map(|i| (0..inner).map(move |j| (i, j))) {
        for k in 0..width {
            let limit = limit.map_or(f64::INFINITY, f64::from);
            let value = if follows { x[at(from, i, j, k)].clamp(-limit, limit) } else { 0.0 };
            let place = &mut out[at(to, i, j, k)];
            *place = if adds { *place + value } else { value };
        }
    }
}
