//! `pad`: zeros around a tensor along one of its axes.
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// The places `begin..begin + part` of the middle axis of `[outer, extent, inner]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// Product of the axes before.
    pub outer: u32,
    /// Places of the axis.
    pub extent: u32,
    /// Product of the axes behind.
    pub inner: u32,
    /// First of the places.
    pub begin: u32,
    /// How many there are.
    pub part: u32,
}

impl Section {
    fn elements(&self, places: u32) -> u64 {
        [self.outer, places, self.inner].iter().fold(1, |n, &d| n.saturating_mul(d.into()))
    }
}

/// `out [outer, extent, inner]` is `x [outer, part, inner]` in the section, and 0 elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct Pad {
    /// Where `x` is in `out`.
    pub section: Section,
    /// Operand.
    pub x: Slot,
    /// Result.
    pub out: Slot,
}

crate::uniform! {
    /// Uniform of [`Pad`].
    pub struct PadParams {
        /// Elements of the result.
        len: u32,
        /// Places of the axis.
        extent: u32,
        /// Elements of a place.
        inner: u32,
        /// First place of `x`.
        begin: u32,
        /// Places of `x`.
        part: u32,
    }
}

impl Kernel for Pad {
    const NAME: &'static str = "pad";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "pad.wgsl");
    const OPERANDS: &'static [Operand] = &[read("x"), write("out")];
    type Params = PadParams;

    fn bind(&self) -> Vec<Bound> {
        let Section { extent, part, .. } = self.section;
        let [x, out] = [part, extent].map(|places| self.section.elements(places));
        vec![self.x.needs(x), self.out.needs(out)]
    }

    fn params(&self) -> PadParams {
        let Section { outer, extent, inner, begin, part } = self.section;
        PadParams { len: outer * extent * inner, extent, inner, begin, part }
    }

    fn grid(&self) -> [u32; 3] {
        let len = self.section.elements(self.section.extent);
        grid_1d(u32::try_from(len).unwrap_or(u32::MAX))
    }

    fn check(&self) -> Result<(), String> {
        let Section { extent, begin, part, .. } = self.section;
        if u64::from(begin) + u64::from(part) > extent.into() {
            return Err(format!("{part} places from {begin} on are no part of {extent}"));
        }
        match self.section.elements(extent) {
            len if len > u32::MAX.into() => Err(format!("{len} elements, at most {}", u32::MAX)),
            _ => Ok(()),
        }
    }
}

/// Host reference.
pub fn pad_reference(section: &Section, x: &[f64]) -> Vec<f64> {
    let Section { outer, extent, inner, begin, part } = *section;
    let [outer, extent, inner, begin, part] = [outer, extent, inner, begin, part].map(|n| n as usize);
    let mut out = vec![0.0; outer * extent * inner];
    for (o, rows) in x.chunks(part * inner).enumerate() {
        out[(o * extent + begin) * inner..][..rows.len()].copy_from_slice(rows);
    }
    out
}

/// Host reference of the other way round: the section of `x [outer, extent, inner]`.
pub fn slice_reference(section: &Section, x: &[f64]) -> Vec<f64> {
    let [extent, inner, begin, part] =
        [section.extent, section.inner, section.begin, section.part].map(|n| n as usize);
    let rows = x.chunks(extent * inner);
    rows.flat_map(|rows| &rows[begin * inner..][..part * inner]).copied().collect()
}
