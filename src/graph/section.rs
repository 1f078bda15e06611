//! Parts of an axis, and zeros around them: the gradient of each is the other.
use std::ops::Range;

use super::autodiff::Backward;
use super::lower::Lowering;
use super::op::{Facts, Home, Operation};
use super::tied::{Crossing, Reach};
use super::{Graph, Shape, Tensor};
use crate::kernels::{self, Rearrange, Section, Strides};
use crate::{Error, Result};

/// Input `x`: places of one of its axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// The part of the input that is left.
    pub section: Section,
}

/// Input `x`: between zeros along one of its axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pad {
    /// The part of the output that is the input.
    pub section: Section,
}

impl Graph {
    /// The places `range` of `axis` of `x`: some positions of a sequence, some columns of the
    /// batch's features, the rows of a table of positions from an offset on.
    ///
    /// # Errors
    /// [`Error::Shape`] unless `x` has the axis, and the range is a part of it that is not empty.
    pub fn slice(&mut self, x: Tensor, axis: usize, range: Range<u32>) -> Result<Tensor> {
        let xs = self.shape(x).clone();
        let extent = xs.dims().get(axis).copied().unwrap_or(0);
        if range.is_empty() || range.end > extent {
            let message = format!("x {xs}: axis {axis} has no places {range:?}");
            return Err(Error::shape("slice", message));
        }
        let part = range.end - range.start;
        let (section, out) = (section(&xs, axis, range.start, part), with(&xs, axis, part));
        let name = format!("{}[{}..{}]", self.nodes[x.0].name, range.start, range.end);
        Ok(self.push(Slice { section }, vec![x], out, &name))
    }

    /// `x` with so many places of zeros before and behind it along `axis`.
    ///
    /// # Errors
    /// [`Error::Shape`] unless `x` has the axis, and the result fewer than 2^32 places of it.
    pub fn pad(&mut self, x: Tensor, axis: usize, [before, behind]: [u32; 2]) -> Result<Tensor> {
        let xs = self.shape(x).clone();
        let part = xs.dims().get(axis).copied().filter(|&part| part > 0);
        let extent = part.and_then(|part| part.checked_add(before)?.checked_add(behind));
        let (Some(part), Some(extent)) = (part, extent) else {
            let message = format!("x {xs}: no axis {axis} that takes {before} and {behind} more");
            return Err(Error::shape("pad", message));
        };
        let out = with(&xs, axis, extent);
        let section = section(&out, axis, before, part);
        let name = format!("{}.padded", self.nodes[x.0].name);
        Ok(self.push(Pad { section }, vec![x], out, &name))
    }

    /// `x [batch, length, width]` with `token`, of `width` elements, before the positions of each
    /// row: a class token (Dosovitskiy et al. 2020), `[batch, 1 + length, width]`.
    ///
    /// # Errors
    /// [`Error::Shape`] when they do not fit.
    pub fn prepend(&mut self, x: Tensor, token: Tensor) -> Result<Tensor> {
        let &[_, length, width] = self.shape(x).dims() else {
            let xs = self.shape(x);
            return Err(Error::shape("prepend", format!("x {xs} has rank {}, not 3", xs.rank())));
        };
        let token = self.reshape(token, [1, width])?;
        let token = self.pad(token, 0, [0, length])?;
        let x = self.pad(x, 1, [1, 0])?;
        self.add(x, token)
    }
}

/// `shape` with another extent of `axis`.
fn with(shape: &Shape, axis: usize, extent: u32) -> Shape {
    let mut dims = shape.dims().to_vec();
    dims[axis] = extent;
    Shape::new(dims)
}

/// The places from `begin` on of `axis` of `shape`, `part` of them.
fn section(shape: &Shape, axis: usize, begin: u32, part: u32) -> Section {
    let product = |dims: &[u32]| dims.iter().fold(1, |n: u32, &d| n.saturating_mul(d));
    let dims = shape.dims();
    let (outer, inner) = (product(&dims[..axis]), product(&dims[axis + 1..]));
    Section { outer, extent: dims[axis], inner, begin, part }
}

impl Operation for Slice {
    fn facts(&self) -> Facts {
        Facts { name: "slice", home: Home::Own, recomputed: Some((*self).into()) }
    }

    fn units(&self, of: &Crossing<'_>) -> Reach {
        of.through_columns(self.section.inner)
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let Section { outer, extent, inner, begin, part } = self.section;
        let [x] = lowering.input_slots(tensor)?;
        let out = lowering.output(tensor)?;
        let from = Strides { begin: begin * inner, outer: extent * inner, inner };
        let to = Strides { begin: 0, outer: part * inner, inner };
        lowering.plan.push(Rearrange::new([x, out], [outer, part, inner], [from, to]))
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        tensor: Tensor,
        gradient: Tensor,
    ) -> Result<()> {
        let [x] = backward.inputs(tensor)?;
        backward.send(x, Pad { section: self.section }, vec![gradient]);
        Ok(())
    }
}

impl Operation for Pad {
    fn facts(&self) -> Facts {
        Facts { name: "pad", home: Home::Own, recomputed: Some((*self).into()) }
    }

    fn units(&self, of: &Crossing<'_>) -> Reach {
        of.through_columns(self.section.inner)
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let &Self { section } = self;
        let [x] = lowering.input_slots(tensor)?;
        let out = lowering.output(tensor)?;
        lowering.plan.push(kernels::Pad { section, x, out })
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        tensor: Tensor,
        gradient: Tensor,
    ) -> Result<()> {
        let [x] = backward.inputs(tensor)?;
        backward.send(x, Slice { section: self.section }, vec![gradient]);
        Ok(())
    }
}
