//! The same elements under another shape.
use super::autodiff::Backward;
use super::lower::Lowering;
use super::op::{Facts, Home, Operation};
use super::tied::{Crossing, Reach};
use super::{Graph, Shape, Tensor};
use crate::{Error, Result};

/// Input `x`: the same elements under another shape, in the same memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reshape;

impl Graph {
    /// The elements of `x`, in their order, as a tensor of `shape`.
    ///
    /// # Errors
    /// [`Error::Shape`] unless it has as many elements.
    pub fn reshape(&mut self, x: Tensor, shape: impl Into<Shape>) -> Result<Tensor> {
        let (from, to) = (self.shape(x).clone(), shape.into());
        if from.elements() != to.elements() || to.elements().is_none() {
            return Err(Error::shape("reshape", format!("{from} has other elements than {to}")));
        }
        let name = self.nodes[x.0].name.clone();
        Ok(self.push(Reshape, vec![x], to, &name))
    }
}

impl Operation for Reshape {
    fn facts(&self) -> Facts {
        Facts { name: "reshape", home: Home::Input, recomputed: Some((*self).into()) }
    }

    fn units(&self, of: &Crossing<'_>) -> Reach {
        of.through()
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let [x] = lowering.inputs(tensor)?;
        lowering.share(tensor, x)
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        tensor: Tensor,
        gradient: Tensor,
    ) -> Result<()> {
        let [x] = backward.inputs(tensor)?;
        backward.send(x, Self, vec![gradient]);
        Ok(())
    }
}
